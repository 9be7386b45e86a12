"""Requests that become XRs, and what comes back: the bridge between fake API servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, bridge
from fakeapi import Fault
from mirrorworld import CREATING, READY, REQUESTS, SYNCED, TEAM, Mirrored, mirrored, mirrored_world

from bridge.api import names as own
from bridge.clusters import APPLY
from bridge.observed import owned
from bridge.store import Key
from bridge.sync import kinds, requests
from bridge.sync.site import Task
from function.api import names

Manifest = dict[str, Any]


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1") as world:
        yield world


@pytest.fixture
def two() -> Iterator[Mirrored]:
    with mirrored_world("eu-1", "eu-2") as world:
        yield world


def test_a_request_becomes_an_xr(one: Mirrored):
    one.request(size="small", labels={"team": "a", "kratix.io/promise-name": "cache"})
    one.placed()
    made = one.xr("eu-1")
    assert made is not None
    assert made["spec"] == {"size": "small"}
    labels = {key: value for key, value in made["metadata"]["labels"].items() if key != names.OWNER_LABEL}
    assert labels == {
        "team": "a",
        names.MIRRORS_LABEL: "true",
        names.REQUEST_PROMISE_LABEL: "cache",
        names.REQUEST_NAMESPACE_LABEL: TEAM,
        names.REQUEST_NAME_LABEL: "orders",
    }
    one.until("it is told", lambda: one.said().get("kind"))
    assert one.said() == {
        "apiVersion": CACHES.api_version,
        "kind": "Cache",
        "name": "orders",
        "namespace": TEAM,
        "cluster": "eu-1",
        "placement": {"state": "Placed", "reason": "the only CrossplaneCluster"},
        "message": "nothing is known of it yet",
        "ready": "Unknown",
    }


def test_a_field_that_the_user_removes_is_removed(one: Mirrored):
    one.request(size="small", colour="red")
    one.placed()
    one.request(size="large")
    one.until("the XR follows", lambda: (one.xr("eu-1") or {})["spec"] == {"size": "large"})


def test_a_field_that_others_set_stays(one: Mirrored):
    one.request(size="small")
    one.placed()
    key = next(iter(one.clusters["eu-1"].there(CACHES)))
    with one.clusters["eu-1"].changed:
        before = one.clusters["eu-1"].objects[CACHES][key]
        reference = {"compositionRef": {"name": "c"}}
        one.clusters["eu-1"].store(CACHES, {**before, "spec": {**before["spec"], "crossplane": reference}})
    one.request(size="large")
    one.until("the XR follows", lambda: (one.xr("eu-1") or {})["spec"]["size"] == "large")
    assert (one.xr("eu-1") or {})["spec"]["crossplane"] == reference


def test_what_the_xr_says_comes_back(one: Mirrored):
    one.request()
    one.placed()
    one.becomes("eu-1", SYNCED, CREATING)
    one.until("it is being made", lambda: one.said().get("ready") == "False")
    one.becomes("eu-1", SYNCED, READY, endpoint="cache.example.org", kratix={"placements": []})
    one.until("it is ready", lambda: one.said().get("ready") == "True")
    assert one.told()["endpoint"] == "cache.example.org"
    assert "kratix" not in one.told(), "that is the function's, on its own cluster"
    assert one.said()["conditions"] == [SYNCED, READY]
    one.until("it is recorded", lambda: [r["state"] for r in one.records().values()] == ["healthy"])
    one.becomes("eu-1", SYNCED, CREATING, endpoint="cache.example.org")
    one.until("it was ready once", lambda: [r["state"] for r in one.records().values()] == ["unhealthy"])


def test_requests_of_one_name_are_two_xrs(one: Mirrored):
    one.request(size="a", namespace="team-a")
    one.request(size="b", namespace="team-b")
    one.placed(namespace="team-a")
    one.placed(namespace="team-b")
    assert [(one.xr("eu-1", namespace=n) or {})["spec"]["size"] for n in ("team-a", "team-b")] == ["a", "b"]


def test_an_xr_goes_with_its_request(one: Mirrored):
    one.request()
    one.placed()
    one.unrequest()
    one.until("the XR is gone", lambda: not one.where())


def test_requests_are_spread_and_stay(two: Mirrored):
    names_ = [f"r{i}" for i in range(12)]
    for name in names_:
        two.request(name)
    before = {name: two.placed(name) for name in names_}
    assert set(before.values()) == {"eu-1", "eu-2"}
    assert two.said("r0")["placement"] == {"state": "Placed", "reason": "chosen of 2 CrossplaneClusters by hash"}
    two.bridge.stop()
    with bridge(two.platform) as again:
        two.bridge = again
        two.request("r0", size="new")
        two.until("the bridge works", lambda: (two.xr(before["r0"], "r0") or {})["spec"] == {"size": "new"})
        two.settled()
        assert {name: two.placed(name) for name in names_} == before
        assert two.said("r0")["placement"]["state"] == "Placed", "it says why it was chosen, not that it was kept"


def test_a_promise_asks_for_clusters_and_wins_over_its_requests(two: Mirrored):
    two.label("eu-1", zone="a", tier="prod")
    two.label("eu-2", zone="b", tier="prod")
    two.put(mirrored(annotations={own.CLUSTERS_ANNOTATION: "zone=b"}))
    two.settled()
    two.request(annotations={own.CLUSTERS_ANNOTATION: "zone=a, tier=prod"})
    assert two.placed() == "eu-2"
    assert two.said()["placement"]["reason"] == "the only CrossplaneCluster with tier=prod and zone=b"


def test_nobody_takes_a_request(two: Mirrored):
    two.request(annotations={own.CLUSTERS_ANNOTATION: "zone=mars"})
    why = "no CrossplaneCluster has zone=mars (2 CrossplaneClusters: 0 with it)"
    two.until("it is told", lambda: two.said().get("message") == why)
    assert two.where() == []
    two.label("eu-2", zone="mars")
    assert two.placed() == "eu-2"


def test_a_cluster_that_no_longer_matches_keeps_what_it_has(two: Mirrored):
    two.label("eu-1", zone="a")
    two.request(annotations={own.CLUSTERS_ANNOTATION: "zone=a"})
    two.placed()
    two.becomes("eu-1", SYNCED, READY)
    two.until("it is ready", lambda: two.said().get("ready") == "True")
    two.label("eu-1", zone="b")
    two.label("eu-2", zone="a")
    told = {"state": "Misplaced", "reason": "it no longer has zone=a; kept as Kratix does"}
    two.until("it is told", lambda: two.said()["placement"] == told)
    assert two.where() == ["eu-1"]
    assert two.said()["ready"] == "True", "the rest of the status stays"
    two.put(mirrored(annotations={own.MISPLACED_ANNOTATION: "Move"}))
    two.until("it moves", lambda: two.where() == ["eu-1", "eu-2"])
    two.becomes("eu-2", SYNCED, READY)
    two.until("it has moved", lambda: two.where() == ["eu-2"])


def test_a_drained_cluster_is_left_when_the_new_xr_is_ready(two: Mirrored):
    two.request()
    old = two.placed()
    new = {"eu-1": "eu-2", "eu-2": "eu-1"}[old]
    two.becomes(old, SYNCED, READY)
    two.until("it is ready", lambda: two.said().get("ready") == "True")
    two.drain(old)
    two.until("it is on both", lambda: len(two.where()) == 2)
    two.settled()
    assert len(two.where()) == 2, "nothing is ready on the new cluster yet"
    assert two.said()["placement"] == {
        "state": "Moved",
        "reason": f"moved off {old} (it is being drained); the only CrossplaneCluster",
    }
    two.becomes(new, SYNCED, READY)
    two.until("it is on one", lambda: two.where() == [new])
    two.label(old)
    two.settled()
    assert two.where() == [new], "it does not go back by itself"


def test_a_cluster_that_drains_with_nowhere_to_go_keeps_what_it_has(one: Mirrored):
    one.request()
    one.placed()
    one.drain("eu-1")
    why = "it is being drained; kept until a CrossplaneCluster takes it"
    one.until("it is told", lambda: one.said()["placement"] == {"state": "Misplaced", "reason": why})
    one.request("second")
    nobody = "no CrossplaneCluster takes requests that ask for no label (1 CrossplaneCluster: 1 being drained)"
    one.until("the second waits", lambda: one.said("second").get("message") == nobody)


def test_a_lost_cluster_is_unknown_with_a_time_and_not_gone(two: Mirrored):
    two.request()
    lost = two.placed()
    two.becomes(lost, SYNCED, READY, endpoint="cache.example.org")
    two.until("it is ready", lambda: two.said().get("ready") == "True")
    two.clusters[lost].close()
    two.bridge.fleet.sites[lost].add("probe", [""])
    two.until("it is told", lambda: two.said().get("ready") == "Unknown")
    said = two.said()
    assert said["message"] == f"cluster {lost} is not reached: this is what was known of it last"
    assert said["unknownSince"] == "2026-11-25T12:00:00Z"
    assert (said["cluster"], said["conditions"]) == (lost, [SYNCED, READY])
    assert two.told()["endpoint"] == "cache.example.org", "what was known stays"
    two.until("it is recorded", lambda: [r["state"] for r in two.records().values()] == ["unknown"])
    two.request("other")
    other = {"eu-1": "eu-2", "eu-2": "eu-1"}[lost]
    assert two.placed("other") == other, "new requests go where they can"
    two.clusters[lost].reopen()
    two.until("it is back", lambda: two.said().get("ready") == "True")
    assert "unknownSince" not in two.said()
    assert two.where() == [lost]


# What Kratix says in a request's status of its own: as published in 2024, at the top and in `kratix`, by workflow.
_SUCCEEDED = {"name": "make", "phase": "Succeeded", "lastTransitionTime": "2026-11-25T11:00:00Z"}
LAYOUTS: dict[str, Manifest] = {
    "2024": {
        "message": "Resource requested",
        "observedGeneration": 1,
        "conditions": [{"type": "PipelineCompleted", "status": "True", "reason": "PipelineExecutedSuccessfully"}],
    },
    "at the top, and in kratix": {
        "message": "Pending",
        "conditions": [{"type": "ConfigureWorkflowCompleted", "status": "True"}],
        "workflows": 1,
        "workflowsSucceeded": 1,
        "workflowsFailed": 0,
        "lastSuccessfulConfigureWorkflowTime": "2026-11-25T11:00:00Z",
        "promiseVersion": "v1.0.0",
        "resourceBindingVersion": "latest",
        "kratix": {"workflows": {"pipelines": [_SUCCEEDED]}},
    },
    "by workflow": {
        "conditions": [{"type": "Reconciled", "status": "Unknown", "reason": "Paused"}],
        "healthStatus": {"state": "healthy"},
        "kratix": {"workflows": {"configure": {"pipelines": [_SUCCEEDED]}}},
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_kratix_says_of_a_request_stays_kratixs(one: Mirrored, layout: str):
    """Also while its cluster is lost, when what was known last is said again; and what a pipeline of Kratix's said."""
    kratix = {**LAYOUTS[layout], "stage": "a pipeline's"}
    one.request()
    one.placed()
    with one.platform.changed:
        there = one.platform.objects[REQUESTS][Key(TEAM, "orders")]
        one.platform.store(REQUESTS, {**there, "status": {**there["status"], **kratix}})
    taken = {field: "the XR's" for field in kratix if field not in ("stage", "conditions")}
    one.becomes("eu-1", SYNCED, READY, endpoint="cache.example.org", **taken)
    one.until("it is told", lambda: one.told().get("endpoint"))
    one.clusters["eu-1"].close()
    one.bridge.fleet.sites["eu-1"].add("probe", [""])
    one.until("it is lost", lambda: one.said().get("ready") == "Unknown")
    one.settled()
    assert {field: one.told().get(field) for field in kratix} == kratix
    found = one.platform.there(REQUESTS)[Key(TEAM, "orders")]
    own = [owned(found, entry["manager"], "status") for entry in found["metadata"]["managedFields"]]
    assert own == [{"crossplane", "endpoint"}], "and the bridge owns nothing of it"


