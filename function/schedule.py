"""Scheduling: workload groups to Destinations, with the reason of each decision.

Kratix's semantics, named where they are followed (its source of August 2026): which Destinations take a group, and that
it stays, is its scheduler's (internal/controller/scheduler.go); what belongs to a group is in `groups`. What Kratix
leaves to chance is decided by rendezvous hashing: a Destination has a weight for each group of each XR and the heaviest
wins, so one that joins or leaves moves only its own share. docs/scheduling.md has the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from function import cel, fit
from function.api import work
from function.api.destination import Destination
from function.api.errors import InvalidError, shorten
from function.api.input import Schedule as Policy
from function.groups import match_labels
from function.model import Group, JsonObject, Placement, Schedule, WorkPlacement

_Labels = Mapping[str, str]
_State = Literal["Placed", "Kept", "Misplaced", "Moved"]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for every group of one call."""

    inventory: Mapping[str, Destination]
    policy: Policy
    identity: Sequence[str]
    scope: cel.Scope


def place(
    groups: Sequence[Group],
    destinations: Sequence[Destination],
    previous: Mapping[str, Sequence[str]],
    policy: Policy,
    identity: Sequence[str],
    scope: cel.Scope,
) -> Schedule:
    """Choose Destinations as Kratix would, with a reason for each; nothing that was placed is lost.

    Args:
        destinations: The inventory, in any order.
        previous: The names of the Destinations that each group is on, by the group's key.
        policy: The input's `schedule`.
        identity: What tells this XR from all others; the hash depends on it.
        scope: What `schedule.prefer` may read, besides `destination`.

    Raises:
        InvalidError: `schedule.prefer` gives no number for a Destination.
    """
    rules = _Rules({d.name: d for d in destinations}, policy, identity, scope)
    placements: list[Placement] = []
    unplaced: list[tuple[str, str]] = []
    for each in groups:
        found = _placed(each, sorted(set(previous.get(each.key, ()))), rules)
        placements += found
        if not found:
            unplaced.append((each.where, fit.nobody(rules.inventory.values(), match_labels(each.selectors))))
    return Schedule(tuple(groups), tuple(placements), tuple(unplaced))


def _placed(group: Group, before: Sequence[str], rules: _Rules) -> list[Placement]:
    """One group's placements, by Destination (scheduler.go: reconcileWorkloadGroup)."""
    wanted = match_labels(group.selectors)
    stuck = {name: cause for name in before if (cause := fit.misfit(rules.inventory.get(name), wanted))}
    kept = [name for name in before if name not in stuck]
    move = rules.policy.when_misplaced == "Move"
    if rules.policy.placement == "All":
        new = _every(wanted, frozenset(kept), rules)
    elif kept or (stuck and not move):
        new = {}  # a request that is somewhere stays there, and all of its placements get updates
    else:
        new = _one(group, wanted, rules)

    # It leaves a Destination only where another one has it: nothing that was delivered is lost (rule 1).
    left = stuck if move and (kept or new) else {}
    off = f"moved off {fit.listed([f'{name} ({cause})' for name, cause in left.items()])}; " if left else ""
    stays = f"kept until a Destination{fit.having(wanted)} takes it" if move else "kept as Kratix does"
    reasons: list[tuple[str, _State, str]] = [
        *((name, "Moved" if left else "Placed", off + why) for name, why in new.items()),
        *((name, "Kept", f"{'' if new else off}it was here and still matches") for name in kept),
        *((name, "Misplaced", f"{cause}; {stays}") for name, cause in stuck.items() if name not in left),
    ]
    return [
        Placement(group.directory, group.id, name, state, why, group.pipeline) for name, state, why in sorted(reasons)
    ]


def _every(wanted: _Labels, kept: frozenset[str], rules: _Rules) -> dict[str, str]:
    reason = f"one of all Destinations{fit.having(wanted)}"
    return {name: reason for name in _candidates(rules, wanted) if name not in kept}


def _candidates(rules: _Rules, wanted: _Labels) -> list[str]:
    return [name for name, destination in rules.inventory.items() if not fit.obstacle(destination, wanted)]


