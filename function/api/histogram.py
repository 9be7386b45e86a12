"""How often something was how large: Prometheus' histogram, of plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts values by size; one `observe` is a search among the bounds and two additions.

    Args:
        bounds: The largest value of each bucket, ascending; what is larger is counted too.

    Attributes:
        counts: How many were no larger than each bound and larger than the one before; last, the rest.
        total: The sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.total = 0.0
        self.counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> Histogram:
        """One of its own, for a reader."""
        made = Histogram(self.bounds)
        made.counts, made.total = self.counts.copy(), self.total
        return made

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus has it: how many were no larger than each bound, as text; last, `+Inf` for all."""
        found, count = [], 0
        for bound, more in zip((*map(_written, self.bounds), "+Inf"), self.counts, strict=True):
            count += more
            found.append((bound, float(count)))
        return found


def _written(bound: float) -> str:
    return f"{bound:g}"