PIPELINES = {
    "resource": {
        "configure": [{"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"}}]
    }
}
MARK = {names.BRIDGE_WORKFLOW_LABEL: "function"}
WORKFLOWS: dict[str, tuple[Manifest, Manifest, str]] = {
    "pipelines": (
        {},
        PIPELINES,
        "spec.workflows.resource: would run twice for each mirrored request, by Kratix here and by the function there; "
        "if it is the function's alone, label the Promise bridge.kratix.io/workflow=function",
    ),
    "delete pipelines": (
        {},
        {"resource": {"delete": PIPELINES["resource"]["configure"]}},
        "spec.workflows.resource: would run twice",
    ),
    "marked, and Kratix runs them": (MARK, PIPELINES, "metadata.labels[kratix.io/paused]: must be true"),
    "marked otherwise": (
        {names.BRIDGE_WORKFLOW_LABEL: "kratix"},
        PIPELINES,
        "spec.workflows.resource: would run twice",
    ),
    "marked, and Kratix keeps off": ({**MARK, "kratix.io/paused": "true"}, PIPELINES, ""),
    "a workflow of the Promise itself": ({}, {"promise": PIPELINES["resource"]}, ""),
}


def verdicts(world: Mirrored, cluster: str = "eu-1") -> list[tuple[str, str]]:
    return [(each["name"], each["reason"]) for each in world.status(cluster).get("refused", ())]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_never_runs_twice(one: Mirrored, name: str):
    labels, workflows, refused = WORKFLOWS[name]
    one.put(mirrored(labels=labels, workflows=workflows))
    one.settled()
    one.request()
    if not refused:
        assert one.placed() == "eu-1"
        return
    one.until("it is refused", lambda: any(reason.startswith(refused) for _, reason in verdicts(one)))
    assert [about for about, _ in verdicts(one)] == ["of Promise cache"]
    [(_, why)] = verdicts(one)
    news = ("Refused", f"Its requests are not mirrored: {why}")
    one.until("it is told on the Promise", lambda: news in one.events())
    one.settled()
    assert one.where() == []
    one.put(mirrored())
    one.placed()
    one.until("nothing is refused", lambda: not verdicts(one))


