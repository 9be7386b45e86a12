"""The scheduling core: where one thing goes, of all places that take it, and why; nothing that is somewhere is lost.

Shared: the function places workload groups on Destinations (function/schedule.py), the bridge places requests on
CrossplaneClusters (bridge/sync/requests.py). What stays and what moves is Kratix's rule (internal/controller/
scheduler.go: reconcileWorkloadGroup); what Kratix leaves to chance is decided by rendezvous hashing: a place has a
weight for each thing and the heaviest wins, so one that joins or leaves moves only its own share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from function.api import fit
from function.api.destination import Inventory
from function.api.fit import Labels, Words

State = Literal["Placed", "Kept", "Misplaced", "Moved"]


class Decision(NamedTuple):
    """One place of a thing.

    Attributes:
        name: The place's.
        state: `Placed` (chosen now), `Kept` (it was there and stays), `Misplaced` (it stays, though the place no longer
            takes it or is gone), `Moved` (it was misplaced elsewhere).
        reason: In words.
    """

    name: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every thing that is placed.

    Attributes:
        inventory: The places.
        every: Whether it goes to all that take it, not to one of them.
        move: Whether what is misplaced moves, where another place takes it.
        scores: A number for each candidate: the highest wins, and ties fall back to the hash. None: the hash decides.
        words: What the places are called.
    """

    inventory: Inventory
    every: bool = False
    move: bool = False
    scores: Callable[[Sequence[str]], Mapping[str, float]] | None = None
    words: Words = field(default_factory=Words)


def placed(wanted: Labels, before: Sequence[str], rules: Rules, identity: Sequence[str]) -> list[Decision]:
    """Where a thing goes, by name; empty where nothing takes it (`fit.nobody` says why).

    Args:
        wanted: The labels that a place must have.
        before: Where it is, sorted.
        identity: What tells it from all others; the hash depends on it.
    """
    stuck = {
        name: cause for name in before if (cause := fit.misfit(rules.inventory.by_name.get(name), wanted, rules.words))
    }
    kept = [name for name in before if name not in stuck]
    if rules.every:
        new = _every(wanted, frozenset(kept), rules)
    elif kept or (stuck and not rules.move):
        new = {}  # a request that is somewhere stays there, and all of its placements get updates
    else:
        new = _one(wanted, rules, identity)

    # It leaves a place only where another one has it: nothing that was delivered is lost (rule 1).
    left = stuck if rules.move and (kept or new) else {}
    off = f"moved off {fit.listed([f'{name} ({cause})' for name, cause in left.items()])}; " if left else ""
    which = f"a {rules.words.place}{fit.having(wanted)}"
    stays = f"kept until {which} takes it" if rules.move else "kept as Kratix does"
    return sorted(
        [
            *(Decision(name, "Moved" if left else "Placed", off + why) for name, why in new.items()),
            *(Decision(name, "Kept", f"{'' if new else off}it was here and still matches") for name in kept),
            *(Decision(name, "Misplaced", f"{cause}; {stays}") for name, cause in stuck.items() if name not in left),
        ]
    )


def _every(wanted: Labels, kept: frozenset[str], rules: Rules) -> dict[str, str]:
    reason = f"one of all {rules.words.place}s{fit.having(wanted)}"
    return {name: reason for name in fit.taking(rules.inventory, wanted) if name not in kept}


def _one(wanted: Labels, rules: Rules, identity: Sequence[str]) -> dict[str, str]:
    """The one place and why, or none."""
    candidates = fit.taking(rules.inventory, wanted)
    if not candidates:
        return {}
    how = f"of {len(candidates)} {rules.words.place}s{fit.having(wanted)}"
    reason = f"chosen {how} by hash"
    best: Sequence[str] = candidates
    if rules.scores is not None:
        scores = rules.scores(candidates)
        highest = max(scores.values())
        best = [name for name, score in scores.items() if score == highest]
        tie = f", which {len(best)} have; chosen by hash" if len(best) > 1 else ""
        reason = f"score {highest:.12g}, the highest {how}{tie}"
    if len(candidates) == 1:
        reason = f"the only {rules.words.place}{fit.having(wanted)}"
    return {_heaviest(best, identity): reason}


def _heaviest(candidates: Sequence[str], identity: Sequence[str]) -> str:
    """Rendezvous hashing: no candidate's weight depends on the others, so only its own share moves with it."""
    seed = "\0".join(identity).encode("utf-8", "surrogatepass")
    keyed = hashlib.blake2b(key=hashlib.blake2b(seed, digest_size=32).digest(), digest_size=16)

    def weight(name: str) -> bytes:
        hasher = keyed.copy()
        hasher.update(name.encode("utf-8", "surrogatepass"))
        return hasher.digest()

    return max(candidates, key=weight)
