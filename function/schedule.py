"""Scheduling: workload groups to Destinations, with the reason of each decision.

Kratix's semantics, named where they are followed (its source of August 2026): which Destinations take a group, and that
it stays, is its scheduler's (internal/controller/scheduler.go); what belongs to a group is in `groups`. Which one of
several, and what stays and moves: function/api/placing.py, which the bridge shares. docs/scheduling.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from function import cel
from function.api import fit, placing, work
from function.api.destination import Destination, Inventory
from function.api.errors import InvalidError, shorten
from function.api.input import Schedule as Policy
from function.api.placing import Rules, State
from function.groups import match_labels
from function.model import Group, JsonObject, Placement, Schedule, WorkPlacement

_Labels = Mapping[str, str]


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
    inventory = destinations if isinstance(destinations, Inventory) else Inventory(destinations)
    rules = Rules(
        inventory,
        every=policy.placement == "All",
        move=policy.when_misplaced == "Move",
        scores=_scores(policy.prefer, inventory.by_name, scope),
    )
    placements: list[Placement] = []
    unplaced: list[tuple[str, str]] = []
    for each in groups:
        wanted = match_labels(each.selectors)
        found = placing.placed(wanted, sorted(set(previous.get(each.key, ()))), rules, (*identity, each.id))
        placements += [Placement(each.directory, each.id, *decision, each.pipeline) for decision in found]
        if not found:
            unplaced.append((each.where, fit.nobody(inventory, wanted)))
    return Schedule(tuple(groups), tuple(placements), tuple(unplaced))


def _scores(
    source: str | None, inventory: Mapping[str, Destination], scope: cel.Scope
) -> Callable[[Sequence[str]], Mapping[str, float]] | None:
    if source is None:
        return None

    def scored(candidates: Sequence[str]) -> Mapping[str, float]:
        expression = cel.expression(source, "schedule.prefer", cel.DESTINATION)
        return {name: _score(expression, inventory[name], scope) for name in sorted(candidates)}

    return scored


def _score(expression: cel.Expression, destination: Destination, scope: cel.Scope) -> float:
    name = destination.name
    try:
        score = expression.evaluate(scope.extend(destination={"name": name, "labels": destination.labels}))
    except cel.EvaluationError as error:
        raise InvalidError("schedule.prefer", f"cannot be evaluated for Destination {name}: {error}") from None
    if isinstance(score, bool) or not isinstance(score, int | float):
        cause = f"must give a number, not {shorten(repr(score))} as it does for Destination {name}"
        raise InvalidError("schedule.prefer", cause)
    return score


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
    state: State = "Misplaced" if misplaced else "Kept"
    reason = f"Kratix chose it{fit.having(wanted)}"
    if misplaced:
        reason = f"Kratix says that it no longer matches {fit.words(wanted) or 'what is asked for'}; kept there"
    return Placement(group.directory, group.id, placement.destination, state, reason, group.pipeline)
