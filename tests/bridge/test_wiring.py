"""The bridge against fake API servers: what it makes of a Promise, tells and asks for, also after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import REPORT, SIZE, XRD_NAME, World, bridge, cache, one_cluster, published, writes
from fakeapi import Fault

from bridge.store import Key
from bridge.sync import clusters, destinations, kinds
from bridge.sync.site import Task

OWNER = "kratix.fn.crossplane.io/bridge"


@pytest.fixture
def one() -> Iterator[World]:
    with one_cluster() as made:
        yield made


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
    one.settled()
    one.bridge.stop()
    before = writes(one)
    told = len(one.platform.asked("write"))
    status = one.status("eu-1")
    with bridge(one.platform) as again:
        one.bridge = again
        one.until("it is looked at", lambda: again.fleet.sites and again.fleet.sites["eu-1"].board.read("Promise"))
        one.settled()
    assert writes(one) == before
    assert one.platform.asked("write")[told:] == [], "neither events nor a status: nothing is news"
    assert one.status("eu-1") == status


def test_what_changed_while_no_bridge_ran_is_told(one: World):
    published(one)
    one.until_synced("eu-1")
    one.settled()
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
    one.settled()
    one.bridge.stop()
    one.clusters["eu-1"].close()
    with bridge(one.platform) as again:
        one.bridge = again
        one.until("it is reported", lambda: one.condition("eu-1", "Reachable")[0] == "False")
        assert one.condition("eu-1", "Synced")[0] == "Unknown"


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
    assert time.monotonic() - started < 30
    site.add(destinations.NAME, names)
    one.settled()
    assert site.queue.numbers().delayed >= delayed + 490, "what is looked at now is looked at once more in its turn"


def test_a_report_does_not_bring_the_next_one_about(one: World):
    one.settled()
    reported = len(reports(one))
    started = time.monotonic()
    for number in range(500):
        one.put({"kind": "Destination", "metadata": {"name": f"cluster-{number}", "labels": {}}, "spec": {}})
    one.until("all are there", lambda: one.status("eu-1")["counts"]["destinations"] == 500)
    assert len(reports(one)) - reported <= 2 + (time.monotonic() - started) / REPORT, "no faster than they may"


def reports(one: World) -> list[str]:
    return [r.path for r in one.platform.asked("write") if r.path.endswith("/status")]


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


def test_the_platforms_own_label_is_what_is_published(one: World):
    one.put(cache(publish="false"))
    one.settled()
    assert writes(one) == []
    assert one.platform.there(kinds.PROMISE)[Key("", "cache")]


def test_of_a_cluster_that_is_gone_nothing_is_remembered(one: World):
    one.site("eu-1", replies={})
    one.until("what it answers is looked at", lambda: any(name == "eu-1" for _, name in one.bridge._told))
    one.platform.delete(kinds.CLUSTER, "eu-1")
    one.until("it is let go", lambda: "eu-1" not in one.bridge.fleet.sites)
    one.settled()
    assert one.bridge._told == {}
