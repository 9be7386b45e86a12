"""The bridge against fake API servers: what it makes, refuses, keeps and says, whatever goes wrong meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from bridgeworld import CACHES, REPORT, XRD_NAME, World, bridge, cache, world
from fakeapi import Fault

from bridge.api import names
from bridge.store import Key
from bridge.sync import clusters, destinations, kinds
from bridge.sync.site import Task
from bridge.translate import inventory

Manifest = dict[str, Any]
OWNER = "kratix.fn.crossplane.io/bridge"
DESTINATION = "kratix.fn.crossplane.io/destination"
SIZE = {"properties": {"size": {"type": "string"}}}
NARROW = {"properties": {"size": {"type": "integer"}}}


@pytest.fixture
def one() -> Iterator[World]:
    with world("eu-1") as made:
        made.site("eu-1")
        made.until_synced("eu-1")
        yield made


def published(one: World) -> None:
    one.put(cache(**SIZE))
    one.until("it is published", lambda: one.there("eu-1", kinds.COMPOSITION))


def writes(one: World, cluster: str = "eu-1") -> list[str]:
    return [f"{r.method} {r.path}" for r in one.clusters[cluster].asked("write")]


def test_a_promise_becomes_an_xrd_and_a_composition(one: World):
    published(one)
    one.until("it is counted", lambda: one.status("eu-1")["counts"]["published"] == 1)
    assert list(one.there("eu-1", kinds.XRD)) == list(one.there("eu-1", kinds.COMPOSITION)) == [XRD_NAME]
    made = one.there("eu-1", kinds.XRD)[XRD_NAME]
    assert made["metadata"]["annotations"][OWNER] == "platform-uid/eu-1"
    status = one.status("eu-1")
    assert status == {
        "observedGeneration": 0,
        "coreVersion": "",
        "counts": {"promises": 1, "published": 1, "refused": 0, "kept": 0, "destinations": 0, "deleting": 0},
        "published": [{"promise": "cache", "version": "v1.0.0", "xrd": XRD_NAME}],
        "refused": [],
        "kept": [],
        "conditions": [
            {
                "type": "Reachable",
                "status": "True",
                "reason": "Connected",
                "message": f"connected to {one.clusters['eu-1'].server}",
                "lastTransitionTime": "2026-11-25T12:00:00Z",
                "observedGeneration": 0,
            },
            {
                "type": "Synced",
                "status": "True",
                "reason": "Synced",
                "message": "1 Promise and 0 Destinations are there",
                "lastTransitionTime": "2026-11-25T12:00:00Z",
                "observedGeneration": 0,
            },
        ],
    }
    assert one.events() == [("Published", f"On cluster eu-1: published as the XRD {XRD_NAME}, version v1.0.0")]


def test_a_restart_writes_nothing(one: World):
    published(one)
    one.until("it is counted", lambda: one.status("eu-1")["counts"]["published"] == 1)
    one.until_synced("eu-1")
    settled_and_reported(one)
    one.bridge.stop()
    before = writes(one)
    told = len(one.platform.asked("write"))
    status = one.status("eu-1")
    with bridge(one.platform) as again:
        one.bridge = again
        one.until("it is looked at", lambda: again.fleet.sites and again.fleet.sites["eu-1"].board.read("Promise"))
        settled_and_reported(one)
    assert writes(one) == before
    assert one.platform.asked("write")[told:] == [], "neither events nor a status: nothing is news"
    assert one.status("eu-1") == status


def test_what_changed_while_no_bridge_ran_is_told(one: World):
    published(one)
    one.until_synced("eu-1")
    settled_and_reported(one)
    one.bridge.stop()
    one.put(cache(version="v1.1.0", **SIZE))
    with bridge(one.platform) as again:
        one.bridge = again
        news = ("Published", f"On cluster eu-1: published as the XRD {XRD_NAME}, version v1.1.0")
        one.until("it is told", lambda: news in one.events())
        one.until("it is reported", lambda: one.status("eu-1")["published"][0]["version"] == "v1.1.0")


def test_a_cluster_that_is_lost_before_a_restart_is_reported_after_it(one: World):
    published(one)
    one.until_synced("eu-1")
    settled_and_reported(one)
    one.bridge.stop()
    one.clusters["eu-1"].close()
    with bridge(one.platform) as again:
        one.bridge = again
        one.until("it is reported", lambda: one.condition("eu-1", "Reachable")[0] == "False")
        assert one.condition("eu-1", "Synced")[0] == "Unknown"


def settled_and_reported(one: World) -> None:
    one.settled()
    time.sleep(2 * REPORT)  # a report comes so much after what it tells of
    one.settled()


def test_a_status_of_a_promise_that_changes_is_nobodys_business(one: World):
    published(one)
    one.settled()
    adds = one.bridge.fleet.sites["eu-1"].queue.numbers().adds
    one.platform.put(
        kinds.PROMISE, "cache", labels=cache()["metadata"]["labels"], spec=cache(**SIZE)["spec"], status={"a": 1}
    )
    one.settled()
    assert one.bridge.fleet.sites["eu-1"].queue.numbers().adds == adds


def test_no_request_is_made_while_nothing_happens(one: World):
    published(one)
    one.settled()
    one.until("it is reported", lambda: one.status("eu-1")["counts"]["published"] == 1)
    asked = len(one.clusters["eu-1"].requests)
    time.sleep(1.5)
    assert len(one.clusters["eu-1"].requests) == asked


def test_what_changes_need_not_wait_for_a_look_at_everything(one: World):
    one.settled()
    site = one.bridge.fleet.sites["eu-1"]
    delayed = site.queue.numbers().delayed
    names = [f"destination-{number}" for number in range(500)]
    site.add(destinations.NAME, names, within=3600.0)
    assert site.queue.numbers().delayed >= delayed + 490
    started = time.monotonic()
    published(one)
    assert time.monotonic() - started < 5
    site.add(destinations.NAME, names)
    one.settled()
    assert site.queue.numbers().delayed >= delayed + 490, "what is looked at now is looked at once more in its turn"


def test_a_report_does_not_bring_the_next_one_about(one: World):
    settled_and_reported(one)
    reported = len(reports(one))
    started = time.monotonic()
    for number in range(500):
        one.put({"kind": "Destination", "metadata": {"name": f"cluster-{number}", "labels": {}}, "spec": {}})
    one.until("all are there", lambda: one.status("eu-1")["counts"]["destinations"] == 500)
    assert len(reports(one)) - reported <= 2 + (time.monotonic() - started) / REPORT, "no faster than they may"


def reports(one: World) -> list[str]:
    return [r.path for r in one.platform.asked("write") if r.path.endswith("/status")]


def test_an_xrd_with_xrs_is_kept_and_one_without_goes(one: World):
    published(one)
    one.clusters["eu-1"].put(CACHES, "one", "team")
    one.clusters["eu-1"].put(CACHES, "two", "team")
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert one.status("eu-1")["kept"] == [
        {"kind": "Promise", "name": "cache", "reason": f"the XRD {XRD_NAME} stays: 2 XRs exist"}
    ]
    assert [r for r in writes(one) if r.startswith("DELETE")] == []
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    one.clusters["eu-1"].delete(CACHES, "two", "team")
    one.bridge.fleet.sites["eu-1"].add("promise", ["cache"])  # as it does itself after a while
    one.until("its XRD goes", lambda: not one.there("eu-1", kinds.XRD))
    one.until("its Composition goes", lambda: not one.there("eu-1", kinds.COMPOSITION))
    deletes = [r for r in writes(one) if r.startswith("DELETE")]
    assert list(dict.fromkeys(r.rsplit("/", 2)[1] for r in deletes)) == ["compositeresourcedefinitions", "compositions"]


def test_an_xr_that_comes_between_counting_and_deleting_keeps_its_xrd(one: World):
    published(one)
    one.settled()  # an event that is still to come would have the Promise looked at once more
    eu = one.clusters["eu-1"]

    def comes() -> None:
        if not eu.objects[CACHES]:
            eu.put(CACHES, "late", "team")

    # The first count sees none. Then the XRD is read anew, and now there is one.
    path = kinds.XRD.path(name=XRD_NAME)
    original = eu.fault

    def fault(request: Any) -> Fault:
        if request.method == "GET" and request.path == path:
            comes()
        return original(request)

    eu.fault = fault  # type: ignore[method-assign]
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert one.status("eu-1")["kept"][0]["reason"] == f"the XRD {XRD_NAME} stays: it was used just now"
    assert one.there("eu-1", kinds.XRD)


def test_what_cannot_be_counted_is_kept(one: World):
    published(one)
    eu = one.clusters["eu-1"]
    eu.put(kinds.CRD, XRD_NAME)
    original = eu.fault

    def unserved(request: Any) -> Fault:
        return Fault("any", status=404) if request.path == CACHES.path() else original(request)

    eu.fault = unserved  # type: ignore[method-assign]
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("it is kept", lambda: one.status("eu-1").get("kept"))
    assert one.status("eu-1")["kept"][0]["reason"] == f"the XRD {XRD_NAME} stays: XRs that could not be counted exist"
    assert one.there("eu-1", kinds.XRD)


def test_what_would_break_xrs_is_refused(one: World):
    published(one)
    one.clusters["eu-1"].put(CACHES, "one", "team")
    one.put(cache(version="v2.0.0", **NARROW))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert one.condition("eu-1", "Synced") == ("False", "Refused", "refused: Promise cache")
    reason = (
        f"spec.api: the XRD {XRD_NAME} would break 1 XR: v1alpha1 spec.size: was string, and would have to be integer"
    )
    assert one.status("eu-1")["refused"] == [{"kind": "Promise", "name": "cache", "reason": reason}]
    assert one.status("eu-1")["published"] == [{"promise": "cache", "version": "v1.0.0", "xrd": XRD_NAME}]
    assert ("Refused", f"On cluster eu-1: {reason}") in one.events()
    labels = one.there("eu-1", kinds.COMPOSITION)[XRD_NAME]["metadata"]["labels"]
    assert labels["kratix.io/promise-version"] == "v1.0.0", "neither XRD nor Composition is changed"
    one.put(cache(version="v2.0.0", **SIZE))
    one.until_synced("eu-1")
    one.until(
        "it is told",
        lambda: ("Published", f"On cluster eu-1: published as the XRD {XRD_NAME}, version v2.0.0") in one.events(),
    )


def test_two_promises_of_one_api(one: World):
    published(one)
    one.put(cache("another", **SIZE))
    one.until("the later is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    [refused] = one.status("eu-1")["refused"]
    assert refused["name"] == "another"
    assert refused["reason"] == f"spec.api: the XRD {XRD_NAME} is that of Promise cache already"
    one.platform.delete(kinds.PROMISE, "cache")
    one.until(
        "the other has it",
        lambda: (
            one.there("eu-1", kinds.XRD)[XRD_NAME]["metadata"]["labels"]["kratix.fn.crossplane.io/promise"] == "another"
        ),
    )
    one.until_synced("eu-1")


def test_what_others_made_is_not_adopted(one: World):
    one.clusters["eu-1"].put(kinds.XRD, XRD_NAME, spec={"group": "xp.caches.example.org"})
    one.settled()
    one.put(cache(**SIZE))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    reason = f"spec.api: the XRD {XRD_NAME} is there already, and this bridge did not make it"
    assert one.status("eu-1")["refused"] == [{"kind": "Promise", "name": "cache", "reason": reason}]
    assert writes(one) == []
    one.clusters["eu-1"].delete(kinds.XRD, XRD_NAME)
    one.until("it is published", lambda: one.there("eu-1", kinds.COMPOSITION))


def test_a_composition_of_others_is_not_adopted_either(one: World):
    one.clusters["eu-1"].put(kinds.COMPOSITION, XRD_NAME, spec={})
    one.settled()
    one.put(cache(**SIZE))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert "no bridge made it" in one.status("eu-1")["refused"][0]["reason"]
    assert one.there("eu-1", kinds.COMPOSITION)[XRD_NAME]["spec"] == {}


def test_another_bridges_are_not_taken(one: World):
    published(one)
    one.settled()
    one.bridge.stop()
    before = one.there("eu-1", kinds.XRD)
    with bridge(one.platform, identity="another") as other:
        one.bridge = other
        one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
        one.platform.delete(kinds.PROMISE, "cache")
        one.settled()
    assert one.there("eu-1", kinds.XRD) == before


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "data[input.yaml]: is required"),
        ({"input.yaml": "a: ["}, "data[input.yaml]: line 2: is not YAML: did not find"),
        (
            {"input.yaml": "a: " + "[" * 20_000 + "]" * 20_000},
            "data[input.yaml]: document 1, line 1: is nested deeper than",
        ),
        ({"input.yaml": "[]"}, "data[input.yaml]: must be one PromiseInput"),
        ({"input.yaml": "a: 1\n---\na: 2\n"}, "data[input.yaml]: must be one PromiseInput"),
        ({"input.yaml": "chekcs: []"}, "chekcs: unknown field; did you mean checks?"),
    ],
    ids=["no key", "not YAML", "nested", "a list", "two", "an unknown field"],
)
def test_an_input_that_is_none_is_refused_and_what_is_there_stays(one: World, data: Manifest, reason: str):
    published(one)
    metadata = {"name": "i", "namespace": names.NAMESPACE, "labels": {names.INPUT_LABEL: "cache"}}
    one.put({"kind": "ConfigMap", "metadata": metadata, "data": data})
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    assert reason in one.status("eu-1")["refused"][0]["reason"]
    assert one.there("eu-1", kinds.XRD)
    one.put({"kind": "ConfigMap", "metadata": metadata, "data": {"input.yaml": yaml.safe_dump({"ttl": "5m"})}})
    one.until_synced("eu-1")
    [step] = one.there("eu-1", kinds.COMPOSITION)[XRD_NAME]["spec"]["pipeline"]
    assert step["input"]["ttl"] == "5m"


def destination(name: str, labels: dict[str, str] | None = None, **annotations: str) -> Manifest:
    return {"kind": "Destination", "metadata": {"name": name, "labels": labels or {}, "annotations": annotations}}


def test_the_inventory_follows_destinations(one: World):
    secret = {inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev"}
    one.put(destination("dev", {"environment": "dev"}, **secret))
    one.until("it is there", lambda: one.there("eu-1", kinds.ENVIRONMENT_CONFIG))
    [config] = one.there("eu-1", kinds.ENVIRONMENT_CONFIG).values()
    assert config["data"] == {"name": "dev", "labels": {"environment": "dev"}}
    assert list(one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)) == ["dev"]
    one.put(destination("dev", {"environment": "test"}))
    one.until(
        "it is relabelled",
        lambda: (
            one.there("eu-1", kinds.ENVIRONMENT_CONFIG)["destination-dev"]["data"]["labels"] == {"environment": "test"}
        ),
    )
    one.until("without credentials there is no config", lambda: not one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))
    one.platform.delete(kinds.DESTINATION, "dev")
    one.until("it is gone", lambda: not one.there("eu-1", kinds.ENVIRONMENT_CONFIG))


@pytest.mark.parametrize("by", ["Object", "XR"])
def test_a_destination_that_holds_something_is_kept_and_marked(one: World, by: str):
    eu = one.clusters["eu-1"]
    published(one)
    one.put(destination("dev", **{inventory.KUBECONFIG_ANNOTATION: "crossplane-system/dev"}))
    one.until("it is there", lambda: one.there("eu-1", kinds.ENVIRONMENT_CONFIG))
    if by == "Object":
        eu.put(kinds.OBJECTS[1], "placed", "team", labels={DESTINATION: "dev"})
    else:
        eu.put(CACHES, "placed", "team", status={"kratix": {"placements": [{"destination": "dev"}]}})
    one.platform.delete(kinds.DESTINATION, "dev")
    one.until(
        "it is marked",
        lambda: one.there("eu-1", kinds.ENVIRONMENT_CONFIG)["destination-dev"]["data"].get("deleting") is True,
    )
    assert one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG)
    one.until("it is reported", lambda: one.status("eu-1")["kept"])
    kind = "Object" if by == "Object" else "Cache"
    reason = f"it is gone or no longer selected, and {kind} team/placed is placed on it"
    assert one.status("eu-1")["kept"] == [{"kind": "Destination", "name": "dev", "reason": reason}]
    assert one.status("eu-1")["counts"]["deleting"] == 1
    eu.delete(kinds.OBJECTS[1] if by == "Object" else CACHES, "placed", "team")
    one.bridge.fleet.sites["eu-1"].add("destination", ["dev"])  # as it does itself after a while
    one.until("it is gone", lambda: not one.there("eu-1", kinds.ENVIRONMENT_CONFIG))
    one.until("and the way to it", lambda: not one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))


def test_two_destinations_with_one_provider_config(one: World):
    named = {inventory.KUBECONFIG_ANNOTATION: "n/s", "kratix.fn.crossplane.io/provider-config": "shared"}
    one.put(destination("a", **named))
    one.until("it is there", lambda: one.there("eu-1", kinds.CLUSTER_PROVIDER_CONFIG))
    one.settled()
    one.put(destination("b", **named))
    one.until("it is refused", lambda: one.condition("eu-1", "Synced")[1] == "Refused")
    [refused] = one.status("eu-1")["refused"]
    assert refused == {
        "kind": "Destination",
        "name": "b",
        "reason": "ClusterProviderConfig shared: is that of Destination a already",
    }


def test_with_gitops_works_hold_what_there_is_to_publish():
    with world() as made:
        made.put(cache(**SIZE))
        made.put(destination("dev", {"crossplane": "enabled"}))
        made.site("git", gitops={})
        made.until("the Works are there", lambda: len(made.platform.there(kinds.WORK)) == 2)
        works = made.platform.there(kinds.WORK).values()
        assert {w["spec"]["promiseName"] for w in works} == {"cache", "destination-inventory"}
        assert all(w["metadata"]["ownerReferences"][0]["name"] == "git" for w in works)
        made.until_synced("git")
        assert made.condition("git", "Reachable")[:2] == ("Unknown", "GitOps")
        made.put(cache(**NARROW))
        made.until("it is refused", lambda: made.condition("git", "Synced")[1] == "Refused")
        assert "would break XRs that could not be counted" in made.status("git")["refused"][0]["reason"]
        made.platform.delete(kinds.PROMISE, "cache")
        made.until("its Work goes", lambda: len(made.platform.there(kinds.WORK)) == 1)


def test_with_gitops_and_no_destination_nothing_is_written_anywhere():
    with world() as made:
        made.put(cache(**SIZE))
        made.put(destination("dev", {"crossplane": "disabled"}))
        made.site("git", gitops={})
        made.until("it is said", lambda: made.condition("git", "Synced")[1] == "NoDestination")
        assert made.condition("git", "Synced")[2] == (
            "no Destination has the labels crossplane=enabled, so Kratix writes nothing of it anywhere"
        )
        made.put(destination("dev", {"crossplane": "enabled"}))
        made.until_synced("git")
        made.platform.delete(kinds.DESTINATION, "dev")
        made.until("it is said again", lambda: made.condition("git", "Synced")[1] == "NoDestination")


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


def test_an_event_that_could_not_be_told_is_told_later(one: World):
    original = one.platform.fault
    left = [500, 429]

    def fault(request: Any) -> Fault:
        if request.method == "POST" and "/events" in request.path and left:
            return Fault("any", status=left.pop())
        return original(request)

    one.platform.fault = fault  # type: ignore[method-assign]
    published(one)
    news = ("Published", f"On cluster eu-1: published as the XRD {XRD_NAME}, version v1.0.0")
    one.until("it is told", lambda: news in one.events())
    assert left == []


def test_everything_is_looked_at_again_now_and_then(one: World):
    published(one)
    one.settled()
    site = one.bridge.fleet.sites["eu-1"]
    delayed = site.queue.numbers().delayed
    site.queue.add(Task(clusters.PROBE, "eu-1"))
    one.settled()
    assert site.queue.numbers().delayed == delayed, "not at every look"
    site.swept = float("-inf")
    site.queue.add(Task(clusters.PROBE, "eu-1"))
    one.until("its Promise waits to be looked at", lambda: site.queue.numbers().delayed == delayed + 1)


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


def test_a_crossplane_cluster_that_goes_leaves_what_is_there(one: World):
    published(one)
    one.settled()
    one.platform.delete(kinds.CLUSTER, "eu-1")
    one.until("it is closed", lambda: not one.bridge.fleet.sites)
    assert one.there("eu-1", kinds.XRD)
    assert [r for r in writes(one) if r.startswith("DELETE")] == []


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


def test_the_platforms_own_label_is_what_is_published(one: World):
    one.put(cache(publish="false"))
    one.settled()
    assert writes(one) == []
    assert one.platform.there(kinds.PROMISE)[Key("", "cache")]
