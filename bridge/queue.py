"""A queue of keys to work on; it knows no kinds.

The semantics are those that controllers rely on (client-go, util/workqueue): a key that waits is there once, however
often it is added; a key that is being worked on and is added again is worked on once more afterwards, never by two
workers at a time. So a worker looks at the present state, and events may be dropped as long as their key is added.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from bridge.backoff import Backoff
from function.api.histogram import Histogram

Key = TypeVar("Key", bound=Hashable)
# controller-runtime's buckets for workqueue_*_seconds: 10 ns to 1,000 s (pkg/internal/metrics/workqueue.go), whose
# dashboards people have.
BUCKETS: Final = tuple(1e-8 * 10**power for power in range(12))


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a queue tells of itself, for metrics; seconds and counts.

    Attributes:
        depth: Keys that wait, without those that are delayed.
        delayed: Keys that wait for their time.
        working: Keys that are being worked on.
        adds: Keys that were queued since the start.
        retries: Keys that were queued again after a failure.
        waited: How long keys waited in the queue.
        worked: How long work on a key took.
        unfinished: How long the work under way has taken so far, in sum.
        longest: The longest of these.
    """

    depth: int
    delayed: int
    working: int
    adds: int
    retries: int
    waited: Histogram
    worked: Histogram
    unfinished: float
    longest: float


class Queue(Generic[Key]):
    """A queue; safe to use from several threads.

    Args:
        name: In logs and metrics.
        clock: Monotonic seconds.
        base: Seconds before a key that failed is tried again.
        cap: Seconds at most, however often it failed.
    """

    def __init__(self, name: str, clock: Callable[[], float], *, base: float = 0.5, cap: float = 300.0) -> None:
        self.name = name
        self._clock = clock
        self._base = base
        self._cap = cap
        self._changed = threading.Condition()
        self._ready: deque[Key] = deque()
        self._since: dict[Key, float] = {}  # of the keys that wait: those of _ready, and added again while worked on
        self._started: dict[Key, float] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._pushed = 0
        self._failures: dict[Key, int] = {}
        self._closed = False
        self._adds = 0
        self._retries = 0
        self._waited = Histogram(BUCKETS)
        self._worked = Histogram(BUCKETS)

    def add(self, key: Key) -> None:
        """Have a key worked on, soon."""
        with self._changed:
            self._add(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Have a key worked on after a while; of several times the earliest counts."""
        with self._changed:
            self._add_after(key, seconds)

    def add_failed(self, key: Key, *, at_least: float = 0.0) -> float:
        """Have a key worked on again after a failure: the more in a row, the later.

        Args:
            at_least: Seconds; what a server asked for.

        Returns:
            In how many seconds.
        """
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self._retries += 1
            wait = max(at_least, Backoff(f"{self.name}/{key}", self._base, self._cap).seconds(failures))
            self._add_after(key, wait)
            return wait

    def forget(self, key: Key) -> None:
        """A key did not fail: the next failure is its first."""
        with self._changed:
            self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        """How often a key failed in a row."""
        with self._changed:
            return self._failures.get(key, 0)

    def get(self, timeout: float | None = None) -> Key | None:
        """The next key, which is the caller's until it calls `done`.

        Args:
            timeout: Seconds to wait for one; for ever by default.

        Returns:
            None when the time is over, or when the queue is shut down and empty.
        """
        until = None if timeout is None else self._clock() + timeout
        with self._changed:
            while True:
                now = self._clock()
                self._release(now)
                if self._ready:
                    return self._take(now)
                if self._closed or (until is not None and now >= until):
                    return None
                waits = [
                    moment - now for moment in (until, self._heap[0][0] if self._heap else None) if moment is not None
                ]
                self._changed.wait(min(waits) if waits else None)

    def done(self, key: Key) -> None:
        """The caller is through with a key that it got."""
        with self._changed:
            self._worked.observe(self._clock() - self._started.pop(key))
            if key in self._since:
                self._ready.append(key)
            self._changed.notify_all()

    def shut_down(self) -> None:
        """Take no more keys and drop those that are delayed; what waits can still be got."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._due.clear()
            self._changed.notify_all()

    def drained(self, timeout: float) -> bool:
        """Wait until nothing waits and nobody works.

        Returns:
            Whether it came to that in so many seconds.
        """
        until = self._clock() + timeout
        with self._changed:
            while self._since or self._started:
                left = until - self._clock()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    @property
    def depth(self) -> int:
        """How many keys wait, without those that are delayed."""
        return len(self._since)

    def numbers(self) -> Numbers:
        """How it is just now."""
        with self._changed:
            now = self._clock()
            running = [now - since for since in self._started.values()]
            return Numbers(
                depth=self.depth,
                delayed=len(self._due),
                working=len(self._started),
                adds=self._adds,
                retries=self._retries,
                waited=self._waited.copy(),
                worked=self._worked.copy(),
                unfinished=sum(running),
                longest=max(running, default=0.0),
            )

    def _add(self, key: Key) -> None:
        if self._closed or key in self._since:
            return
        self._adds += 1
        self._since[key] = self._clock()
        if key not in self._started:
            self._ready.append(key)
            self._changed.notify()

    def _add_after(self, key: Key, seconds: float) -> None:
        if seconds <= 0:
            self._add(key)
            return
        due = self._clock() + seconds
        if self._closed or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        self._pushed += 1  # keys may not be comparable
        heapq.heappush(self._heap, (due, self._pushed, key))
        self._changed.notify()

    def _release(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:  # else it had an earlier time
                del self._due[key]
                self._add(key)

    def _take(self, now: float) -> Key:
        key = self._ready.popleft()
        self._waited.observe(now - self._since.pop(key))
        self._started[key] = now
        return key
