"""Endurance, with `make soak`: for half an hour, or as long as is said."""

from __future__ import annotations

import os
import random  # noqa: TID251 - a seeded one
import time
from collections.abc import Iterator

import pytest
from crashing import Killer, Memory, repeatedly
from developer import Platform
from publishing import Published, published
from soaking import Requests, Watcher, settles, stored_sizes, unsaid

from testbed import example, profiles
from testbed.cache import say
from testbed.profiles import Testbed
from testbed.run import Run

_MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
_REQUESTS = int(os.environ.get("SOAK_REQUESTS", "500"))
_SEED = 20261126
_CHANGE, _LOOK = 0.5, 3.0  # seconds between two
_PUBLISH = 20.0  # each is an XRD, a Composition and its revision
# What starts anew looks at every request first: killed before it is through, it never would be.
_KILL = max(10.0, 0.08 * _REQUESTS)
_PATIENCE = 420.0  # core's circuit breaker lets an XR wait for five minutes after many changes of it
# MB. After all that a benchmark does they have 70 and 140 (docs/benchmarks.md).
_LIMITS = {"function": 90.0, "bridge": 150.0}


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


@pytest.fixture(scope="module")
def promised(bed: Testbed, soaked: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    made = published(bed.plane, tmp_path_factory.mktemp("soak"))
    try:
        yield made
    finally:
        made.process.kill()


def test_whatever_is_killed_nothing_is_lost_and_nothing_is_doubled(bed: Testbed, soaked: Platform, promised: Published):
    changes, crashes = (random.Random(_SEED + number) for number in range(2))  # noqa: S311 - no secrets
    requests = Requests(soaked, changes)
    watcher, killer = Watcher(soaked, requests), Killer(bed, promised, crashes)
    pids = {
        "function": lambda: bed.run.pid(bed.plane.process("function-kratix")),
        "bridge": lambda: promised.process.pid,
    }
    memories = [Memory(part, pid, _LIMITS[part]) for part, pid in pids.items()]
    requests.create(_REQUESTS)
    begin = time.monotonic()
    end = begin + _MINUTES * 60

    def kill() -> None:
        # A process that began anew says nothing of its memory: in the last two thirds these are left alone.
        killer.kill(sparing=pids if time.monotonic() > begin + (end - begin) / 3 else ())

    def look() -> None:
        watcher.look()
        promised.look()

    with repeatedly((_CHANGE, requests.disturb), (_PUBLISH, promised.change), (_KILL, kill), (_LOOK, look)) as check:
        while time.monotonic() < end:
            check()
            for memory in memories:
                memory.look()
            time.sleep(1)
            if int(time.monotonic()) % 60 == 0:
                say(_told(requests, watcher, killer))
    say(_told(requests, watcher, killer))
    _converges(soaked, requests, watcher)
    settles("what is published is the Promise as it is", promised.late, patience=_PATIENCE)
    promised.look()
    assert promised.defects() == []
    for memory in memories:
        memory.judge(begin, end)


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
    published = {"published": killer.published.version}
    counts = {**requests.changes, **published, **{f"{part} killed": number for part, number in killer.kills.items()}}
    return f"{watcher.looks} looks at all; " + ", ".join(f"{name}: {number}" for name, number in counts.items())