def _one(group: Group, wanted: _Labels, rules: _Rules) -> dict[str, str]:
    """The one Destination for a group and why, or none."""
    candidates = _candidates(rules, wanted)
    if not candidates:
        return {}
    how = f"of {len(candidates)} Destinations{fit.having(wanted)}"
    reason = f"chosen {how} by hash"
    best = candidates
    if rules.policy.prefer is not None:
        scores = _scores(rules.policy.prefer, candidates, rules)
        highest = max(scores.values())
        best = [name for name, score in scores.items() if score == highest]
        tie = f", which {len(best)} have; chosen by hash" if len(best) > 1 else ""
        reason = f"score {highest:.12g}, the highest {how}{tie}"
    if len(candidates) == 1:
        reason = f"the only Destination{fit.having(wanted)}"
    return {_heaviest(best, group, rules.identity): reason}


def _scores(source: str, candidates: Sequence[str], rules: _Rules) -> dict[str, float]:
    expression = cel.expression(source, "schedule.prefer", cel.DESTINATION)
    scores: dict[str, float] = {}
    for name in sorted(candidates):
        variable = {"name": name, "labels": rules.inventory[name].labels}
        try:
            score = expression.evaluate(rules.scope.extend(destination=variable))
        except cel.EvaluationError as error:
            raise InvalidError("schedule.prefer", f"cannot be evaluated for Destination {name}: {error}") from None
        if isinstance(score, bool) or not isinstance(score, int | float):
            cause = f"must give a number, not {shorten(repr(score))} as it does for Destination {name}"
            raise InvalidError("schedule.prefer", cause)
        scores[name] = score
    return scores


def _heaviest(candidates: Sequence[str], group: Group, identity: Sequence[str]) -> str:
    """Rendezvous hashing: no candidate's weight depends on the others, so only its own share moves with it."""
    seed = "\0".join((*identity, group.id)).encode("utf-8", "surrogatepass")
    keyed = hashlib.blake2b(key=hashlib.blake2b(seed, digest_size=32).digest(), digest_size=16)

    def weight(name: str) -> bytes:
        hasher = keyed.copy()
        hasher.update(name.encode("utf-8", "surrogatepass"))
        return hasher.digest()

    return max(candidates, key=weight)


def remembered(found: Schedule, recorded: Sequence[JsonObject]) -> Schedule:
    """A schedule whose placements that stay say why they were chosen, which `status.kratix.placements` has recorded."""
    reasons = {
        tuple(str(entry.get(field, "")) for field in ("pipeline", "directory", "destination")): str(entry["reason"])
        for entry in recorded
        if entry.get("state") in ("Placed", "Kept", "Moved") and entry.get("reason")
    }
    placements = [
        replace(p, reason=reasons.get((p.pipeline, p.directory, p.destination), p.reason)) if p.state == "Kept" else p
        for p in found.placements
    ]
    return replace(found, placements=tuple(placements))


def kratix_placed(groups: Sequence[Group], placements: Sequence[WorkPlacement]) -> Schedule:
    """Where Kratix put the groups of Works.

    Args:
        placements: The WorkPlacements of all their Works; Kratix deletes those of a group that is no more.
    """
    found: list[Placement] = []
    unplaced: list[tuple[str, str]] = []
    for each in groups:
        wanted = match_labels(each.selectors)
        own = (p for p in placements if (p.pipeline, p.group_id) == (each.pipeline, each.id))
        mine = sorted(own, key=lambda p: (p.destination, p.name))
        found += [_as_kratix_says(each, placement, wanted) for placement in mine]
        if not mine:
            what = "the root" if each.directory == work.ROOT else f"directory {shorten(each.directory)}"
            reason = f"waiting for Kratix to schedule {what} to a Destination{fit.having(wanted)}"
            unplaced.append((each.where, reason))
    return Schedule(tuple(groups), tuple(found), tuple(unplaced))


def _as_kratix_says(group: Group, placement: WorkPlacement, wanted: _Labels) -> Placement:
    # Kratix never takes its misplaced label off a request's placement again (scheduler.go: updateWorkPlacement), so the
    # label counts only until there is a condition.
    condition = placement.conditions.get("ScheduleSucceeded")
    misplaced = placement.misplaced if condition is None else condition.status == "False"
    state: _State = "Misplaced" if misplaced else "Kept"
    reason = f"Kratix chose it{fit.having(wanted)}"
    if misplaced:
        reason = f"Kratix says that it no longer matches {fit.words(wanted) or 'what is asked for'}; kept there"
    return Placement(group.directory, group.id, placement.destination, state, reason, group.pipeline)
