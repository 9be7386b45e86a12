"""Leader election: one leads at a time, a stopped one gives way at once, and a hung one only after it gave up itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import lease
from bridge.errors import UnreachableError
from bridge.lease import Election, Holder, LostError

START = datetime(2026, 11, 25, tzinfo=UTC)


class Server:
    """An API server with one Lease, and the clocks of those who want it."""

    def __init__(self) -> None:
        self.lease: Mapping[str, Any] | None = None
        self.version = 0
        self.seconds = 0.0
        self.down = False
        self.writes = 0

    def get(self) -> Mapping[str, Any] | None:
        if self.down:
            raise UnreachableError("platform", "read the Lease", "connection refused")
        return self.lease

    def write(self, lease: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if self.down:
            raise UnreachableError("platform", "read the Lease", "connection refused")
        current = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if lease["metadata"].get("resourceVersion") != current:
            return None
        self.version += 1
        self.writes += 1
        self.lease = {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(self.version)}}
        return self.lease


def candidate(server: Server, me: str, skew: float = 0.0) -> Election:
    """One of several; its time of day may be off, and its clock starts anywhere."""
    return Election(
        me,
        "bridge",
        "ns",
        lambda: server.seconds + skew,
        lambda: START + timedelta(seconds=server.seconds + skew),
        server,
    )


def test_the_first_leads_and_the_second_knows_whom():
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b")
    assert first.attempt()
    assert not second.attempt()
    assert second.holder() == Holder("a", "2026-11-25T00:00:00.000000Z")
    assert server.lease["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-25T00:00:00.000000Z",
        "renewTime": "2026-11-25T00:00:00.000000Z",
        "leaseTransitions": 0,
    }


def test_it_is_renewed_and_keeps_when_it_was_acquired():
    server = Server()
    first = candidate(server, "a")
    assert first.attempt()
    server.seconds = 2
    assert first.attempt()
    spec = server.lease["spec"]
    assert (spec["acquireTime"], spec["renewTime"]) == ("2026-11-25T00:00:00.000000Z", "2026-11-25T00:00:02.000000Z")
    assert spec["leaseTransitions"] == 0


def test_who_stops_gives_way_at_once():
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b")
    first.attempt()
    second.attempt()
    first.release()
    assert second.attempt(), "without waiting"
    assert server.lease["spec"]["leaseTransitions"] == 1


def test_who_leads_no_more_releases_nothing():
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b")
    first.attempt()
    second.attempt()
    server.seconds = 16
    assert second.attempt()
    writes = server.writes
    first.release()
    assert server.writes == writes
    assert server.lease["spec"]["holderIdentity"] == "b"


@pytest.mark.parametrize("skew", [-3600.0, 3600.0], ids=["slow clock", "fast clock"])
def test_a_hung_leader_is_replaced_after_it_was_seen_unchanged(skew: float):
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b", skew)
    first.attempt()
    server.seconds = 100
    assert not second.attempt(), "seen for the first time: how old it is says nobody's clock"
    server.seconds = 100 + 14.9
    assert not second.attempt()
    server.seconds = 100 + 15.1
    assert second.attempt()


def test_a_leader_that_renews_is_never_replaced():
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b")
    first.attempt()
    for _ in range(30):
        server.seconds += 2
        assert first.attempt()
        assert not second.attempt()


def test_who_cannot_renew_stops_before_another_may_lead():
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b")
    first.attempt()
    second.attempt()
    server.down = True

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            server.seconds += timeout or 0
            return False

    with pytest.raises(
        LostError,
        match="cannot renew the Lease ns/bridge: cannot read the Lease on cluster platform: connection refused",
    ):
        first.hold(Stop())
    assert server.seconds < lease.DURATION
    server.down = False
    assert not second.attempt(), "not yet: there is time between the two"


def test_it_is_overdue_whatever_its_thread_does():
    server = Server()
    first = candidate(server, "a")
    assert first.is_overdue(), "it never had it"
    first.attempt()
    server.seconds = lease.RENEW_DEADLINE
    assert not first.is_overdue()
    server.seconds += 1
    assert first.is_overdue()

    def slow() -> Mapping[str, Any] | None:
        server.seconds += 6
        return server.lease

    server.get = slow  # type: ignore[method-assign]
    assert first.attempt()
    server.seconds += 5
    assert first.is_overdue(), "it counts from when the try began, as those do who wait"


def test_who_sees_another_stops_at_once():
    server = Server()
    first, second = candidate(server, "a"), candidate(server, "b")
    first.attempt()
    second.attempt()
    server.seconds = 20
    assert second.attempt()
    with pytest.raises(LostError, match="it is held by b"):
        first.hold(threading.Event() if server.down else _Once(server))


class _Once(threading.Event):
    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server

    def wait(self, timeout: float | None = None) -> bool:
        self.server.seconds += timeout or 0
        return False


def test_waiting_says_who_leads_once_and_ends_when_stopped():
    server = Server()
    candidate(server, "a").attempt()
    stop, told, failed = threading.Event(), [], []

    class Stop(threading.Event):
        rounds = 0

        def wait(self, timeout: float | None = None) -> bool:
            Stop.rounds += 1
            server.down = Stop.rounds == 2
            if Stop.rounds == 5:
                self.set()
            return self.is_set()

    stop = Stop()
    assert not candidate(server, "b").wait(stop, failed.append, told.append)
    assert [holder.name for holder in told] == ["a"]
    assert [str(error) for error in failed] == ["cannot read the Lease on cluster platform: connection refused"]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["attempt", "release", "wait"])), max_size=60))
def test_two_never_believe_that_they_lead(steps: list[tuple[int, str]]):
    """Whatever happens in whichever order: who believes to lead believed so for less than a Lease's duration."""
    server = Server()
    candidates = [candidate(server, name, skew) for name, skew in (("a", 0.0), ("b", 500.0), ("c", -500.0))]
    until = {each.me: -1.0 for each in candidates}
    for index, step in steps:
        each = candidates[index]
        if step == "wait":
            server.seconds += 4
        elif step == "release":
            until[each.me] = -1.0
            each.release()
        elif each.attempt():
            until[each.me] = server.seconds + lease.RENEW_DEADLINE
        else:
            until[each.me] = -1.0
        leading = [me for me, end in until.items() if end >= server.seconds]
        assert len(leading) <= 1