def test_a_promise_that_is_mirrored_no_longer_leaves_its_xrs(one: Mirrored):
    one.request()
    one.placed()
    one.put(mirrored(labels={own.MIRROR_LABEL: "false"}))
    one.settled()
    one.unrequest()
    one.settled()
    assert one.where() == ["eu-1"]


def test_an_xr_that_somebody_made_is_left_alone(one: Mirrored):
    one.clusters["eu-1"].put(CACHES, "orders", TEAM, spec={"size": "theirs"})
    one.request(size="mine")
    why = "apply Cache team-a/orders: it is there, and no bridge made it"
    one.until("it is told", lambda: one.said().get("message") == why)
    one.until("it is reported", lambda: verdicts(one) == [("cache/team-a/orders", why)])
    one.unrequest()
    one.settled()
    assert (one.xr("eu-1") or {})["spec"] == {"size": "theirs"}


def test_a_field_that_another_manager_owns_is_a_conflict_that_the_requester_sees(one: Mirrored):
    one.request(size="small")
    one.placed()
    path = CACHES.path(TEAM, "orders")
    body = {"apiVersion": CACHES.api_version, "kind": "Cache", "metadata": {"name": "orders", "namespace": TEAM}}
    cluster = one.bridge.fleet.sites["eu-1"].cluster
    query = {"fieldManager": "somebody", "force": "true"}
    cluster.request("PATCH", path, query=query, body={**body, "spec": {"size": "huge"}}, content_type=APPLY)
    one.request(size="large")
    why = "nothing is known of it yet; apply Cache team-a/orders: somebody owns .spec.size"
    one.until("it is told", lambda: one.said().get("message") == why)
    assert (one.xr("eu-1") or {})["spec"] == {"size": "huge"}


