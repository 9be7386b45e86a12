"""Versions of mirrored requests while something that says them cannot be read: nothing is decided anew for that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bridgeworld import CACHES, bridge, held
from mirrorworld import REQUESTS, TEAM, Mirrored, mirrored, mirrored_world
from versionworld import binding, births, refusing, rollout, runs, selected, until

from bridge.resources import Resource
from bridge.sync import bindings, clusters, kinds, requests, versions
from bridge.sync.site import Task


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1", others=(bindings.BINDING,)) as world:
        yield world


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("rolled_out", [False, True])
def test_a_bridge_that_begins_unpins_nothing_while_it_may_not_read_what_is_pinned(
    one: Mirrored, status: int, rolled_out: bool
):
    """Its role is not there yet, or the kind is not: once it had read both, the XR would be taken back."""
    one.request(labels={"env": "dev"})
    one.placed()
    binding(one, "v1.0.0")
    one.until("it selects it", lambda: selected(one, "eu-1") == "v1.0.0")
    one.bridge.stop()
    if rolled_out:
        rollout(one, "v2.0.0", {"env": "dev"})
    with refusing(one.platform, status, "GET", bindings.BINDING.path()), bridge(one.platform) as again:
        one.bridge = again
        one.until("XRs were looked at", lambda: again.mirrors._ledger.is_swept("eu-1", "cache"))
        one.until("it is refused", lambda: again.mirrors._bindings.watch.health.status == status)
        again.queue.add(Task(versions.NAME, "", "cache"))
        one.settled()
        assert selected(one, "eu-1") == "v1.0.0"
    with bridge(one.platform) as again:
        one.bridge = again
        one.platform.delete(bindings.BINDING, "orders", "team-a")
        until(one, "it goes on", lambda: selected(one, "eu-1") == ("v2.0.0" if rolled_out else ""))


def test_an_older_kratix_lets_go_of_what_a_roll_out_held():
    with mirrored_world("eu-1") as world:
        world.request(labels={"env": "dev"})
        world.placed()
        runs(world, "eu-1", "v1.0.0")
        for version in ("v2.0.0", "v3.0.0"):
            rollout(world, version, {"env": "dev"})
            until(world, "it is moved", lambda version=version: selected(world, "eu-1") == version)
        world.put(mirrored())
        until(world, "it follows the newest", lambda: selected(world, "eu-1") == "")


def test_a_promise_whose_requests_cannot_be_listed_is_looked_at_less_often(one: Mirrored):
    """A list that is on its way is there in a moment; an API that is not served may stay so for ever."""
    one.bridge.stop()
    look = Task(versions.NAME, "", "cache")
    with held(one.platform, "GET", REQUESTS.path()) as gate, bridge(one.platform) as one.bridge:
        gate.until_reached()
        assert one.bridge.mirrors.place(look) == requests.SOON
        gate.open()
        one.until("it is looked at for what it says", lambda: one.bridge.mirrors.place(look) is None)
    with refusing(one.platform, 404, "GET", REQUESTS.path()), bridge(one.platform) as one.bridge:
        one.until("it waits longer", lambda: one.bridge.mirrors.place(look) == clusters.LATER > requests.SOON)


@contextmanager
def held_back(**more: Any) -> Iterator[tuple[Mirrored, str, str]]:
    """A world with a request that a roll-out holds at v1, the cluster that it is on, and the other one."""
    with mirrored_world("eu-1", "eu-2", others=(bindings.BINDING,), **more) as world:
        world.request()
        old = world.placed()
        runs(world, old, "v1.0.0")
        rollout(world, "v2.0.0", {"env": "nowhere"})
        world.settled()
        yield world, old, {"eu-1": "eu-2", "eu-2": "eu-1"}[old]


def test_what_moves_off_a_cluster_whose_watch_is_behind_keeps_its_version():
    """The watch has not shown the XRD yet that was applied there, so its XRs seemed not to be there."""
    with held_back(behind=kinds.XRD) as (world, old, new):
        world.drain(old)
        world.until("it moves", lambda: world.xr(new))
        assert births(world, new) == ["v1.0.0"]


def test_what_moves_off_a_cluster_that_is_not_read_yet_keeps_its_version():
    """Its kubeconfig was changed just then, so the bridge connects anew."""
    with held_back() as (world, old, new):
        before = world.bridge.fleet.sites[old]
        with held(world.clusters[old], "GET", "/version") as gate:
            world.secret(old, world.clusters[old].kubeconfig() + b"\n")
            gate.until_reached()
            world.until("it is made anew", lambda: world.bridge.fleet.sites.get(old, before) is not before)
            world.drain(old)
            world.until("it is sent there", lambda: world.said().get("cluster") == new)
            time.sleep(0.5)
            assert births(world, new) == []
            gate.open()
            world.until("it moves", lambda: world.xr(new))
        assert births(world, new) == ["v1.0.0"]


def sent(world: Mirrored, old: str, new: str) -> None:
    """A request is sent to another cluster and is not there yet, and no bridge runs."""
    with refusing(world.clusters[new], 500, "PATCH", CACHES.path(TEAM, "orders")):
        world.drain(old)
        world.until("it is sent there", lambda: world.said().get("cluster") == new)
        world.bridge.stop()


def test_what_moves_while_the_bridge_begins_keeps_its_version():
    """Where it is to be is written down, and where it was is not: any cluster that was not looked at may have it."""
    with held_back() as (world, old, new):
        sent(world, old, new)
        with held(world.clusters[old], "GET", CACHES.path()) as gate, bridge(world.platform) as world.bridge:
            gate.until_reached()
            world.until("the other was looked at", lambda: world.bridge.mirrors._ledger.is_swept(new, "cache"))
            time.sleep(0.5)
            assert births(world, new) == []
            gate.open()
            world.until("it moves", lambda: world.xr(new))
            assert births(world, new) == ["v1.0.0"]


@pytest.mark.parametrize("kind", [CACHES, kinds.XRD])
def test_a_cluster_that_refuses_to_say_keeps_nothing_from_being_made(kind: Resource):
    """What nobody can know of another cluster holds up nobody for ever."""
    with held_back() as (world, old, new):
        sent(world, old, new)
        with refusing(world.clusters[old], 403, "GET", kind.path()), bridge(world.platform) as world.bridge:
            world.until("it is made", lambda: world.xr(new))
