"""The queue: each key once, never by two workers, later after each failure."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from bridge.queue import BUCKETS, Queue
from bridge.workers import Workers


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue[str]:
    return Queue("test", clock, base=1, cap=60)


def test_a_key_waits_once(queue: Queue[str]) -> None:
    for key in "abab":
        queue.add(key)
    assert (queue.get(0), queue.get(0), queue.get(0)) == ("a", "b", None), "in the order of their first adds"
    assert queue.numbers().adds == 2


def test_a_key_added_while_it_is_worked_on_is_worked_on_again_afterwards(queue: Queue[str]) -> None:
    queue.add("a")
    assert queue.get(0) == "a"
    queue.add("a")
    queue.add("a")
    assert queue.get(0) is None, "not by a second worker"
    assert queue.numbers().depth == 1
    queue.done("a")
    assert queue.get(0) == "a"
    queue.done("a")
    assert queue.get(0) is None


def test_delays(queue: Queue[str], clock: Clock) -> None:
    queue.add_after("late", 10)
    queue.add_after("early", 5)
    queue.add_after("late", 20)
    queue.add_after("late", 7)
    queue.add_after("now", 0)
    queue.add_after("before", -1)
    assert (queue.get(0), queue.get(0), queue.get(0)) == ("now", "before", None)
    assert queue.numbers().delayed == 2
    clock.now = 6.9
    assert (queue.get(0), queue.get(0)) == ("early", None)
    clock.now = 7
    assert (queue.get(0), queue.get(0)) == ("late", None), "of several times the earliest"
    queue.done("late")
    clock.now = 100
    assert queue.get(0) is None, "and no other"
    assert queue.numbers().delayed == 0


def test_a_delayed_key_comes_though_it_was_worked_on_before(queue: Queue[str], clock: Clock) -> None:
    queue.add_after("a", 5)
    queue.add("a")
    assert queue.get(0) == "a"
    queue.done("a")
    clock.now = 5
    assert queue.get(0) == "a"


def test_back_off_of_a_key(queue: Queue[str], clock: Clock) -> None:
    waits = [queue.add_failed("a") for _ in range(12)]
    for i, wait in enumerate(waits):
        full = min(60, 2**i)
        assert full / 2 <= wait <= full
    assert queue.add_failed("b") <= 1, "each key has its own"
    assert queue.failures("a") == 12
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.add_failed("a") == waits[0], "the same history gives the same waits"
    assert queue.add_failed("a", at_least=500) == 500
    assert queue.numbers().retries == 15
    assert len({Queue(name, clock, base=1, cap=60).add_failed("a") for name in "abcdef"}) == 6, "spread"
    assert queue.add_failed("a", at_least=0) <= 60
    for _ in range(2000):
        assert queue.add_failed("z") <= 60, "no overflow"


def test_shut_down_gives_what_waits_and_no_more(queue: Queue[str], clock: Clock) -> None:
    queue.add("a")
    queue.add("b")
    queue.add_after("late", 1)
    assert queue.get(0) == "a"
    queue.add("a")
    queue.shut_down()
    queue.add("new")
    queue.add_after("new", 0)
    queue.add_after("newer", 1)
    clock.now = 100
    assert not queue.drained(-1)
    assert queue.get() == "b"
    queue.done("b")
    assert queue.get() is None
    queue.done("a")
    assert queue.get() == "a", "it was added before"
    queue.done("a")
    assert queue.get() is None
    assert queue.drained(0)


def test_numbers(queue: Queue[str], clock: Clock) -> None:
    queue.add("a")
    queue.add("b")
    clock.now = 2
    queue.get(0)
    clock.now = 5
    queue.get(0)
    clock.now = 6
    queue.done("a")
    numbers = queue.numbers()
    assert (numbers.depth, numbers.working, numbers.unfinished, numbers.longest) == (0, 1, 1.0, 1.0)
    assert numbers.waited.total == 7
    assert numbers.worked.total == 4
    assert sum(numbers.waited.counts) == 2
    ten = BUCKETS.index(10.0)
    assert numbers.waited.counts[ten] == 2, "2 s and 5 s are over 1 s and at most 10 s"
    queue.done("b")
    assert sum(numbers.worked.counts) == 1, "numbers are those of their moment"
    late: Queue[str] = Queue("late", clock)
    late.add("a")
    clock.now += 5000
    late.get(0)
    assert late.numbers().waited.counts[-1] == 1


KEYS = st.sampled_from("abc")


class Law(RuleBasedStateMachine):
    """Whatever is added is worked on later, in its time, and by one worker at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue: Queue[str] = Queue("law", self.clock, base=1, cap=4)
        self.added: set[str] = set()
        self.due: dict[str, float] = {}
        self.working: list[str] = []

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.added.add(key)

    @rule(key=KEYS, seconds=st.integers(1, 5))
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        self.due[key] = min(self.due.get(key, 1e9), self.clock.now + seconds)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        wait = self.queue.add_failed(key)
        self.due[key] = min(self.due.get(key, 1e9), self.clock.now + wait)

    @rule()
    def tick(self) -> None:
        self.clock.now += 1

    @rule()
    def get(self) -> None:
        got = self.queue.get(0)
        self.added |= {key for key, due in self.due.items() if due <= self.clock.now}
        self.due = {key: due for key, due in self.due.items() if due > self.clock.now}
        if got is None:
            assert self.added <= set(self.working), "all that waits is being worked on"
            return
        assert got in self.added, "before its time"
        assert got not in self.working, "by two workers"
        self.added.discard(got)
        self.working.append(got)

    @precondition(lambda self: self.working)
    @rule(which=st.integers(0, 2))
    def done(self, which: int) -> None:
        self.queue.done(self.working.pop(which % len(self.working)))

    def teardown(self) -> None:
        self.clock.now += 100
        for _ in range(20):
            while self.working:
                self.done(0)
            self.get()
        assert not self.added, "lost"
        assert not self.due


