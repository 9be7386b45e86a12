"""Endurance, with `make soak`: for half an hour, or as long as is said."""

from __future__ import annotations

import os
import random  # noqa: TID251 - a seeded one
import time
from collections.abc import Iterator

import pytest
from developer import Platform
from soaking import Killer, Memory, Requests, Watcher, repeatedly, settles, stored_sizes, unsaid

from testbed import example, profiles
from testbed.cache import say
from testbed.profiles import Testbed
from testbed.run import Run

_MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
_REQUESTS = int(os.environ.get("SOAK_REQUESTS", "500"))
_SEED = 20261126
_CHANGE, _LOOK = 0.5, 3.0  # seconds between two
# What starts anew looks at every request first: killed before it is through, it never would be.
_KILL = max(10.0, 0.08 * _REQUESTS)
_PATIENCE = 420.0  # core's circuit breaker lets an XR wait for five minutes after many changes of it
_FLAT = 1.05
# Caches are bounded; a shorter time does not fill them.
_LONG_ENOUGH = 20.0


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """Its own: what is killed here would disturb others' tests."""
    run = Run(f"soak-{os.getpid()}")
    try:
        yield profiles.up("kratix", run, owner=os.getpid())
    finally:
        run.end()


@pytest.fixture(scope="module")
def soaked(bed: Testbed) -> Platform:
    names = {name: name for name in example.namespaces("postgres")}
    platform = Platform(bed.plane.cluster, example.FOLDER / "postgres", bed.kratix.files, names)
    platform.install()
    return platform


def test_whatever_is_killed_nothing_is_lost_and_nothing_is_doubled(bed: Testbed, soaked: Platform):
    changes, crashes = (random.Random(_SEED + number) for number in range(2))  # noqa: S311 - no secrets
    requests = Requests(soaked, changes)
    watcher, killer = Watcher(soaked, requests), Killer(bed, crashes)
    memory = Memory(lambda: bed.run.pid(bed.plane.process("function-kratix")))
    requests.create(_REQUESTS)
    begin = time.monotonic()
    end = begin + _MINUTES * 60

    def kill() -> None:
        # A process that began anew says nothing of its memory: in the last two thirds the function is left alone.
        killer.kill(sparing="function" if time.monotonic() > begin + (end - begin) / 3 else None)

    with repeatedly((_CHANGE, requests.disturb), (_KILL, kill), (_LOOK, watcher.look)) as check:
        while time.monotonic() < end:
            check()
            memory.look()
            time.sleep(1)
            if int(time.monotonic()) % 60 == 0:
                say(_told(requests, watcher, killer))
    say(_told(requests, watcher, killer))
    _converges(soaked, requests, watcher)
    middle, last = (memory.third(number, begin=begin, end=end) for number in (2, 3))
    say(f"the function's memory: {middle:.1f} MB in the middle third, {last:.1f} MB in the last")
    assert last <= middle * _FLAT or _MINUTES < _LONG_ENOUGH


def _converges(platform: Platform, requests: Requests, watcher: Watcher) -> None:
    """At the end each request is what it was last asked to be, once, and there is nothing else."""
    _stored(platform, requests)
    for name in unsaid(platform, requests.namespace):
        requests.put(name)
    _stored(platform, requests)
    watcher.look()
    works = platform.cluster.list("platform.kratix.io/v1alpha1", "Work", requests.namespace)
    assert len(works) == len(requests.sizes)
    settles("all are Ready", lambda: _unready(platform, requests), patience=_PATIENCE)


def _stored(platform: Platform, requests: Requests) -> None:
    wanted = {name: [size] for name, size in requests.sizes.items()}
    settles(
        "the state store has each database once, with its last size",
        lambda: _different(stored_sizes(platform), wanted),
        patience=_PATIENCE,
    )


def _different(found: dict[str, list[int]], wanted: dict[str, list[int]]) -> dict[str, str]:
    names = sorted(found.keys() | wanted.keys())
    return {name: f"{found.get(name)}, not {wanted.get(name)}" for name in names if found.get(name) != wanted.get(name)}


def _unready(platform: Platform, requests: Requests) -> dict[str, str]:
    found = platform.cluster.list(*requests.api, requests.namespace)
    ready = {
        request["metadata"]["name"]
        for request in found
        for condition in request.get("status", {}).get("conditions", ())
        if (condition["type"], condition["status"]) == ("Ready", "True")
    }
    return dict.fromkeys(requests.sizes.keys() - ready, "not Ready")


def _told(requests: Requests, watcher: Watcher, killer: Killer) -> str:
    counts = {**requests.changes, **{f"{part} killed": number for part, number in killer.kills.items()}}
    return f"{watcher.looks} looks at all; " + ", ".join(f"{name}: {number}" for name, number in counts.items())
