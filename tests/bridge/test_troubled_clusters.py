"""Clusters whose Secret, API server or watch breaks: what the bridge says, and that it ends as it should."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import SIZE, XRD_NAME, World, cache, failing, one_cluster, published, world
from fakeapi import Fault

from bridge.api import names
from bridge.sync import clusters, kinds


@pytest.fixture
def one() -> Iterator[World]:
    with one_cluster() as made:
        yield made


SECRETS = {
    "none": (None, "KubeconfigInvalid", "Secret kratix-bridge-system/eu-1 is not there"),
    "not YAML": (b"{", "KubeconfigInvalid", "the kubeconfig is not YAML"),
    "no key": ({}, "KubeconfigInvalid", "Secret kratix-bridge-system/eu-1 has no key kubeconfig"),
    "not base64": ({"kubeconfig": "!"}, "KubeconfigInvalid", "has a key kubeconfig that is not base64"),
}


@pytest.mark.parametrize(("content", "reason", "message"), SECRETS.values(), ids=SECRETS.keys())
def test_a_kubeconfig_that_breaks_is_reported_and_one_that_heals_is_used(
    one: World, content: Any, reason: str, message: str
):
    if content is None:
        one.platform.delete(kinds.SECRET, "eu-1", names.NAMESPACE)
    elif isinstance(content, bytes):
        one.secret("eu-1", content)
    else:
        one.put({"kind": "Secret", "metadata": {"name": "eu-1", "namespace": names.NAMESPACE}, "data": content})
    one.until("it is reported", lambda: one.condition("eu-1", "Reachable")[:2] == ("False", reason))
    assert message in one.condition("eu-1", "Reachable")[2]
    assert one.condition("eu-1", "Synced")[0] == "Unknown"
    one.secret("eu-1", one.clusters["eu-1"].kubeconfig())
    one.until_synced("eu-1")
    published(one)


def test_a_secret_that_goes_before_its_watch_showed_it(one: World):
    one.settled()
    fleet = one.bridge.fleet
    fleet.close("eu-1")
    assert fleet.with_secret("eu-1") == ["eu-1"], "one that is being connected has to hear of it too"
    one.bridge.platform.secrets.store._kept.clear()
    fleet.reconcile("eu-1")
    assert fleet.unmade("eu-1") is None
    one.platform.delete(kinds.SECRET, "eu-1", names.NAMESPACE)
    fleet.reconcile("eu-1")
    one.until("it is reported", lambda: one.condition("eu-1", "Reachable")[1] == "KubeconfigInvalid")


def test_a_cluster_without_crossplane_says_so():
    with world() as made:
        made.site("here", inCluster={})
        made.until("it says so", lambda: made.condition("here", "Synced")[1] == "CrossplaneMissing")
        assert made.condition("here", "Reachable")[0] == "True"


def test_a_cluster_that_refuses_a_list_says_which_and_why():
    with world("eu-1") as made:
        api = made.clusters["eu-1"]
        original = api.fault
        refused = Fault("any", status=403)
        with pytest.MonkeyPatch.context() as patch:
            listed = kinds.COMPOSITION.path()
            patch.setattr(api, "fault", lambda request: refused if request.path == listed else original(request))
            made.site("eu-1")
            made.until("it says so", lambda: made.condition("eu-1", "Synced")[:2] == ("False", "Forbidden"))
            message = made.condition("eu-1", "Synced")[2]
            assert message.startswith("cannot list compositions.apiextensions.crossplane.io on cluster eu-1: ")
            assert message.endswith("(HTTP 403)")
            before = len(api.requests)
            time.sleep(1.0)
            assert len(api.requests) - before < 10, "a cluster that refuses is not asked all the time"
        made.until_synced("eu-1")


def test_a_cluster_that_begins_to_refuse_what_was_read_says_so(one: World):
    one.settled()
    api, site = one.clusters["eu-1"], one.bridge.fleet.sites["eu-1"]

    def said() -> tuple[str, str, str]:
        site.add(clusters.PROBE, [""])
        return one.condition("eu-1", "Synced")

    with failing(api, kinds.COMPOSITION.path(), status=403):
        api.disconnect()
        one.until("it says so", lambda: said()[:2] == ("False", "Forbidden"))
        assert said()[2].startswith("cannot watch compositions.apiextensions.crossplane.io on cluster eu-1: ")
    one.until("it is well again", lambda: said()[0] == "True")


def test_a_provider_that_is_taken_off_is_nothing_wrong(one: World):
    api, site = one.clusters["eu-1"], one.bridge.fleet.sites["eu-1"]
    watch = site.shelves[kinds.CLUSTER_PROVIDER_CONFIG].watch
    api.resources = tuple(each for each in api.resources if each is not kinds.CLUSTER_PROVIDER_CONFIG)
    api.disconnect()
    one.until("it is seen", lambda: watch.health.status == 404)
    site.add(clusters.PROBE, [""])
    one.settled()
    assert one.condition("eu-1", "Synced")[0] == "True"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("whose", ["the platform's", "a cluster's"])
def test_a_watch_that_ended_by_a_bug_makes_the_process_sick(one: World, whose: str):
    assert one.bridge.sick() == ""

    def bug(_: object) -> None:
        raise ZeroDivisionError

    if whose == "a cluster's":
        one.bridge.fleet.sites["eu-1"].shelves[kinds.XRD].watch.store._keep = bug
        one.clusters["eu-1"].put(kinds.XRD, XRD_NAME, spec={})
    else:
        one.bridge.platform.promises.store._keep = bug
        one.put(cache(**SIZE))
    name = "eu-1/compositeresourcedefinitions" if whose == "a cluster's" else "platform/promises"
    one.until("it is said", lambda: one.bridge.sick() == f"the watch {name} has ended")


def test_one_lost_cluster_hides_nothing_of_the_others():
    with world("eu-1", "eu-2") as made:
        for name in made.clusters:
            made.site(name)
            made.until_synced(name)
        made.clusters["eu-2"].close()
        made.put(cache(**SIZE))
        made.until("the other goes on", lambda: made.there("eu-1", kinds.COMPOSITION))
        made.clusters["eu-2"].reopen()
        made.until("it catches up", lambda: made.there("eu-2", kinds.COMPOSITION))


FAULTS = {
    "500": [Fault("write", status=500), Fault("write", status=503)],
    "429": [Fault("write", status=429, headers={"retry-after": "1"})],
    "cut": [Fault("write", cut=10), Fault("write", cut=0)],
    "reset": [Fault("write", cut=20, reset=True)],
    "watch": [Fault("watch", gone=True), Fault("watch", line=b"{]\n"), Fault("list", status=500)],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_whatever_goes_wrong_it_ends_as_it_should(one: World, faults: list[Fault]):
    one.clusters["eu-1"].fail(*faults)
    for name in ("a", "b", "c"):
        promise = cache(name, **SIZE)
        promise["spec"]["api"]["spec"]["names"] = {"kind": name.upper(), "plural": f"{name}s", "singular": name}
        one.put(promise)
    wanted = {f"{name}s.xp.caches.example.org" for name in "abc"}
    one.until("all is there", lambda: set(one.there("eu-1", kinds.COMPOSITION)) == wanted)
    assert set(one.there("eu-1", kinds.XRD)) == wanted
    one.until_synced("eu-1")