Law.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
test_law = Law.TestCase


def real() -> Queue[str]:
    return Queue("real", time.monotonic, base=0.01, cap=0.02)


def test_get_waits_for_a_key_and_for_its_time() -> None:
    queue = real()
    threading.Timer(0.05, queue.add, ["a"]).start()
    assert queue.get(60) == "a"
    queue.add_after("b", 0.05)
    started = time.monotonic()
    assert queue.get(60) == "b"
    assert time.monotonic() - started > 0.04
    assert queue.get(0.01) is None


def test_workers_never_share_a_key() -> None:
    queue = real()
    busy: set[str] = set()
    wrong: list[str] = []
    done: Counter[str] = Counter()
    lock = threading.Lock()

    def work(key: str) -> None:
        with lock:
            if key in busy:
                wrong.append(key)
            busy.add(key)
        time.sleep(0.0005)
        with lock:
            busy.discard(key)
            done[key] += 1

    workers = Workers(queue, work, count=8)
    workers.start()
    for i in range(2000):
        queue.add(f"k{i % 7}")
    assert workers.stop(10)
    assert not wrong
    assert set(done) == {f"k{i}" for i in range(7)}
    assert queue.numbers().depth == 0


class ExpectedError(Exception):
    retry_after = 0.1


def test_failures_are_logged_counted_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    queue = real()
    tried: Counter[str] = Counter()
    expected = {"bug": 3, "expected": 2, "again": 4}
    over = threading.Event()
    times: list[float] = []

    def work(key: str) -> float | None:
        tried[key] += 1
        if key == "bug" and tried[key] < 3:
            raise KeyError(key)
        if key == "expected" and tried[key] < 2:
            times.append(time.monotonic())
            raise ExpectedError("cannot reach it: it is gone")
        if key == "expected":
            times.append(time.monotonic())
        if key == "again" and tried[key] < 4:
            return 0.01
        if tried == expected:
            over.set()
        return None

    workers = Workers(queue, work, expected=(ExpectedError,), count=2)
    with caplog.at_level(logging.INFO, "bridge.workers"):
        workers.start()
        for key in ("bug", "expected", "again"):
            queue.add(key)
        assert over.wait(60)
        time.sleep(0.2)  # nothing more comes
        assert workers.stop(60)
    assert tried == expected
    assert workers.errors == 3
    assert queue.failures("bug") == 0, "it succeeded in the end"
    assert times[1] - times[0] >= 0.1, "as long as the server asked for"
    bugs = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [bool(record.exc_info) for record in bugs] == [True, True]
    [told] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told.getMessage().startswith("real: cannot reach it: it is gone; next try in 0.1 s")
    assert told.exc_info is None


def test_stop_does_not_wait_for_ever() -> None:
    queue = real()
    stuck = threading.Event()
    workers = Workers(queue, lambda _: stuck.wait(60) and None, count=1)
    workers.start()
    queue.add("a")
    time.sleep(0.05)
    assert not workers.stop(0.1)
    stuck.set()
    assert queue.drained(60)


def test_workers_that_never_started_have_nothing_to_end() -> None:
    queue = real()
    workers = Workers(queue, lambda _: None, count=1)
    queue.add("a")
    assert workers.stop(60)
    assert queue.get(0) == "a"
