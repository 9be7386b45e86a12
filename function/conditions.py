"""The conditions of one answer: sentences that change only when the fact does (rule 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from function import status
from function.api import names, work
from function.model import Condition, Delivery, Outcome, Placement, Schedule, Seen, lookup, objects


def decided(seen: Seen, outcome: Outcome) -> Iterator[Condition]:
    """All of them, in the order of `names.CONDITIONS`; what is not known this time stays as it was."""
    hold = outcome.hold
    for type_ in names.CONDITIONS:
        own = _own_condition(type_, seen, outcome)
        if hold is not None and hold.condition == type_:
            yield Condition(type_, "False", hold.reason, hold.message)
        elif own is not None:
            yield own
        elif type_ in seen.earlier and (seen.observed or seen.jobs or hold is None or hold.waiting):
            yield seen.earlier[type_]
        else:
            waits = hold.condition if hold and hold.condition else "the objects that it reads"
            yield not_reached(type_, waits)


def not_reached(type_: str, waits: str) -> Condition:
    """A condition of which nothing can be said yet.

    Args:
        waits: What it waits for, such as an earlier condition.
    """
    return Condition(type_, "Unknown", "NotReached", f"waits for {waits}")


def _own_condition(type_: str, seen: Seen, outcome: Outcome) -> Condition | None:
    if outcome.hold is not None and outcome.hold.waiting:
        return None
    if type_ == names.CHECKS_PASSED:
        return outcome.judgement
    if type_ == names.WORKFLOW_COMPLETED and outcome.progress is not None:
        progress = outcome.progress
        return Condition(type_, "True" if progress.done else "False", progress.reason, progress.message)
    if type_ == names.SCHEDULED and outcome.schedule is not None and not outcome.under_way:
        return _scheduled(seen, outcome.schedule)
    if type_ == names.DELIVERED and outcome.delivery is not None:
        if outcome.schedule is not None and outcome.schedule.unplaced and not outcome.delivery.composed:
            return not_reached(type_, names.SCHEDULED)
        return _delivered(outcome.delivery, status.holder(outcome))
    return None


def _delivered(delivery: Delivery, holder: str) -> Condition | None:
    if not holder:
        status: Any = "True" if delivery.delivered else "False"
        return Condition(names.DELIVERED, status, delivery.reason, delivery.message)
    if not delivery.composed:
        return None
    if delivery.delivered:
        return Condition(
            names.DELIVERED, "True", "Held", f"what was delivered is kept as it was, until {holder} is True"
        )
    return Condition(names.DELIVERED, "False", "Held", f"kept as it was, not all delivered: {delivery.message}")


def _scheduled(seen: Seen, schedule: Schedule) -> Condition:
    mode = seen.input.deliver.as_
    if mode == "Composed":
        return Condition(names.SCHEDULED, "True", "NotNeeded", "documents are composed on this cluster")
    if schedule.unplaced:
        refused = any(_refused(observed.manifest) for observed in seen.observed.values())
        reason = "WaitingForKratix" if mode == "Work" and not refused else "NoMatchingDestination"
        return Condition(
            names.SCHEDULED,
            "False",
            reason,
            _listed([why if where == work.ROOT else f"{where}: {why}" for where, why in schedule.unplaced]),
        )
    misplaced = [p for p in schedule.placements if p.state == "Misplaced"]
    if misplaced:
        message = _listed([_said(p) for p in misplaced])
        return Condition(names.SCHEDULED, "False", "Misplaced", message)
    if not schedule.placements:
        return Condition(names.SCHEDULED, "True", "NotNeeded", "there is nothing to schedule")
    message = _listed([_said(p) for p in schedule.placements])
    return Condition(names.SCHEDULED, "True", "AllPlaced", message)


def _said(placement: Placement) -> str:
    what = placement.where
    where = placement.destination if what == work.ROOT else f"{what} on {placement.destination}"
    return f"{where}: {placement.reason}"


def _refused(manifest: Mapping[str, Any]) -> bool:
    """Whether Kratix says that no Destination takes this Work (scheduler.go: updateWorkStatus)."""
    found = objects(lookup(manifest, "status", "conditions"))
    return any(c.get("type") == "ScheduleSucceeded" and c.get("reason") == "UnscheduledWorkloads" for c in found)


def _listed(sentences: Sequence[str]) -> str:
    shown = "; ".join(sorted(sentences)[:3])
    return shown if len(sentences) <= 3 else f"{shown}; and {len(sentences) - 3} more"
