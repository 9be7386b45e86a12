"""The finalizer of XRs whose Promise has delete pipelines: which get it, and that it stays no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from bridgeworld import CACHES, World
from deletionworld import FINALIZER, ONE, deleting, ended, finalizers, jobs, promise, published, until, until_held, xr
from fakeapi import Fault
from fakehttp import Request

from bridge import release
from bridge.api import names as own
from bridge.clusters import Cluster
from bridge.fleet import Connect
from bridge.sync import kinds


@pytest.fixture
def one() -> Iterator[World]:
    with deleting() as made:
        yield made


def test_the_finalizer_gets_on_an_xr_that_core_writes_all_the_time(one: World):
    published(one, promise("clean"))
    api, busy = one.clusters["eu-1"], threading.Event()
    original = api.fault

    def written(request: Request) -> Fault:
        if busy.is_set() and request.method == "PATCH" and request.path == CACHES.path("team", "one"):
            with api.changed:
                there = api.objects[CACHES][ONE]
                noted = {"count": str(api.version)}
                api.store(CACHES, {**there, "metadata": {**there["metadata"], "annotations": noted}})
        return original(request)

    api.fault = written  # type: ignore[method-assign]
    busy.set()
    xr(one)
    until_held(one)
    busy.clear()
    assert one.bridge.fleet.sites["eu-1"].queue.numbers().retries == 0, "at the first try"


def test_a_promise_without_delete_pipelines_costs_its_xrs_nothing(one: World):
    published(one, promise())
    xr(one)
    one.settled()
    assert finalizers(one) == []
    assert one.bridge.fleet.sites["eu-1"].wards == {}, "and no watch"


def test_the_pipelines_are_those_of_the_revision_that_an_xr_follows(one: World):
    published(one, promise("old"))
    xr(one)
    until_held(one)
    published(one, promise(version="v2.0.0"), "rev-2")
    xr(one, "two", "rev-2")
    one.settled()
    assert (finalizers(one), finalizers(one, "two")) == ([FINALIZER], [])
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    ended(one, "old")
    until(one, "it goes", lambda: finalizers(one) is None)


def test_an_xr_that_moves_to_a_revision_without_them_is_let_go(one: World):
    published(one, promise("old"))
    xr(one)
    until_held(one)
    there = one.clusters["eu-1"].there(CACHES)[ONE]
    published(one, promise(version="v2.0.0"), "rev-2")
    with one.clusters["eu-1"].changed:
        spec = {"crossplane": {"compositionRevisionRef": {"name": "rev-2"}}}
        one.clusters["eu-1"].store(CACHES, {**there, "spec": spec})
    until(one, "the finalizer goes", lambda: finalizers(one) == [])


def test_no_finalizer_stays_where_deletions_are_no_longer_wanted(one: World):
    published(one, promise("clean"))
    xr(one)
    xr(one, "two")
    until_held(one)
    until_held(one, "two")
    one.clusters["eu-1"].delete(CACHES, "one", "team")
    until(one, "it runs", lambda: "clean" in jobs(one))
    one.site("eu-1")
    one.until("the one that goes is gone", lambda: finalizers(one) is None)
    one.until("the other is free", lambda: finalizers(one, "two") == [])


def test_no_finalizer_stays_when_its_crossplane_cluster_is_deleted(one: World):
    published(one, promise("clean"))
    xr(one)
    until_held(one)
    one.platform.delete(kinds.CLUSTER, "eu-1")
    deadline = time.monotonic() + 10
    while finalizers(one) != []:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    one.until("and nobody works there", lambda: "eu-1" not in one.bridge.fleet.sites)


def test_release_takes_it_off_everywhere(one: World):
    published(one, promise("clean"))
    for name in ("one", "two"):
        xr(one, name)
        until_held(one, name)
    one.bridge.stop()
    one.clusters["eu-1"].delete(CACHES, "one", "team")

    def local(name: str) -> Cluster:
        return Cluster.of_kubeconfig(name, one.platform.kubeconfig(), clock=time.monotonic)

    def remote(name: str, content: bytes) -> Cluster:
        return Cluster.of_kubeconfig(name, content, clock=time.monotonic)

    def released() -> release.Released:
        connect = Connect(local, remote)
        return release.run(
            local("platform"), identity="platform-uid", namespace=own.NAMESPACE, connect=connect, clock=time.monotonic
        )

    assert released() == release.Released(("eu-1: 2 XRs released",), ())
    assert (finalizers(one), finalizers(one, "two")) == (None, [])
    assert released() == release.Released(("eu-1: 0 XRs released",), ())
    one.clusters["eu-1"].close()
    assert released().errors, "a cluster that does not answer is said"