def test_what_the_cluster_does_not_take_is_told_and_tried_again(one: Mirrored):
    one.clusters["eu-1"].schemas["Cache"] = {"size"}
    one.request(colour="red")
    why = 'apply Cache team-a/orders: strict decoding error: unknown field "spec.colour" (HTTP 400)'
    one.until("it is told", lambda: one.said().get("message") == why)
    one.clusters["eu-1"].schemas["Cache"] = {"size", "colour"}
    one.until("it is tried again", lambda: one.xr("eu-1"))


def test_a_name_that_no_xr_can_have(one: Mirrored):
    one.request("n" * 64)
    why = "metadata.name: must have at most 63 characters"
    one.until("it is told", lambda: one.said("n" * 64).get("message") == why)


def test_an_annotation_that_cannot_be_read(one: Mirrored):
    one.request(annotations={own.CLUSTERS_ANNOTATION: "zone"})
    why = "metadata.annotations[bridge.kratix.io/clusters]: must be labels such as zone=eu,tier=prod, not 'zone'"
    one.until("it is told", lambda: one.said().get("message") == why)
    one.request(annotations={})
    one.placed()
    one.request(annotations={own.CLUSTERS_ANNOTATION: "zone"})
    one.until("it stays", lambda: one.said()["placement"] == {"state": "Misplaced", "reason": why})
    assert one.said()["cluster"] == "eu-1"


