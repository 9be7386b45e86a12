"""How long things took, in the buckets of controller-runtime, whose dashboards people have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# controller-runtime's buckets for workqueue_*_seconds: 10 ns to 1,000 s (pkg/internal/metrics/workqueue.go).
BUCKETS: Final = tuple(1e-8 * 10**power for power in range(12))


@dataclass(slots=True)
class Histogram:
    """How long things took.

    Attributes:
        counts: How many took no longer than each of `BUCKETS` and longer than the one before; last, the rest.
        total: The sum of all, in seconds.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.total += seconds
        self.counts[next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))] += 1

    def copy(self) -> Histogram:
        """One of its own, for a reader."""
        return Histogram(list(self.counts), self.total)
