"""How the bridge runs, and what it needs of the process that it runs in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bridge.fleet import Connect


@dataclass(frozen=True, slots=True)
class Options:
    """How the bridge runs.

    Attributes:
        identity: What no other platform has: owners of objects begin with it.
        namespace: Its own.
        instance: Which of its processes this is.
        resync: After how many seconds everything is looked at again.
        workers: How many at once on each cluster.
        image: This project's own, for the pods of delete pipelines; empty where it is not known.
        report: How many seconds after a change its report is written; what changes meanwhile is in the same one.
    """

    identity: str
    namespace: str
    instance: str
    resync: float = 600.0
    workers: int = 4
    image: str = ""
    report: float = 1.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What the bridge needs of the process that it runs in.

    Attributes:
        clock: Monotonic seconds.
        now: The time of day.
        reconciled: Is called with a controller, what came of it, and how many seconds it took.
        under_way: Is called with a controller, and 1 when it begins or -1 when it ends.
    """

    clock: Callable[[], float]
    now: Callable[[], datetime]
    connect: Connect
    reconciled: Callable[[str, str, float], None]
    under_way: Callable[[str, int], None]
