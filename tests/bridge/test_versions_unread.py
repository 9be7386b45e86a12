"""Versions of mirrored requests while something that says them cannot be read: nothing is decided anew for that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bridgeworld import bridge
from mirrorworld import Mirrored, mirrored, mirrored_world
from versionworld import binding, refusing, rollout, runs, selected, until

from bridge.sync import bindings, versions
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
