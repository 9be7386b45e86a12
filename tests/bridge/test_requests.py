"""Requests that become XRs, and what comes back: the bridge between fake API servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES
from mirrorworld import CREATING, READY, SYNCED, TEAM, Mirrored, mirrored, mirrored_world

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
