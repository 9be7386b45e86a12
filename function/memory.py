"""Memory that a process has no more use for goes back to the machine."""

from __future__ import annotations

import asyncio
import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

_LARGE = 2**20
_AFTER = 1.0
_M_ARENA_MAX = -8  # of mallopt(3)
_MADV_DONTNEED = 4  # of madvise(2)
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ (\d+)")  # of smaps, in proc(5)
_UNCHANGED = "Anonymous:             0 kB"


class Memory:
    """Gives back what starting and large requests took: the C library and the kernel would keep it.

    Made before other threads are: with glibc each gets a heap of its own, whose end is never given back.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)  # glibc's, as mallopt's arenas are
        self._advise = getattr(library, "madvise", None)
        self._due: asyncio.TimerHandle | None = None
        if self._trim is not None:
            library.mallopt(_M_ARENA_MAX, 1)

    def started(self) -> None:
        """All is loaded: give back what only that needed, in a second, as it takes some milliseconds.

        Half of the memory of a process that has just started are pages of shared libraries that were read once, to link
        them. One that is needed again is still in the machine's page cache.
        """
        asyncio.get_running_loop().call_later(_AFTER, self._free_loaded)

    def take(self, size: int) -> None:
        """A request of so many bytes has come; a second after the last large one its memory goes back."""
        if size >= _LARGE:
            if self._due is not None:
                self._due.cancel()
            self._due = asyncio.get_running_loop().call_later(_AFTER, self._free)

    def _free_loaded(self) -> None:
        self._free()
        if self._advise is None:
            return
        for begin, end in _unchanged_files():
            self._advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)

    def _free(self) -> None:
        if self._trim is not None:
            self._trim(0)


def _unchanged_files() -> Iterator[tuple[int, int]]:
    """Where files lie in memory as they are on disk: read only, with no page that linking changed."""
    try:
        mappings = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or hidden
        return
    where: re.Match[str] | None = None
    for line in mappings.splitlines():
        if found := _MAPPING.match(line):
            permissions, inode = found[3], found[4]
            where = found if permissions.startswith("r-") and inode != "0" else None
        elif where and line == _UNCHANGED:
            yield int(where[1], 16), int(where[2], 16)
