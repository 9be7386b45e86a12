"""Memory that a process has no more use for goes back to the machine."""

from __future__ import annotations

import asyncio
import ctypes

_LARGE = 2**20
_AFTER = 1.0


class Memory:
    """Gives back what large requests took, a second after the last one: the C library would keep it for the next."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        self._due: asyncio.TimerHandle | None = None

    def trim(self) -> None:
        """Give back what nobody uses; takes a millisecond or two."""
        if self._trim is not None:
            self._trim(0)

    def take(self, size: int) -> None:
        """A request of so many bytes has come."""
        if size >= _LARGE:
            if self._due is not None:
                self._due.cancel()
            self._due = asyncio.get_running_loop().call_later(_AFTER, self.trim)
