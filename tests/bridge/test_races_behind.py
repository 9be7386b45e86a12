"""What changes while a watch is behind, or a cluster is lost: what was not seen decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import BOTH, CACHES, NARROW, SIZE, XRD_NAME, World, cache, held, one_cluster, world
from racing import XRD_PATH, gone, seen, version

from bridge.sync import clusters, kinds
from bridge.sync.report import Reach
from bridge.sync.site import Task


@pytest.fixture
def one() -> Iterator[World]:
    with one_cluster() as made:
        made.settled()
        yield made


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
