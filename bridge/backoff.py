"""How long to wait after a failure: exponential, with a cap, and spread so that many do not come back at once.

The spread is derived from the name of who waits and the number of the try: chance is banned in this project, and the
same history gives the same waits, which a test or a reader of a log can follow.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

# Of the wait, at most this part is taken off.
_SPREAD = 0.5


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits of one who tries.

    Attributes:
        name: Who waits; others wait a little longer or shorter.
        base: Seconds before the first new try.
        cap: Seconds at most.
    """

    name: str
    base: float
    cap: float

    def seconds(self, failures: int) -> float:
        """The wait after so many failures, counted from 0."""
        # 2.0 ** 1024 overflows; long before that the cap is reached.
        full = min(self.cap, self.base * 2.0 ** min(failures, 60))
        return full * (1 - _SPREAD * spread(f"{self.name}/{failures}"))


def spread(name: str) -> float:
    """A number of [0, 1) that differs between names and is always the same for one."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:6], "big") / 2**48
