"""What is counted of requests and answers: plain numbers, which cost next to nothing until somebody asks for them.

No label names an object: a process that serves ten thousand XRs has as many time series as one that serves ten.
`function/scrape.py` writes them for Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from function.api import names
from function.api.histogram import Histogram
from function.model import Hold, Outcome

# Prometheus' own default buckets, which Go's gRPC servers have, and three below: most answers take no 5 ms.
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_EXPRESSIONS: Final = (0.0001, 0.00025, *_SECONDS[:12])
_DOCUMENTS: Final = (0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)

READY: Final = "ready"  # all is delivered
PROGRESSING: Final = "progressing"  # a pipeline runs, or a Destination does not have all yet
WAITING: Final = "waiting"  # Crossplane has yet to read what was asked for: the first call of a reconcile
DENIED: Final = "denied"  # by a check
UNSCHEDULED: Final = "unscheduled"  # no Destination matches, or one no longer does
HELD: Final = "held"  # something is missing, paused, failed or wrong for this XR: what was delivered is kept
DRY_RUN: Final = "dry_run"
FATAL: Final = "fatal"  # nothing may change, as it is not noted what Crossplane applied
INVALID: Final = "invalid"  # the input, the XR or an object that was read is not what its kind says
FAILED: Final = "failed"  # a defect of this function
OUTCOMES: Final = (READY, PROGRESSING, WAITING, DENIED, UNSCHEDULED, HELD, DRY_RUN, FATAL, INVALID, FAILED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is counted of an answer.

    Attributes:
        outcome: One of `OUTCOMES`.
        documents: How many there were; None where it did not get as far.
        expressions: Seconds that its CEL expressions took to be evaluated; None where there was no scope for any.
    """

    outcome: str
    documents: int | None = None
    expressions: float | None = None


def answer(made: Outcome, seconds: float, scheduled: str, *, ready: bool) -> Answer:
    """What is counted of an outcome.

    Args:
        seconds: What its expressions took.
        scheduled: The reason of the condition Scheduled that it came to.
        ready: Whether the answer lets the XR be Ready.
    """
    reached = made.schedule is not None or bool(made.documents)
    return Answer(_outcome(made, scheduled, ready=ready), len(made.documents) if reached else None, seconds)


def _outcome(made: Outcome, scheduled: str, *, ready: bool) -> str:
    if made.fatal:
        return FATAL
    if made.hold is not None:
        return _held(made.hold)
    if scheduled in ("NoMatchingDestination", "Misplaced"):
        return UNSCHEDULED
    if ready:
        return READY
    stuck = made.under_way is not None and made.under_way.reason not in names.UNDER_WAY
    return HELD if stuck else PROGRESSING


def _held(hold: Hold) -> str:
    if hold.waiting:
        return WAITING
    if hold.reason == names.DRY_RUN:
        return DRY_RUN
    if hold.reason in names.UNDER_WAY:
        return PROGRESSING
    return DENIED if (hold.condition, hold.reason) == (names.CHECKS_PASSED, "Denied") else HELD


class Calls:
    """The calls of one gRPC service.

    Attributes:
        started: How many came in.
        handled: By gRPC's code, how many were answered.
        seconds: How long answering took.
    """

    __slots__ = ("handled", "seconds", "started")

    def __init__(self) -> None:
        self.started = 0
        self.handled = {"OK": 0}
        self.seconds = Histogram(_SECONDS)

    def ended(self, code: str, seconds: float) -> None:
        """A call was answered."""
        self.handled[code] = self.handled.get(code, 0) + 1
        self.seconds.observe(seconds)


class Numbers:
    """All that is counted; one thread writes, any may read.

    Attributes:
        calls: By gRPC service.
        answers: By outcome.
        repeated: How many of these were given before, to the same request.
        documents: How many documents an answer was made of.
        expressions: Seconds that the expressions of an answer took.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Calls] = {}
        self.answers = dict.fromkeys(OUTCOMES, 0)
        self.repeated = 0
        self.documents = Histogram(_DOCUMENTS)
        self.expressions = Histogram(_EXPRESSIONS)

    def answered(self, given: Answer, *, again: bool) -> None:
        """An answer was given.

        Args:
            again: It was worked out before, for the same request: no expression was evaluated.
        """
        self.answers[given.outcome] += 1
        if given.documents is not None:
            self.documents.observe(given.documents)
        if again:
            self.repeated += 1
        elif given.expressions is not None:
            self.expressions.observe(given.expressions)
