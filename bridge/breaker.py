"""A breaker: a cluster that does not answer is not asked again for a while, so that it holds up nobody.

Closed, it lets all calls pass. After some failures in a row it is open, and calls fail at once. When its time is over
it lets one call pass, a probe: an answer closes it, a failure opens it for twice as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from bridge.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When a breaker opens, and for how long.

    Attributes:
        failures: How many in a row open it.
        base: Seconds that it is open for at first.
        cap: Seconds that it is open for at most.
        probe: Seconds after which a probe that never came back is given up.
    """

    failures: int = 5
    base: float = 1.0
    cap: float = 30.0
    probe: float = 60.0


class Breaker:
    """One cluster's; safe to use from several threads.

    Args:
        name: Of the cluster; the breakers of many clusters do not probe in step.
        clock: Monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float], tolerance: Tolerance | None = None) -> None:
        self._tolerance = tolerance or Tolerance()
        self._clock = clock
        self._backoff = Backoff(name, base=self._tolerance.base, cap=self._tolerance.cap)
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._cause = ""

    @property
    def cause(self) -> str:
        """Why the last call got no answer; what those are told that it does not let pass."""
        with self._lock:
            return self._cause

    @property
    def is_open(self) -> bool:
        """Whether it has seen too many failures and no answer since."""
        with self._lock:
            return self._failures >= self._tolerance.failures

    def wait(self) -> float:
        """How many seconds a caller has to wait: 0 lets it pass.

        Whom it lets pass while it is open is the probe, and must say what came of it.
        """
        with self._lock:
            if self._failures < self._tolerance.failures:
                return 0.0
            now = self._clock()
            if now < self._until:
                return self._until - now
            self._until = now + self._tolerance.probe
            return 0.0

    def succeeded(self) -> None:
        """There was an answer."""
        with self._lock:
            self._failures = 0

    def failed(self, cause: str) -> None:
        """There was none, and why."""
        with self._lock:
            self._failures += 1
            self._cause = cause
            opened = self._failures - self._tolerance.failures
            if opened >= 0:
                self._until = self._clock() + self._backoff.seconds(opened)
