"""Versions of mirrored requests where one of them, or one cluster, refuses: all others get theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES
from fakeapi import Fault
from mirrorworld import TEAM, Mirrored, mirrored_world
from versionworld import binding, refusing, rollout, runs, selected, told, until

from bridge.sync import bindings, versions


@pytest.fixture
def two() -> Iterator[tuple[Mirrored, dict[str, str]]]:
    """A world with requests on both of two clusters: one for each cluster, which is the key."""
    with mirrored_world("eu-1", "eu-2", others=(bindings.BINDING,)) as world:
        on: dict[str, str] = {}
        for number in range(20):
            world.request(name := f"r{number}", labels={"env": "dev"})
            runs(world, cluster := world.placed(name), "v1.0.0", name=name)
            if on.setdefault(cluster, name) != name:
                world.unrequest(name)
            if len(on) == 2:
                break
        world.settled()
        yield world, on


def said(world: Mirrored, cluster: str) -> str:
    return world.condition(cluster, "Synced")[2]


@pytest.mark.parametrize("status", [403, 500])
def test_a_cluster_that_does_not_list_holds_up_no_other(two: tuple[Mirrored, dict[str, str]], status: int):
    world, on = two
    with refusing(world.clusters["eu-2"], status, "GET", CACHES.path()):
        for name in on.values():
            binding(world, "v0.9.0", name)
        until(world, "the other selects it", lambda: selected(world, "eu-1", on["eu-1"]) == "v0.9.0")
        until(world, "it is said there", lambda: f"(HTTP {status})" in said(world, "eu-2"))
        assert world.condition("eu-1", "Synced")[0] == "True"
        runs(world, "eu-1", "v0.9.0", name=on["eu-1"])
        until(world, "it is answered", lambda: told(world, on["eu-1"])[0] == "UpgradeComplete")
    until(world, "it follows", lambda: selected(world, "eu-2", on["eu-2"]) == "v0.9.0")
    until(world, "nothing is said", lambda: world.condition("eu-2", "Synced")[0] == "True")


def test_a_cluster_that_does_not_list_holds_its_wave(two: tuple[Mirrored, dict[str, str]]):
    world, on = two
    where = f"eu-2 {TEAM}/{on['eu-2']}"
    with refusing(world.clusters["eu-2"], 403, "GET", CACHES.path()):
        rollout(world, "v2.0.0", {"env": "dev"})
        until(world, "the other selects it", lambda: selected(world, "eu-1", on["eu-1"]) == "v2.0.0")
        runs(world, "eu-1", "v2.0.0", name=on["eu-1"])
        news = f"wave 1 of 1 to v2.0.0 is under way: 2 XRs; it waits for {where}: its XRs cannot be listed"
        until(world, "it is told", lambda: ("Rollout", news) in world.events(), world.events)
    until(world, "it follows", lambda: selected(world, "eu-2", on["eu-2"]) == "v2.0.0")


@pytest.mark.parametrize("what", ["XR", "binding"])
@pytest.mark.parametrize("status", [403, 409])
def test_one_that_is_refused_holds_up_no_other(two: tuple[Mirrored, dict[str, str]], what: str, status: int):
    """Members come in the order of their names; whichever is the first is the one that is refused."""
    world, on = two
    [(cluster, first), (other, last)] = sorted(on.items(), key=lambda each: each[1])
    api = world.clusters[cluster] if what == "XR" else world.platform
    path = CACHES.path(TEAM, first) if what == "XR" else bindings.BINDING.path(TEAM, first, "status")
    original = api.fault

    def fault(request: Any) -> Fault:
        found = original(request)
        refused = (request.method, request.path) == ("PATCH", path)
        is_ours = what == "binding" or request.query.get("fieldManager") == versions.MANAGER
        return Fault(status=status) if refused and is_ours else found

    api.fault = fault  # type: ignore[method-assign]
    for name in on.values():
        binding(world, "v0.9.0", name)
    until(world, "the other selects it", lambda: selected(world, other, last) == "v0.9.0")
    until(world, "the other is answered", lambda: told(world, last)[0] == "UpgradeInProgress")
    if status == 403:
        until(world, "it is said there", lambda: "(HTTP 403)" in said(world, cluster))
    api.fault = original  # type: ignore[method-assign]
    until(world, "it follows", lambda: selected(world, cluster, first) == "v0.9.0")
    until(world, "it is answered", lambda: told(world, first)[0] == "UpgradeInProgress")
    until(world, "nothing is said", lambda: world.condition(cluster, "Synced")[0] == "True")
