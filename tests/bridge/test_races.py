"""What changes while something is under way: each test holds one request, changes something, and lets it go on.

Nothing here waits for luck. A request waits at its gate until the bridge's own watch has seen the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from bridgeworld import CACHES, XRD_NAME, World, bridge, cache, held, world
from fakeapi import Fault

from bridge.api import names
from bridge.store import Key
from bridge.sync import clusters, kinds
from bridge.sync.report import Reach
from bridge.sync.site import Task
from bridge.translate import gitops as works

Manifest = dict[str, Any]
SIZE = {"properties": {"size": {"type": "string"}}}
BOTH = {"properties": {"size": {"type": "string"}, "depth": {"type": "integer"}}}
NARROW = {"properties": {"size": {"type": "integer"}}}
XRD_PATH, COMPOSITION_PATH = kinds.XRD.path(), kinds.COMPOSITION.path()


@pytest.fixture
def one() -> Iterator[World]:
    with world("eu-1") as made:
        made.site("eu-1")
        made.until_synced("eu-1")
        made.settled()
        yield made


def seen(one: World, version: str) -> None:
    """Wait until the bridge's watch has a Promise's version."""
    store = one.bridge.platform.promises.store

    def holds() -> bool:
        found = store.get(Key("", "cache"))
        return found is not None and found.labels["kratix.io/promise-version"] == version

    one.until(f"the bridge sees {version}", holds)


def gone(one: World) -> None:
    one.until("the bridge sees that it is gone", lambda: not one.bridge.platform.promises.store.get(Key("", "cache")))


def version(one: World, cluster: str = "eu-1") -> str:
    found = one.there(cluster, kinds.COMPOSITION).get(XRD_NAME) or {"metadata": {"labels": {}}}
    return str(found["metadata"]["labels"].get("kratix.io/promise-version", ""))


def logic(text: str = "ttl: 5m\n", name: str = "i", promise: str = "cache") -> Manifest:
    metadata = {"name": name, "namespace": names.NAMESPACE, "labels": {names.INPUT_LABEL: promise}}
    return {"kind": "ConfigMap", "metadata": metadata, "data": {"input.yaml": text}}


def site(**spec: Any) -> Manifest:
    """eu-1, without its Secret."""
    kubeconfig = {"secretRef": {"name": "eu-1"}}
    return {"kind": names.KIND, "metadata": {"name": "eu-1"}, "spec": {"kubeconfig": kubeconfig, **spec}}


def ttl(one: World) -> str:
    found = one.there("eu-1", kinds.COMPOSITION).get(XRD_NAME)
    return str(found["spec"]["pipeline"][0]["input"].get("ttl", "")) if found else ""


# A cluster that is being connected, or read.


def comes(one: World) -> None:
    one.put(cache(**SIZE))
    seen(one, "v1.0.0")


def comes_and_changes(one: World) -> None:
    comes(one)
    one.put(cache(version="v1.1.0", **SIZE))
    seen(one, "v1.1.0")


def comes_and_goes(one: World) -> None:
    comes(one)
    one.platform.delete(kinds.PROMISE, "cache")
    gone(one)


def is_labelled(one: World) -> None:
    one.put(cache(publish="false", **SIZE))
    one.until("it is seen", lambda: one.bridge.platform.promises.store.get(Key("", "cache")))
    comes(one)


WHILE_IT_IS_READ: dict[str, tuple[Callable[[World], None], str]] = {
    "a Promise comes": (comes, "v1.0.0"),
    "a Promise comes and changes": (comes_and_changes, "v1.1.0"),
    "a Promise comes and goes": (comes_and_goes, ""),
    "a Promise is labelled": (is_labelled, "v1.0.0"),
}


@pytest.mark.parametrize(("change", "wanted"), WHILE_IT_IS_READ.values(), ids=WHILE_IT_IS_READ.keys())
def test_while_a_cluster_is_read(change: Callable[[World], None], wanted: str):
    with world("eu-1") as one, held(one.clusters["eu-1"], "GET", XRD_PATH, "limit") as gate:
        one.site("eu-1")
        gate.until_reached()
        assert not one.bridge.fleet.sites["eu-1"].ready
        change(one)
        gate.open()
        one.until_synced("eu-1")
        one.until("it is as it should be", lambda: version(one) == wanted)


def test_a_destination_while_a_cluster_is_read():
    with world("eu-1") as one, held(one.clusters["eu-1"], "GET", kinds.ENVIRONMENT_CONFIG.path(), "limit") as gate:
        one.site("eu-1")
        gate.until_reached()
        one.put({"kind": "Destination", "metadata": {"name": "dev", "labels": {"env": "dev"}}})
        one.until("it is seen", lambda: one.bridge.platform.destinations.store.get(Key("", "dev")))
        gate.open()
        one.until("it is there", lambda: "destination-dev" in one.there("eu-1", kinds.ENVIRONMENT_CONFIG))


def test_a_crossplane_cluster_that_changes_while_it_is_connected():
    with world("eu-1") as one, held(one.platform, "GET", kinds.SECRET.path(names.NAMESPACE, "eu-1")) as gate:
        one.put(cache(**SIZE))
        one.site("eu-1")
        gate.until_reached()
        one.put(site(prefix="other."))
        sites = one.bridge.platform.sites.store

        def prefix() -> object:
            found = sites.get(Key("", "eu-1"))
            return found and found.packed.body["spec"].get("prefix")

        one.until("it is seen", lambda: prefix() == "other.")
        gate.open()
        wanted = "caches.other.caches.example.org"
        one.until("it is used", lambda: list(one.there("eu-1", kinds.COMPOSITION))[-1:] == [wanted])
        one.until("it is reported", lambda: [p["xrd"] for p in one.status("eu-1").get("published", ())] == [wanted])


def test_a_crossplane_cluster_that_goes_while_it_is_connected():
    with world("eu-1") as one, held(one.platform, "GET", kinds.SECRET.path(names.NAMESPACE, "eu-1")) as gate:
        one.site("eu-1")
        gate.until_reached()
        one.platform.delete(kinds.CLUSTER, "eu-1")
        one.until("it is seen", lambda: not len(one.bridge.platform.sites.store))
        gate.open()
        one.settled()
        assert not one.bridge.fleet.sites
        assert one.bridge.queue.numbers().retries == 0


def test_a_crossplane_cluster_that_is_made_anew_for_another_cluster(one: World):
    with world("eu-2") as other:
        eu_2 = other.clusters["eu-2"]
        one.put(cache(**SIZE))
        with held(one.clusters["eu-1"], "PATCH", XRD_PATH) as gate:
            gate.until_reached()
            before = one.bridge.platform.sites.store.get(Key("", "eu-1"))
            one.platform.delete(kinds.CLUSTER, "eu-1")
            one.secret("eu-1", eu_2.kubeconfig())
            one.put(site())
            stored = one.bridge.platform.sites.store
            one.until("it is seen", lambda: stored.get(Key("", "eu-1")) not in (None, before))
            gate.open()
            one.until("it is published there", lambda: other.there("eu-2", kinds.COMPOSITION))
        one.until("it is reported", lambda: eu_2.server in one.condition("eu-1", "Reachable")[2])


def test_a_secret_that_cannot_be_read_ends_nothing_that_works(one: World):
    working = one.bridge.fleet.sites["eu-1"]
    path = kinds.SECRET.path(names.NAMESPACE, "eu-1")
    original = one.platform.fault

    def broken(request: Any) -> Fault:
        return Fault("any", status=500) if request.method == "GET" and request.path == path else original(request)

    one.platform.fault = broken  # type: ignore[method-assign]
    one.put(site(prefix="other."))
    one.until("it was tried", lambda: one.bridge.queue.numbers().retries)
    assert one.bridge.fleet.sites["eu-1"] is working, "it goes on with what it has"
    one.put(cache(**SIZE))
    one.until("it is published", lambda: one.there("eu-1", kinds.COMPOSITION))
    one.platform.fault = original  # type: ignore[method-assign]
    one.until("it is tried again", lambda: one.bridge.fleet.sites.get("eu-1") not in (None, working))


# What is being written.


def test_a_promise_that_changes_while_it_is_written(one: World):
    with held(one.clusters["eu-1"], "PATCH", XRD_PATH) as gate:
        one.put(cache(**SIZE))
        gate.until_reached()
        one.put(cache(version="v1.1.0", **BOTH))
        seen(one, "v1.1.0")
    one.until("the later one is there", lambda: version(one) == "v1.1.0")
    assert "depth" in str(one.there("eu-1", kinds.XRD)[XRD_NAME]["spec"])


def test_a_promise_that_goes_while_it_is_written(one: World):
    with held(one.clusters["eu-1"], "PATCH", COMPOSITION_PATH) as gate:
        one.put(cache(**SIZE))
        gate.until_reached()
        one.platform.delete(kinds.PROMISE, "cache")
        gone(one)
    one.until("nothing stays", lambda: not one.there("eu-1", kinds.XRD) and not one.there("eu-1", kinds.COMPOSITION))
    one.until("it is forgotten", lambda: one.status("eu-1")["counts"] == dict.fromkeys(one.status("eu-1")["counts"], 0))


def test_a_promise_that_comes_back_while_it_is_taken_away(one: World):
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one))
    one.settled()
    with held(one.clusters["eu-1"], "DELETE", XRD_PATH) as gate:
        one.platform.delete(kinds.PROMISE, "cache")
        gate.until_reached()
        one.put(cache(version="v1.1.0", **SIZE))
        seen(one, "v1.1.0")
    one.until("it is there again", lambda: version(one) == "v1.1.0" and XRD_NAME in one.there("eu-1", kinds.XRD))
    one.until_synced("eu-1")
    one.settled()
    assert XRD_NAME in one.there("eu-1", kinds.XRD)


@pytest.mark.parametrize("first", ["the input", "the Promise"])
def test_an_input_and_its_promise_come_in_any_order(one: World, first: str):
    if first == "the input":
        one.put(logic())
        one.until("it is seen", lambda: one.bridge.platform.logic("cache"))
        one.settled()
        one.put(cache(**SIZE))
    else:
        one.put(cache(**SIZE))
        one.until("it is published", lambda: version(one))
        one.put(logic())
    one.until("it is used", lambda: ttl(one) == "5m")


def test_an_input_that_comes_while_its_promise_is_written(one: World):
    with held(one.clusters["eu-1"], "PATCH", COMPOSITION_PATH) as gate:
        one.put(cache(**SIZE))
        gate.until_reached()
        one.put(logic())
        one.until("it is seen", lambda: one.bridge.platform.logic("cache"))
    one.until("it is used", lambda: ttl(one) == "5m")


def test_an_input_that_is_given_to_another_promise(one: World):
    one.put(logic())
    one.put(cache(**SIZE))
    one.until("it is used", lambda: ttl(one) == "5m")
    one.put(logic(promise="another"))
    one.until("it is used no more", lambda: version(one) and not ttl(one))


def test_an_input_that_goes_is_none_before_everybody_knows(one: World):
    """Between the store and the index, which another thread reads."""
    one.put(logic())
    platform = one.bridge.platform
    one.until("it is seen", lambda: platform.logic("cache"))
    key = Key(names.NAMESPACE, "i")
    kept = platform.inputs.store._kept.pop(key)
    assert platform.logic("cache") is None, "it is not taken for one without a key"
    platform.inputs.store._kept[key] = kept
    one.put(logic("ttl: 6m\n", name="j"))
    one.until("there are two", lambda: len(platform.inputs.store) == 2)
    platform.inputs.store._kept.pop(key)
    assert platform.logic("cache") == yaml.safe_load("ttl: 6m"), "nor for one of two"
    platform.inputs.store._kept[key] = kept


# A watch that is behind: what it has not seen decides nothing.


def behind(one: World) -> Any:
    """Have the watch of XRDs see nothing more; requests are answered."""
    eu = one.clusters["eu-1"]
    gate = held(eu, "GET", XRD_PATH, "watch")
    shelf = one.bridge.fleet.sites["eu-1"].shelves[kinds.XRD]
    assert shelf.watch._lines is not None
    made = gate.__enter__()
    shelf.watch._lines.interrupt()
    made.until_reached()
    return gate


def test_what_breaks_xrs_is_refused_though_their_xrd_was_not_seen(one: World):
    gate = behind(one)
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one) == "v1.0.0")
    one.clusters["eu-1"].put(CACHES, "one", "team")
    assert not one.bridge.fleet.sites["eu-1"].shelves[kinds.XRD].get(XRD_NAME)
    one.put(cache(version="v2.0.0", **NARROW))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert version(one) == "v1.0.0"
    gate.__exit__(None, None, None)


def test_what_breaks_xrs_is_refused_though_the_last_change_was_not_seen(one: World):
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one) == "v1.0.0")
    one.settled()
    gate = behind(one)
    one.put(cache(version="v1.1.0", **BOTH))
    one.until("it is changed", lambda: version(one) == "v1.1.0")
    one.clusters["eu-1"].put(CACHES, "one", "team")
    one.put(cache(version="v1.2.0", **SIZE))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    [refused] = one.status("eu-1")["refused"]
    assert "spec.depth" in refused["reason"], "a field that the watch has never seen"
    assert version(one) == "v1.1.0"
    gate.__exit__(None, None, None)


def test_another_promise_does_not_get_an_xrd_that_was_not_seen(one: World):
    gate = behind(one)
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one))
    one.put(cache("another", **SIZE))  # which would come first by its name
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert [each["name"] for each in one.status("eu-1")["refused"]] == ["another"]
    gate.__exit__(None, None, None)


def test_a_composition_stays_while_its_xrd_was_not_seen(one: World):
    gate = behind(one)
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one))
    one.clusters["eu-1"].put(CACHES, "one", "team")
    one.settled()
    one.platform.delete(kinds.PROMISE, "cache")
    gone(one)
    one.settled()
    assert version(one), "the revisions of its XRs are made of it"
    gate.__exit__(None, None, None)
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert version(one)


# A cluster that is lost.


def test_what_happens_while_a_cluster_is_lost(one: World):
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one))
    one.settled()
    lost = one.bridge.fleet.sites["eu-1"]
    lost.reach = Reach("False", "Unreachable", "it is lost")
    one.put(cache(version="v1.1.0", **SIZE))
    seen(one, "v1.1.0")
    one.settled()
    assert version(one) == "v1.0.0", "nothing is tried there"
    lost.queue.add(Task(clusters.PROBE, "eu-1"))
    one.until("it catches up", lambda: version(one) == "v1.1.0")


def test_an_imported_xrd_that_goes_while_its_cluster_is_lost():
    with world("eu-1") as one:
        eu = one.clusters["eu-1"]
        selector = {"matchLabels": {"as": "promise"}}
        one.site("eu-1", imports={"xrdSelector": selector, "image": "ghcr.io/x/y:v1", "destinationSelector": selector})
        one.until_synced("eu-1")
        names_ = {"kind": "Bucket", "plural": "buckets", "singular": "bucket", "listKind": "BucketList"}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
        versions = [{"name": "v1", "served": True, "referenceable": True, "schema": schema}]
        spec = {"group": "example.org", "names": names_, "scope": "Namespaced", "versions": versions}
        eu.put(kinds.XRD, "buckets.example.org", labels={"as": "promise"}, spec=spec)
        eu.put(
            kinds.COMPOSITION,
            "buckets",
            spec={"compositeTypeRef": {"apiVersion": "example.org/v1", "kind": "Bucket"}, "mode": "Pipeline"},
        )
        board = one.bridge.fleet.sites["eu-1"].board
        one.until("it is looked at", lambda: board.read("XRD"))
        one.settled()
        [noted] = board.read("XRD").values()
        assert noted.xrd, noted
        lost = one.bridge.fleet.sites["eu-1"]
        lost.reach = Reach("False", "Unreachable", "it is lost")
        eu.delete(kinds.XRD, "buckets.example.org")
        one.until("it is seen", lambda: not lost.shelves[kinds.XRD].all())
        one.settled()
        lost.queue.add(Task(clusters.PROBE, "eu-1"))
        one.until("it is said", lambda: [each.kept for each in board.read("XRD").values()] != [()])


def test_a_request_without_an_answer_has_the_cluster_looked_at(one: World):
    """Not at the next look, which is half a minute later."""
    one.clusters["eu-1"].close()
    one.put(cache(**SIZE))
    one.until("it is reported", lambda: one.condition("eu-1", "Reachable")[1] == "Unreachable")


# GitOps.


@pytest.fixture
def git() -> Iterator[World]:
    with world() as made:
        made.put({"kind": "Destination", "metadata": {"name": "dev", "labels": {"crossplane": "enabled"}}})
        made.site("git", gitops={})
        made.until_synced("git")
        made.settled()
        yield made


def work(one: World) -> Manifest | None:
    return one.platform.there(kinds.WORK).get(Key(works.NAMESPACE, works.publication_name("cache", "git")))


def size(one: World) -> str:
    """What the Work says of the field."""
    found = work(one)
    xrds = [each for each in works.published(found) if each["kind"] == kinds.XRD.kind] if found else []
    return (
        str([v["schema"]["openAPIV3Schema"]["properties"]["spec"] for v in xrds[0]["spec"]["versions"]]) if xrds else ""
    )


def test_gitops_a_promise_comes_while_workingare_read():
    with world() as one, held(one.platform, "GET", kinds.WORK.path(works.NAMESPACE), "limit") as gate:
        one.site("git", gitops={})
        gate.until_reached()
        comes(one)
        gate.open()
        one.until("its Work is there", lambda: work(one))


def test_gitops_a_promise_that_changes_or_goes_while_its_work_is_written(git: World):
    with held(git.platform, "PATCH", kinds.WORK.path(works.NAMESPACE)) as gate:
        git.put(cache(**SIZE))
        gate.until_reached()
        git.put(cache(version="v1.1.0", **BOTH))
        seen(git, "v1.1.0")
    git.until("the later one is there", lambda: "depth" in size(git))
    git.settled()
    with held(git.platform, "PATCH", kinds.WORK.path(works.NAMESPACE)) as gate:
        git.put(cache(version="v1.2.0", **BOTH))
        gate.until_reached()
        git.platform.delete(kinds.PROMISE, "cache")
        gone(git)
    git.until("it goes", lambda: not work(git))


def test_gitops_what_may_break_is_refused_though_the_work_was_not_seen(git: World):
    shelf = git.bridge.fleet.sites["git"].shelves[kinds.WORK]
    with held(git.platform, "GET", kinds.WORK.path(works.NAMESPACE), "watch") as gate:
        assert shelf.watch._lines is not None
        shelf.watch._lines.interrupt()
        gate.until_reached()
        git.put(cache(**SIZE))
        git.until("its Work is there", lambda: work(git))
        git.settled()
        assert not shelf.made_of("cache")
        git.put(cache(version="v2.0.0", **NARROW))
        git.until("it is refused", lambda: git.condition("git", "Synced")[1] == "Refused")
        assert "integer" not in size(git)


def test_gitops_a_work_that_somebody_removed_or_changed_comes_back(git: World):
    git.put(cache(**SIZE))
    git.until("its Work is there", lambda: work(git))
    git.settled()
    name = works.publication_name("cache", "git")
    git.platform.delete(kinds.WORK, name, works.NAMESPACE)
    git.until("it is back", lambda: work(git))
    git.settled()
    found = work(git) or {}
    git.platform.put(kinds.WORK, name, works.NAMESPACE, **_marks(found), spec={**found["spec"], "promiseName": "other"})
    git.until("it is as it was", lambda: (work(git) or {"spec": {}})["spec"].get("promiseName") == "cache")


def _marks(manifest: Manifest) -> Manifest:
    return {part: manifest["metadata"][part] for part in ("labels", "annotations")}


# The next leader.


def test_what_a_leader_was_writing_when_the_next_one_began(one: World):
    """It hung, and another leads by now; then its write arrives after all."""
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one) == "v1.0.0")
    one.settled()
    stale = one.there("eu-1", kinds.XRD)[XRD_NAME]
    one.bridge.stop()
    with bridge(one.platform) as again:
        one.bridge = again
        one.put(cache(version="v1.1.0", **BOTH))
        one.until("it is changed", lambda: version(one) == "v1.1.0")
        one.settled()
        one.clusters["eu-1"].put(kinds.XRD, XRD_NAME, **_marks(stale), spec=stale["spec"])
        one.until("it is as it should be", lambda: "depth" in str(one.there("eu-1", kinds.XRD)[XRD_NAME]["spec"]))


def test_what_happens_between_two_leaders(one: World):
    one.put(cache(**SIZE))
    one.until("it is published", lambda: version(one))
    one.settled()
    one.bridge.stop()
    one.platform.delete(kinds.PROMISE, "cache")
    one.put(cache("another", **SIZE))
    one.put(logic(promise="another"))
    with bridge(one.platform) as again:
        one.bridge = again
        label = "kratix.fn.crossplane.io/promise"
        one.until(
            "the XRD is the other's",
            lambda: one.there("eu-1", kinds.XRD)[XRD_NAME]["metadata"]["labels"][label] == "another",
        )
        one.until("with its input", lambda: ttl(one) == "5m")
        one.until_synced("eu-1")