def test_a_namespace_that_is_not_there_is_made(one: Mirrored):
    one.clusters["eu-1"].fail(Fault(on="write", status=404))
    one.request()
    one.placed()
    assert list(one.there("eu-1", kinds.NAMESPACE)) == [TEAM]


def test_a_namespace_that_another_request_makes_first_is_no_failure(one: Mirrored, caplog: pytest.LogCaptureFixture):
    one.clusters["eu-1"].fail(Fault(on="write", status=404), Fault(on="write", status=409))
    one.request()
    one.placed()
    assert "create Namespace" not in caplog.text


def test_what_core_says_before_any_function_is_called_is_seen(one: Mirrored):
    one.request()
    one.placed()
    one.settled()
    broken = {"type": "Synced", "status": "False", "reason": "ReconcileError", "message": "no Composition"}
    one.becomes("eu-1", broken, lit=False)
    one.settled()
    assert "conditions" not in one.said(), "nothing has said it yet"
    about = {"apiVersion": CACHES.api_version, "kind": "Cache", "namespace": TEAM, "name": "orders"}
    one.clusters["eu-1"].put(kinds.EVENT, "orders.1", TEAM, type="Warning", regarding=about, note="no Composition")
    one.until("it is told", lambda: one.said().get("conditions") == [broken])


def test_what_nothing_says_is_found_by_a_sweep(one: Mirrored):
    one.request()
    one.placed()
    one.settled()
    one.becomes("eu-1", SYNCED, READY, lit=False)
    one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
    one.until("it is told", lambda: one.said().get("ready") == "True")


def test_an_xr_that_somebody_deletes_comes_again(one: Mirrored):
    one.request()
    one.placed()
    one.settled()
    one.clusters["eu-1"].delete(CACHES, "orders", TEAM)
    one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
    one.placed()


def test_a_request_that_went_while_no_bridge_ran(one: Mirrored):
    one.request()
    one.placed()
    one.settled()
    one.bridge.stop()
    one.unrequest()
    with bridge(one.platform) as again:
        one.bridge = again
        one.until("its XR is gone", lambda: not one.where())


def test_a_restored_platform_without_statuses_makes_no_second_xr(two: Mirrored):
    names_ = [f"r{i}" for i in range(6)]
    for name in names_:
        two.request(name)
    before = {name: two.placed(name) for name in names_}
    two.settled()
    two.bridge.stop()
    for name in names_:
        two.platform.put(REQUESTS, name, TEAM, spec={})
    for cluster in two.clusters:  # the hash would choose others now
        two.label(cluster, zone=cluster)
    with bridge(two.platform) as again:
        two.bridge = again
        two.until("all are told", lambda: all(two.said(name).get("kind") for name in names_))
        assert {name: two.where(name) for name in names_} == {name: [where] for name, where in before.items()}
        assert two.said("r0")["placement"] == {"state": "Kept", "reason": "it was here and still matches"}


