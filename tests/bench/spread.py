"""Where many XRs go: the scheduler itself, asked for one XR after the other, and `simulate` beside it (`played.py`).

Who is where, what moves when a Destination leaves or joins, and how long a decision takes. All but the time is the same
on every machine: the scheduler has no chance in it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench import played
from bench.figure import Figure
from bench.scale import Scale
from function import cel, groups, schedule
from function.api.destination import Destination, Inventory
from function.api.input import Schedule as Policy
from function.model import Document, Placement

BALANCE = "XRs on each Destination"
MOVED = "{} of {} Destinations leave: XRs that move"
_LABELS = {"environment": "prod"}
_MOVE = Policy.model_validate({"whenMisplaced": "Move"})
_KEEP = Policy.model_validate({"whenMisplaced": "Keep"})
_SCOPE = cel.Scope({})
# Of as many trials, the fullest of a hundred places has less than four standard deviations more than the mean.
_DEVIATIONS = 4


@dataclass(frozen=True, slots=True)
class _World:
    """So many XRs, and the Destinations that there are at first."""

    xrs: range
    names: Sequence[str]

    def placed(self, names: Sequence[str], before: Mapping[int, str], policy: Policy) -> dict[int, Placement]:
        """The placement of each XR."""
        inventory = Inventory(Destination(name, _LABELS) for name in names)
        made = groups.of([Document("database", "", "database.yaml", {}, "")], [], [_LABELS])
        found = {}
        for number in self.xrs:
            previous = {made[0].key: (before[number],)} if number in before else {}
            identity = (played.PROMISE, *played.identity(number))
            [found[number]] = schedule.place(made, inventory, previous, policy, identity, _SCOPE).placements
        return found


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures."""
    world = _World(range(scale.xrs), [f"cluster-{n:04}" for n in range(scale.places)])
    began = time.process_time()
    at_first = world.placed(world.names, {}, _MOVE)
    took = time.process_time() - began
    where = {number: placement.destination for number, placement in at_first.items()}
    yield from _balance(scale, where)
    yield from _leave(world, where)
    yield from _join(world, where)
    yield _decision(scale.places, took, scale.xrs)
    yield _among(max(scale.inventories))
    yield from played.measure(where, world.names, _LABELS)


def _balance(scale: Scale, where: Mapping[int, str]) -> Iterator[Figure]:
    on = Counter(where.values())
    counts = [float(on[name]) for name in sorted(on)]
    mean = scale.xrs / scale.places
    yield Figure(BALANCE, "", counts, note=f"{scale.xrs:,} XRs, {scale.places} Destinations that all match")
    bound = 1 + _DEVIATIONS / math.sqrt(mean)
    yield Figure("the fullest Destination, to the mean", "", [max(counts) / mean], bound, counted=True)
    yield Figure("Destinations with no XR", "", [float(scale.places - len(on))], 0.0, counted=True)


def _leave(world: _World, where: Mapping[int, str]) -> Iterator[Figure]:
    places = len(world.names)
    for gone in sorted({max(1, places * share // 100) for share in (1, 2, 5, 10, 20, 50)}):
        left = set(world.names[:gone])
        after = world.placed(world.names[gone:], where, _MOVE)
        moved = {number for number, placement in after.items() if placement.destination != where[number]}
        had_to = {number for number, name in where.items() if name in left}
        share = f"{100 * len(moved) / len(world.xrs):.1f} % of all"
        yield Figure(MOVED.format(gone, places), "", [float(len(moved))], float(len(had_to)), share, counted=True)
        yield Figure(
            f"{gone} leave: XRs that move though theirs stays", "", [float(len(moved - had_to))], 0.0, counted=True
        )
    kept = world.placed(world.names[1:], where, _KEEP).values()
    moved_off = sum(placement.state == "Moved" for placement in kept)
    misplaced = sum(placement.state == "Misplaced" for placement in kept)
    note = f"whenMisplaced: Keep; {misplaced} say that they are misplaced"
    yield Figure("1 leaves, as Kratix does it: XRs that move", "", [float(moved_off)], 0.0, note, counted=True)


def _join(world: _World, where: Mapping[int, str]) -> Iterator[Figure]:
    names = [*world.names, "cluster-new"]
    after = world.placed(names, where, _MOVE)
    moved = sum(placement.destination != where[number] for number, placement in after.items())
    yield Figure("1 joins: XRs that move", "", [float(moved)], 0.0, "they stay where they are", counted=True)
    anew = world.placed(names, {}, _MOVE)
    taken = {number for number, placement in anew.items() if placement.destination == "cluster-new"}
    changed = {number for number, placement in anew.items() if placement.destination != where[number]}
    note = f"its share is {len(world.xrs) / len(names):.0f}"
    yield Figure("1 joins: of as many new XRs it takes", "", [float(len(taken))], note=note)
    yield Figure(
        "1 joins: new XRs that go elsewhere for it, and not to it", "", [float(len(changed - taken))], 0.0, counted=True
    )


def _among(many: int) -> Figure:
    """Time with the largest inventory: a new XR is compared with all Destinations that match."""
    world = _World(range(20), [f"cluster-{n:04}" for n in range(many)])
    began = time.process_time()
    world.placed(world.names, {}, _MOVE)
    return _decision(many, time.process_time() - began, len(world.xrs))


def _decision(places: int, took: float, xrs: int) -> Figure:
    return Figure(f"CPU of one decision among {places} Destinations", " ms", [1000 * took / xrs])
