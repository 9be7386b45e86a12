"""What processes and the machine used: CPU seconds and memory, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_STILL, _LONGEST, _LOOK = 2.0, 10.0, 0.1


def cpu(pid: int) -> float:
    """Seconds that a process has computed so far, itself and its system calls."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss(pid: int, field: str = "VmRSS") -> float:
    """A process's resident memory in MB; `VmHWM` is the most it ever was."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024


def kept(pid: int) -> float:
    """The resident memory in MB that a process keeps: once it has given nothing back for two seconds, or after ten.

    A function gives back what large requests took a second after the last of them (`function/memory.py`).
    """
    least = rss(pid)
    end = time.monotonic() + _LONGEST
    still = time.monotonic() + _STILL
    while time.monotonic() < min(still, end):
        time.sleep(_LOOK)
        now = rss(pid)
        if now < least:
            least, still = now, time.monotonic() + _STILL
    return rss(pid)


def _busy() -> float:
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / _TICK


def cores() -> tuple[set[int], set[int]]:
    """The machine's cores as those of servers and one of a client; the same one for both where there is but one."""
    every = sorted(os.sched_getaffinity(0))
    return set(every[:-1] or every), set(every[-1:])


def confine(pid: int, to: set[int]) -> None:
    """Have a process with all its threads, and those that they start, on these cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), to)


@contextmanager
def started_on(those: set[int]) -> Iterator[None]:
    """Have processes that this thread starts on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, those)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Used:
    """What was used in a while.

    Attributes:
        seconds: How long it was.
        cpu: CPU seconds of each process that was looked at.
        others: CPU seconds of all else on the machine: the noise.
    """

    seconds: float
    cpu: Mapping[str, float]
    others: float


class Stopwatch:
    """Measures processes from now on.

    Args:
        pids: By what they are called; one that ends before `stop` is not to be among them.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._began = time.monotonic()
        self._cpu = {name: cpu(pid) for name, pid in pids.items()}
        self._machine = _busy()

    def stop(self, seconds: float | None = None, **ended: float) -> Used:
        """What was used.

        Args:
            seconds: How long it was, where somebody else measured it.
            ended: CPU seconds of processes that have ended since.
        """
        used = {name: cpu(pid) - self._cpu[name] for name, pid in self._pids.items()} | ended
        took = time.monotonic() - self._began
        return Used(took if seconds is None else seconds, used, _busy() - self._machine - sum(used.values()))