def test_connection_details_come_back_where_that_is_wanted():
    with mirrored_world("eu-1", eu_1={"replies": {"connectionSecrets": True}}) as one:
        one.request()
        one.placed()
        one.secret_of("eu-1")
        one.becomes("eu-1", SYNCED, READY)
        one.until("it is told", lambda: one.said().get("connectionSecret") == "orders-connection")
        found = one.platform.there(kinds.SECRET)[Key(TEAM, "orders-connection")]
        assert found["data"] == {"uri": "cmVkaXM6Ly9zZWNyZXQ="}
        assert found["metadata"]["ownerReferences"][0]["kind"] == "Cache"
        texts = str([one.told(), one.records(), one.status("eu-1"), one.events()])
        assert "cmVkaXM6Ly9zZWNyZXQ=" not in texts


def test_a_secret_of_another_request_is_left_alone():
    with mirrored_world("eu-1", eu_1={"replies": {"connectionSecrets": True}}) as one:
        labels = {names.REQUEST_PROMISE_LABEL: "postgres", names.REQUEST_NAME_LABEL: "orders"}
        one.platform.put(kinds.SECRET, "orders-connection", TEAM, labels=labels, data={"uri": "dGhlaXJz"})
        one.request()
        one.placed()
        one.secret_of("eu-1")
        one.becomes("eu-1", SYNCED, READY)
        why = (
            "it is ready; Secret team-a/orders-connection: is that of request orders of Promise postgres already, "
            "so that of this one does not come back"
        )
        one.until("it is told", lambda: one.said().get("message") == why)
        assert one.platform.there(kinds.SECRET)[Key(TEAM, "orders-connection")]["data"] == {"uri": "dGhlaXJz"}


def test_a_kratix_without_health_records():
    with mirrored_world("eu-1", records=False) as one:
        one.request()
        one.placed()
        one.becomes("eu-1", SYNCED, READY)
        one.until("it is told", lambda: one.said().get("ready") == "True")


def test_a_cluster_is_watched_alike_whatever_is_published_there(one: Mirrored):
    """1,000 APIs on 20 clusters are not 20,000 watches."""
    for i in range(8):
        other = mirrored(f"other-{i}")
        other["spec"]["api"]["spec"]["group"] = f"g{i}.example.org"
        one.put(other)
    one.until("all are there", lambda: len(one.there("eu-1", kinds.XRD)) == 9)
    one.request()
    one.placed()
    expected = {
        "/apis/apiextensions.crossplane.io/v2/compositeresourcedefinitions",
        "/apis/apiextensions.crossplane.io/v1/compositions",
        "/apis/apiextensions.crossplane.io/v1beta1/environmentconfigs",
        "/apis/kubernetes.m.crossplane.io/v1alpha1/clusterproviderconfigs",
        "/api/v1/configmaps",
        "/apis/events.k8s.io/v1/events",
    }

    def watched() -> set[str]:
        return {each.path for each in one.clusters["eu-1"].asked("watch")}

    one.until("all watches are open", lambda: watched() >= expected)
    one.settled()
    assert watched() == expected


def test_nothing_is_written_while_nothing_happens(one: Mirrored):
    one.request()
    one.placed()
    one.becomes("eu-1", SYNCED, READY)
    one.until("it is told", lambda: one.said().get("ready") == "True")
    one.settled()

    def written() -> list[str]:
        asked = [each for api in (one.platform, one.clusters["eu-1"]) for each in api.asked("write")]
        return [f"{each.method} {each.path}" for each in asked if "crossplaneclusters" not in each.path]

    before = written()
    for _ in range(3):
        one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
        one.bridge.mirrors.look(one.bridge.fleet.sites["eu-1"])
        one.settled()
    assert written() == before


