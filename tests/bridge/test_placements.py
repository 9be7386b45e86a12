"""Which Crossplane cluster takes a request, and what becomes of it when that one matches no more, drains or is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, bridge, failing
from mirrorworld import READY, REQUESTS, SYNCED, TEAM, Mirrored, mirrored, mirrored_world

from bridge.api import names as own
from bridge.resources import Resource
from bridge.sync import clusters, kinds, mirror
from bridge.sync.answers import Case
from bridge.sync.intake import Of
from bridge.sync.ledger import Ledger
from function.api.placing import Decision


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1") as world:
        yield world


@pytest.fixture
def two() -> Iterator[Mirrored]:
    with mirrored_world("eu-1", "eu-2") as world:
        yield world


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


def test_a_cluster_that_drains_is_left_when_another_one_is_reached(two: Mirrored):
    two.request()
    old = two.placed()
    new = {"eu-1": "eu-2", "eu-2": "eu-1"}[old]
    two.settled()
    two.clusters[new].close()
    two.bridge.fleet.sites[new].add(clusters.PROBE, [""])
    two.until("it is lost", lambda: two.condition(new, "Reachable")[0] == "False")
    two.drain(old)
    two.until("it is told", lambda: two.said()["placement"]["state"] == "Misplaced")
    two.clusters[new].reopen()
    two.until("it moves", lambda: len(two.where()) == 2)
    two.becomes(new, SYNCED, READY)
    two.until("it has moved", lambda: two.where() == [new])


def test_a_cluster_that_drains_is_left_when_another_one_matches(two: Mirrored):
    two.label("eu-1", zone="a")
    two.request(annotations={own.CLUSTERS_ANNOTATION: "zone=a"})
    two.placed()
    two.label("eu-1", zone="a", **{own.DRAIN_LABEL: "true"})
    why = "it is being drained; kept until a CrossplaneCluster with zone=a takes it"
    two.until("it is told", lambda: two.said()["placement"] == {"state": "Misplaced", "reason": why})
    two.label("eu-2", zone="a")
    two.until("it moves", lambda: len(two.where()) == 2)


def test_of_two_that_tell_at_once_the_later_is_what_was_told(one: Mirrored, monkeypatch: pytest.MonkeyPatch):
    """The cluster's worker tells how the XR was, while the bridge's own decides that it is to be elsewhere."""
    one.request()
    one.placed()
    one.settled()
    answers = one.bridge.mirrors._placements.answers
    of = Of("cache", TEAM, "orders")
    opened, request = one.bridge.mirrors._intake.get(of) or (None, None)
    assert opened
    assert request
    one.bridge.stop()
    case = Case(of, opened, request)
    tell, second = Ledger.tell, threading.Event()

    def slowly(ledger: Ledger, of: Of, told: Any) -> bool:
        if threading.current_thread() is first:
            second.wait(0.5)  # it cannot be told meanwhile
        return tell(ledger, of, told)

    def say(message: str) -> None:
        answers.write(case, mirror.waiting(Decision("eu-1", "Placed", "because"), message))

    monkeypatch.setattr(Ledger, "tell", slowly)
    first = threading.Thread(target=say, args=("first",))
    first.start()
    one.until("the first is written", lambda: one.said()["message"] == "first")
    say("second")
    second.set()
    first.join()
    say("first")
    assert one.said()["message"] == "first", "what was written in between was not"


def test_a_cluster_that_drains_is_left_when_another_one_gets_the_promise():
    with mirrored_world("eu-1", "eu-2", eu_2={"promiseSelector": {"matchLabels": {"all": "yes"}}}, on=("eu-1",)) as two:
        two.request()
        assert two.placed() == "eu-1"
        two.drain("eu-1")
        two.until("it is told", lambda: two.said()["placement"]["state"] == "Misplaced")
        two.put(mirrored(labels={"all": "yes"}))
        two.until("it moves", lambda: len(two.where()) == 2)


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


def test_a_request_that_is_made_anew_goes_to_no_cluster_that_is_gone(two: Mirrored):
    two.request()
    old = two.placed()
    new = {"eu-1": "eu-2", "eu-2": "eu-1"}[old]
    two.settled()
    two.platform.delete(kinds.CLUSTER, old)
    gone = f"cluster {old} is no CrossplaneCluster any more: this is what was known of it last"
    two.until("it is told", lambda: two.said().get("message") == gone)
    two.unrequest()
    two.settled()
    two.request(size="new")
    two.until("it is on the other", lambda: two.xr(new))
    assert two.said()["cluster"] == new


def test_an_annotation_that_cannot_be_read(one: Mirrored):
    one.request(annotations={own.CLUSTERS_ANNOTATION: "zone"})
    why = "metadata.annotations[bridge.kratix.io/clusters]: must be labels such as zone=eu,tier=prod, not 'zone'"
    one.until("it is told", lambda: one.said().get("message") == why)
    one.request(annotations={})
    one.placed()
    one.request(annotations={own.CLUSTERS_ANNOTATION: "zone"})
    one.until("it stays", lambda: one.said()["placement"] == {"state": "Misplaced", "reason": why})
    assert one.said()["cluster"] == "eu-1"


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


@pytest.mark.parametrize("kind", [CACHES, kinds.COMPOSITION], ids=["its XRs", "a kind that is published"])
@pytest.mark.parametrize("status", [403, 500])
def test_a_cluster_that_refuses_a_list_holds_up_no_request(two: Mirrored, kind: Resource, status: int):
    two.bridge.stop()
    names_ = [f"r{i}" for i in range(6)]
    with failing(two.clusters["eu-2"], kind.path(), status=status), bridge(two.platform) as again:
        two.bridge = again
        for name in names_:
            two.request(name)
        assert {two.placed(name) for name in names_} == {"eu-1"}
        two.request("far", annotations={own.CLUSTERS_ANNOTATION: "zone=eu"})
        why = "no CrossplaneCluster has zone=eu (1 CrossplaneCluster: 0 with it); eu-2 cannot be read"
        two.until("it is said", lambda: two.said("far").get("message") == why)
        if status == 403 and kind is CACHES:
            two.until("it is reported", lambda: two.status("eu-2")["refused"])
            [verdict] = two.status("eu-2")["refused"]
            unseen = "its XRs are not seen: cannot list caches.xp.caches.example.org on cluster eu-2: "
            assert (verdict["name"], verdict["reason"][: len(unseen)]) == ("of Promise cache", unseen)


def test_a_request_that_waits_for_a_cluster_that_hangs_says_so(two: Mirrored):
    two.bridge.stop()
    with failing(two.clusters["eu-2"], kinds.COMPOSITION.path(), hang=60), bridge(two.platform) as again:
        two.bridge = again
        two.request()
        two.until("it is said", lambda: two.said().get("message") == "cluster eu-2 has not been read yet")
        assert two.where() == []
