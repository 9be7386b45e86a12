"""What is read of a platform once is all that there is, whichever answer comes first."""

from __future__ import annotations

import time

import pytest
import shown
from bridgeworld import held
from shown import platform

from bridge.clusters import Cluster
from bridge.status.reading import Reading
from bridge.sync import kinds


def test_requests_are_waited_for_though_their_promise_comes_late(monkeypatch: pytest.MonkeyPatch):
    """It is read between two looks: which requests are to be read, and whether all is read."""
    opened = Reading._opened
    with platform(shown.healthy) as api, held(api, "GET", kinds.PROMISE.path()) as late:

        def look(reading: Reading) -> object:
            found = opened(reading)
            late.open()
            while not all(kind.decided for kind in reading._own()):
                time.sleep(0.01)
            return found

        monkeypatch.setattr(Reading, "_opened", look)
        cluster = Cluster.of_kubeconfig("platform", api.kubeconfig(), clock=time.monotonic)
        reading = Reading(cluster, lambda: None, time.monotonic)

        def tick(seconds: float) -> None:
            late.open()
            time.sleep(seconds)

        try:
            found = reading.read(60.0, tick)
        finally:
            reading.stop()
    assert [each.name for each in found.requests] == ["orders"]
