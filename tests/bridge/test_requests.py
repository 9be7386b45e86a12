"""Requests that become XRs, and what comes back: the bridge between fake API servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES
from fakeapi import Fault
from mirrorworld import CREATING, READY, REQUESTS, SYNCED, TEAM, Mirrored, mirrored_world

from bridge.observed import owned
from bridge.store import Key
from bridge.sync import kinds
from function.api import names

Manifest = dict[str, Any]


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1") as world:
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


def test_a_kratix_without_health_records():
    with mirrored_world("eu-1", records=False) as one:
        one.request()
        one.placed()
        one.becomes("eu-1", SYNCED, READY)
        one.until("it is told", lambda: one.said().get("ready") == "True")
