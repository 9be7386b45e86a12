"""What changes while something is under way: each test holds one request, changes something, and lets it go on.

Nothing here waits for luck. A request waits at its gate until the bridge's own watch has seen the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from bridgeworld import BOTH, SIZE, XRD_NAME, World, bridge, cache, held, one_cluster, world
from fakeapi import Fault
from racing import COMPOSITION_PATH, XRD_PATH, comes, gone, marks, seen, version

from bridge.api import names
from bridge.store import Key
from bridge.sync import kinds

Manifest = dict[str, Any]


@pytest.fixture
def one() -> Iterator[World]:
    with one_cluster() as made:
        made.settled()
        yield made


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
        one.clusters["eu-1"].put(kinds.XRD, XRD_NAME, **marks(stale), spec=stale["spec"])
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
