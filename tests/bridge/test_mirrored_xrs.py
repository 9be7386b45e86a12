"""XRs of requests once they are there: how a change of them is seen, what a restart costs, and when they stay."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from bridgeworld import CACHES, bridge
from mirrorworld import CREATING, READY, REQUESTS, SYNCED, TEAM, Mirrored, mirrored, mirrored_world

from bridge.api import names as own
from bridge.store import Key
from bridge.sync import kinds, placements, requests
from bridge.sync.requests import Requests
from bridge.sync.site import Site, Task


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1") as world:
        yield world


@pytest.fixture
def two() -> Iterator[Mirrored]:
    with mirrored_world("eu-1", "eu-2") as world:
        yield world


def test_a_promise_that_is_mirrored_no_longer_leaves_its_xrs(one: Mirrored):
    one.request()
    one.placed()
    one.put(mirrored(labels={own.MIRROR_LABEL: "false"}))
    one.settled()
    one.unrequest()
    one.settled()
    assert one.where() == ["eu-1"]


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


@pytest.mark.parametrize("where", [{"name": "orders/a"}, {"name": ""}, {"namespace": "team-a/b"}])
def test_an_event_about_what_no_object_is_called_is_no_work(one: Mirrored, where: dict[str, str]):
    """An API server takes any text there, and whoever may create events can write one."""
    site = one.bridge.fleet.sites["eu-1"]
    about = {"apiVersion": CACHES.api_version, "kind": "Cache", "namespace": TEAM, "name": "orders", **where}
    one.clusters["eu-1"].put(kinds.EVENT, "odd.1", TEAM, type="Warning", regarding=about)
    watch = next(w for _, w in one.bridge.mirrors.watches if w.resource is kinds.EVENT)
    marker = {**about, "namespace": TEAM, "name": "marker"}
    one.clusters["eu-1"].put(kinds.EVENT, "marker.1", TEAM, type="Warning", regarding=marker)
    one.until("both were seen", lambda: watch.store.get(Key(TEAM, "marker.1")))
    one.settled()
    assert site.queue.numbers().retries == 0
    assert watch.store.get(Key(TEAM, "odd.1")) is None


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
    assert one.status("eu-1").get("counts"), "it is reported"
    placed, place = [], one.bridge.mirrors.place

    def noted(task: Task) -> float | None:
        if task.controller == placements.NAME:  # versions are looked at again by the clock
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


def test_requests_that_come_after_a_first_look_are_swept_too(one: Mirrored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(requests, "AGAIN", 0.5)
    one.settled()
    swept, sweep = [], Requests.sweep

    def noted(self: Requests, site: Site, promise: str) -> float | None:
        swept.append(promise)
        return sweep(self, site, promise)

    monkeypatch.setattr(Requests, "sweep", noted)
    time.sleep(1.0)
    assert not swept, "there is nothing to look at"
    one.request()
    one.until("it is swept, now and then", lambda: len(swept) > 1)


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