def test_who_writes_xrs_cannot_write_into_a_request(one: Mirrored):
    """An XR with every mark of a mirrored one, but another name, is neither answered nor deleted."""
    one.request()
    one.placed()
    one.settled()
    mine = (one.xr("eu-1") or {})["metadata"]
    status = {"conditions": [SYNCED, READY], "endpoint": "evil.example.org"}
    one.clusters["eu-1"].put(
        CACHES, "evil", TEAM, labels=mine["labels"], annotations=mine["annotations"], spec={}, status=status
    )
    one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
    one.settled()
    assert "endpoint" not in one.told()
    assert one.xr("eu-1", "evil") and one.xr("eu-1")


def test_xrs_stay_when_the_promise_is_deleted(one: Mirrored):
    """Kratix deletes its requests then; that XRs go with them is nobody's word."""
    one.request()
    one.placed()
    one.settled()
    leaving = mirrored()
    with one.platform.changed:
        before = one.platform.objects[kinds.PROMISE][Key("", "cache")]
        metadata = {**before["metadata"], "deletionTimestamp": "2026-11-25T12:00:00Z"}
        one.platform.store(kinds.PROMISE, {**before, "metadata": metadata, "spec": leaving["spec"]})
    one.settled()
    one.unrequest()
    one.settled()
    assert one.where() == ["eu-1"]


def test_reports_of_a_cluster_are_nobodys_business(one: Mirrored):
    one.request()
    one.placed()
    one.settled()
    one.until("it is reported", lambda: one.status("eu-1").get("counts"))
    one.settled()
    placed, place = [], one.bridge.mirrors.place

    def noted(task: Task) -> float | None:
        placed.append(task)
        return place(task)

    one.bridge.mirrors.place = noted  # type: ignore[method-assign]
    with one.platform.changed:
        before = one.platform.objects[kinds.CLUSTER][Key("", "eu-1")]
        one.platform.store(kinds.CLUSTER, {**before, "status": {**before["status"], "coreVersion": "v9"}})
    one.settled()
    assert not placed


def test_a_restart_writes_nothing(two: Mirrored):
    names_ = [f"r{i}" for i in range(4)]
    for name in names_:
        two.request(name)
    where = {name: two.placed(name) for name in names_}
    for name in names_:
        two.becomes(where[name], SYNCED, READY, name=name)
    two.until("all are ready", lambda: all(two.said(name).get("ready") == "True" for name in names_))
    two.settled()
    two.bridge.stop()
    before = [two.told(name) for name in names_]
    versions = [each["metadata"]["resourceVersion"] for each in two.platform.there(REQUESTS).values()]
    with bridge(two.platform) as again:
        two.bridge = again
        two.until(
            "both are read", lambda: len(again.fleet.sites) == 2 and all(s.ready for s in again.fleet.sites.values())
        )
        two.settled()
    assert [two.told(name) for name in names_] == before
    after = [each["metadata"]["resourceVersion"] for each in two.platform.there(REQUESTS).values()]
    assert after == versions, "not even for a moment"


@pytest.mark.parametrize("served", [True, False])
def test_an_xr_stays_while_it_is_not_sure_that_its_request_is_gone(one: Mirrored, served: bool):
    """The watch says so, and the platform just now does not: the request is there, or its API is not."""
    one.request()
    one.placed()
    one.settled()
    if not served:
        one.platform.resources = tuple(each for each in one.platform.resources if each is not REQUESTS)
    one.bridge.mirrors._intake.opened["cache"].watch.store.remove(Key(TEAM, "orders"))
    time.sleep(1.5)  # it is asked twice a second
    assert one.where() == ["eu-1"]


def test_an_xr_that_has_changed_just_now_is_looked_at_again(one: Mirrored):
    """Where an XR changes much, core calls no function for minutes, and its beacon stands still."""
    one.request()
    one.placed()
    one.settled()
    one.becomes("eu-1", SYNCED, CREATING)
    one.until("it is told", lambda: one.said().get("ready") == "False")
    one.settled()
    for number in range(2):
        one.becomes("eu-1", SYNCED, CREATING, lit=False, endpoint=f"e{number}.example.org")
        began = time.monotonic()
        one.until("it is told", lambda: one.told().get("endpoint") == f"e{number}.example.org")  # noqa: B023 - in the loop
        assert time.monotonic() - began < 10, "a sweep comes once a minute"
