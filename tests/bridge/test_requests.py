"""Requests that become XRs, and what comes back: the bridge between fake API servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, bridge
from mirrorworld import CREATING, READY, SYNCED, TEAM, Mirrored, mirrored, mirrored_world

from bridge.api import names as own
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
