"""The breaker of a cluster that does not answer, and how long it waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connecting import connect
from fakeapi import PROMISES, FakeApi, Fault

from bridge.backoff import Backoff
from bridge.breaker import Breaker, Tolerance
from bridge.errors import ApiError, UnreachableError


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        api.put(PROMISES, "a")
        yield api


def test_breaker_of_a_cluster(api: FakeApi) -> None:
    clock = Clock()
    tolerance = Tolerance(failures=3, base=0.2, cap=0.4)
    with connect(api.kubeconfig(), tolerance=tolerance, clock=clock) as cluster:
        api.fail(*[Fault("any", cut=0)] * 3)
        for _ in range(3):
            with pytest.raises(UnreachableError) as first:
                cluster.request("GET", PROMISES.path())
        assert cluster.breaker.is_open
        asked = len(api.requests)
        with pytest.raises(UnreachableError) as raised:
            cluster.request("GET", PROMISES.path())
        assert str(raised.value) == str(first.value), "in the same words"
        assert len(api.requests) == asked, "it is not asked"
        assert raised.value.retry_after is not None
        assert 0 < raised.value.retry_after <= 0.2
        clock.now += 0.2
        assert cluster.request("GET", PROMISES.path())
        assert not cluster.breaker.is_open
        api.fail(*[Fault("any", 503)] * 3)
        for _ in range(3):
            with pytest.raises(ApiError):
                cluster.request("GET", PROMISES.path())
        assert cluster.breaker.is_open, "a load balancer without an API server behind it"
        clock.now += 0.2
        api.fail(*[Fault("any", 500)] * 9)
        for _ in range(9):
            with pytest.raises(ApiError):
                cluster.request("GET", PROMISES.path())
        assert not cluster.breaker.is_open, "an API server that answers at all"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_breaker() -> None:
    clock = Clock()
    breaker = Breaker("eu", clock, Tolerance(failures=2, base=1, cap=8, probe=60))
    breaker.failed("gone")
    breaker.succeeded()
    breaker.failed("gone")
    assert breaker.wait() == 0, "in a row"
    breaker.failed("gone")
    waits = []
    for _ in range(6):
        waits.append(breaker.wait())
        assert waits[-1] > 0
        clock.now += waits[-1]
        assert breaker.wait() == 0, "one is let pass"
        assert breaker.wait() == 60, "and no other, until it has come back or is given up"
        breaker.failed("gone")
    for i, wait in enumerate(waits):
        assert min(8, 2**i) / 2 <= wait <= min(8, 2**i)
    clock.now += 8
    assert breaker.wait() == 0
    clock.now += 60
    assert breaker.wait() == 0, "a probe that never came back"
    breaker.succeeded()
    assert [breaker.wait() for _ in range(3)] == [0, 0, 0]
    assert Breaker("us", clock).wait() == 0
    assert breaker.cause == "gone"


def test_back_off_is_spread_and_bounded() -> None:
    assert len({Backoff(f"n{i}", 1, 60).seconds(3) for i in range(50)}) == 50
    assert Backoff("n", 1, 60).seconds(3) == Backoff("n", 1, 60).seconds(3)
    for failures in range(3000):
        full = min(60, 2.0 ** min(failures, 60))
        assert full / 2 < Backoff("n", 1, 60).seconds(failures) <= full
