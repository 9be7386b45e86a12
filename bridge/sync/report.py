"""The status of a CrossplaneCluster: what a person sees of it with kubectl.

Conditions are stable (Crossplane, contributing/README.md): one sentence, sorted, and when they became what they are
changes only with their status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from bridge.api.crossplanecluster import MAX_LISTED, MAX_REASON, Condition, Counts, Published, Status, Verdict
from bridge.api.names import REACHABLE, SYNCED
from bridge.sync.board import Outcome
from bridge.translate import conditions
from function.api.errors import shorten

_NAMED = 3

_Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether the cluster is reached.

    Attributes:
        status: Unknown before the first try.
        reason: One word.
        message: One sentence.
        core_version: Of Crossplane's core there.
    """

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    core_version: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """All that a status is made of.

    Attributes:
        generation: Of the CrossplaneCluster.
        obstacle: Why nothing is done though it is reached: one word, one sentence.
        promises: What came of each, also of those that are no longer selected.
        selected: Names of the selected Promises.
        destinations: What came of each.
        inventory: Names of the selected Destinations, where the cluster gets an inventory.
        others: What came of imported XRDs and of replies, by kind.
    """

    generation: int
    reach: Reach
    obstacle: tuple[str, str] | None
    promises: _Outcomes
    selected: frozenset[str]
    destinations: _Outcomes
    inventory: frozenset[str]
    others: Mapping[str, _Outcomes] = field(default_factory=dict)


def status(found: Found, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The status.

    Args:
        before: The status that is there.
    """
    published = {n: o for n, o in found.promises.items() if o.xrd and n in found.selected}
    conditions = (_reachable(found), _synced(found))
    made = Status(
        observed_generation=found.generation,
        core_version=found.reach.core_version[:63],
        counts=Counts(
            promises=len(found.selected),
            published=len(published),
            refused=sum(bool(o.refused) for o in found.promises.values()),
            kept=sum(len(o.kept) for o in found.promises.values()),
            destinations=sum(bool(o.xrd) for o in found.destinations.values()),
            deleting=sum(bool(o.kept) and name not in found.inventory for name, o in found.destinations.items()),
        ),
        published=[
            Published(promise=name, version=o.version, xrd=o.xrd)
            for name, o in islice(sorted(published.items()), MAX_LISTED)
        ],
        refused=_verdicts((kind, name, o.refused) for kind, name, o in _all(found) if o.refused),
        kept=_verdicts((kind, name, reason) for kind, name, o in _all(found) for reason in o.kept),
        conditions=[_since(each, before, now, found.generation) for each in conditions],
    )
    return made.model_dump(by_alias=True, mode="json")


def _all(found: Found) -> Iterable[tuple[str, str, Outcome]]:
    yield from (("Promise", name, outcome) for name, outcome in sorted(found.promises.items()))
    yield from (("Destination", name, outcome) for name, outcome in sorted(found.destinations.items()))
    for kind, outcomes in sorted(found.others.items()):
        yield from ((kind, name, outcome) for name, outcome in sorted(outcomes.items()))


def _verdicts(told: Iterable[tuple[str, str, str]]) -> list[Verdict]:
    return [Verdict(kind=k, name=n, reason=shorten(r, MAX_REASON)) for k, n, r in islice(told, MAX_LISTED)]


_Told = tuple[str, Literal["True", "False", "Unknown"], str, str]


def _reachable(found: Found) -> _Told:
    return REACHABLE, found.reach.status, found.reach.reason, shorten(found.reach.message, MAX_REASON)


def _synced(found: Found) -> _Told:
    if found.reach.status == "False":
        return SYNCED, "Unknown", found.reach.reason, "the cluster is not reached, so what is there is not known"
    if found.obstacle is not None:
        return SYNCED, "False", *found.obstacle
    unseen = [f"Promise {name}" for name in sorted(found.selected - found.promises.keys())]
    unseen += [f"Destination {name}" for name in sorted(found.inventory - found.destinations.keys())]
    failed = [outcome.failed for _, _, outcome in _all(found) if outcome.failed]
    refused = [f"{kind} {name}" for kind, name, outcome in _all(found) if outcome.refused]
    for names, reason, verb in (
        (failed, "Failed", ""),
        (unseen, "Syncing", "not looked at yet: "),
        (refused, "Refused", "refused: "),
    ):
        if names:
            return SYNCED, "False", reason, f"{verb}{_few(names)}"
    kept = sum(len(outcome.kept) for outcome in found.promises.values())
    said = f"{_counted(len(found.selected), 'Promise')} and {_counted(len(found.destinations), 'Destination')}"
    return SYNCED, "True", "Synced", f"{said} are there{f'; {kept} XRDs are kept for their XRs' if kept else ''}"


def _few(names: Sequence[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return shorten(f"{', '.join(names[:_NAMED])}{more}", MAX_REASON)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _since(told: _Told, before: Mapping[str, Any], now: datetime, generation: int) -> Condition:
    type_, state, reason, message = told
    earlier = conditions.find(before.get("conditions") or (), type_)
    return Condition(
        type=type_,
        status=state,
        reason=reason,
        message=message,
        last_transition_time=conditions.since(earlier, state, conditions.timestamp(now)),
        observed_generation=generation,
    )
