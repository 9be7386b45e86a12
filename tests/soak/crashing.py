"""What is killed at random, and what its memory becomes where it is not."""

from __future__ import annotations

import contextlib
import random  # noqa: TID251 - a seeded one: what is killed
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from publishing import Published
from soaking import BrokenError

from bench import machine
from testbed.cache import say
from testbed.profiles import Testbed

_FLAT = 1.05
# Seconds. Caches are bounded; a shorter time does not fill them.
_LONG_ENOUGH = 20 * 60.0


@dataclass
class Killer:
    """Ends parts of the platform as crashes would, and starts them again."""

    testbed: Testbed
    published: Published
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)

    def kill(self, *, sparing: Collection[str] = ()) -> None:
        """One of the parts, all but those that are to be spared."""
        part = self.chance.choice([part for part in self._parts if part not in sparing])
        self._parts[part]()
        self.kills[part] += 1

    @property
    def _parts(self) -> Mapping[str, Callable[[], None]]:
        return {
            "core": self._core,
            "function": self._function,
            "Kratix": self._kratix,
            "API server": self._apiserver,
            "bridge": self.published.crash,
        }

    def _core(self) -> None:
        self.testbed.crossplane.kill_core()
        self.testbed.crossplane.start_core()

    def _function(self) -> None:
        self.testbed.crossplane.kill_function()
        self.testbed.crossplane.start_function()

    def _kratix(self) -> None:
        self.testbed.kratix.kill_manager()
        self.testbed.kratix.start_manager()

    def _apiserver(self) -> None:
        self.testbed.plane.restart_apiserver()


@dataclass
class Memory:
    """The resident memory of a part, in MB, as it was over time.

    Attributes:
        pid: Of its process now.
        limit: What it never needs, whatever it has done.
        seen: When, of which process, and how much.
    """

    part: str
    pid: Callable[[], int]
    limit: float
    seen: list[tuple[float, int, float]] = field(default_factory=list)

    def look(self) -> None:
        """Note what it has now; nothing where it was killed a moment ago."""
        # Its pid file is gone, its /proc, or its memory, as it is a zombie.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            pid = self.pid()
            self.seen.append((time.monotonic(), pid, machine.rss(pid)))

    def judge(self, begin: float, end: float) -> None:
        """Compare the last third of a time with the middle one, where it was long enough; else with the limit.

        Raises:
            BrokenError: It grew, or is too much.
        """
        middle, last = (self._third(number, begin, end) for number in (2, 3))
        sizes = [statistics.median(size for _, size in third) for third in (middle, last)]
        began = len({pid for pid, _ in (*middle, *last)}) > 1
        anew = " (it began anew meanwhile)" if began else ""
        say(f"memory of the {self.part}: {sizes[0]:.1f} MB in the middle third, {sizes[1]:.1f} MB in the last{anew}")
        # What began anew takes up memory for a while.
        comparable = end - begin >= _LONG_ENOUGH and not began
        allowed = sizes[0] * _FLAT if comparable else self.limit
        if sizes[1] > allowed:
            raise BrokenError(f"the {self.part} has {sizes[1]:.1f} MB, which is more than {allowed:.1f}")

    def _third(self, number: int, begin: float, end: float) -> list[tuple[int, float]]:
        """What was seen in a third of a time: 1, 2 or 3."""
        third = (end - begin) / 3
        since, until = begin + third * (number - 1), begin + third * number
        return [(pid, size) for at, pid, size in self.seen if since <= at <= until]


@contextlib.contextmanager
def repeatedly(*jobs: tuple[float, Callable[[], None]]) -> Iterator[Callable[[], None]]:
    """Run each job again and again in a thread of its own, with a pause of so many seconds before each time.

    Yields:
        What raises the error of a job that failed, as they all end with the first that does.
    """
    stop, failed = threading.Event(), list[BaseException]()

    def run(pause: float, job: Callable[[], None]) -> None:
        while not stop.wait(pause):
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
                failed.append(error)
                stop.set()

    def check() -> None:
        if failed:
            raise failed[0]

    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield check
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    check()
