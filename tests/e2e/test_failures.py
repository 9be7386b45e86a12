"""Parts of the platform die in mid-flight: nothing is lost, nothing is made twice, everything converges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from developer import Platform, Request, named, until_stored

from testbed.profiles import Testbed

_SLOW = 150.0  # Crossplane waits up to a minute between tries


def _core(testbed: Testbed) -> None:
    testbed.crossplane.kill_core()
    testbed.crossplane.start_core()


def _function(testbed: Testbed) -> None:
    testbed.crossplane.kill_function()
    testbed.crossplane.start_function()


def _kratix(testbed: Testbed) -> None:
    testbed.kratix.kill_manager()
    testbed.kratix.start_manager()


def _apiserver(testbed: Testbed) -> None:
    testbed.plane.restart_apiserver()


@pytest.mark.parametrize("crash", [_core, _function, _kratix, _apiserver], ids=lambda crash: crash.__name__.strip("_"))
def test_a_crash_loses_nothing_and_makes_nothing_twice(
    testbed: Testbed, platform: Platform, crash: Callable[[Testbed], None]
):
    name = f"crash{crash.__name__.strip('_')}"
    old = Request(platform.cluster, named(platform.request("xr-dev", storageGB=3), f"{name}old"))
    old.until("Ready", "True", timeout=_SLOW)
    [before] = old.works()
    old.apply(named(platform.request("xr-dev", storageGB=4), f"{name}old"))
    new = Request(platform.cluster, named(platform.request("xr-dev", storageGB=2), f"{name}new"))
    crash(testbed)
    sizes = {old: "4Gi", new: "2Gi"}
    for database, size in sizes.items():
        until_stored(platform, database, size=size, timeout=_SLOW)
        database.until("Ready", "True", timeout=_SLOW)
        assert len(database.works()) == 1
    [after] = old.works()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    for database in sizes:
        database.delete()
