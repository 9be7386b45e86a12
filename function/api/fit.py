"""Whether a Destination takes a workload group, and in words why not; so too a CrossplaneCluster and a request.

The rules are those of Kratix's scheduler (internal/controller/scheduler.go: getDestinationsForWorkloadGroup).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from function.api import names
from function.api.destination import Destination, Inventory
from function.api.errors import shorten

Labels = Mapping[str, str]
Obstacle = Literal["", "labels", "deleting", "strict", "dry run", "name"]

_COUNTED: Final[Mapping[Obstacle, str]] = {
    "deleting": "being {leaving}",
    "strict": "with strictMatchLabels",
    "dry run": "for dry runs only",
    "name": f"with a name over {names.LABEL_LIMIT} characters",
}
_LISTED: Final = 3
_ANSWERS: Final = 64
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Words:
    """How things are called in reasons.

    Attributes:
        load: What is placed, as a plural.
        leaving: What happens to a place that takes nothing new.
    """

    place: str = "Destination"
    load: str = "documents"
    leaving: str = "deleted"


_WORDS: Final = Words()


def obstacle(destination: Destination, wanted: Labels) -> Obstacle:
    """What keeps a Destination from taking a group that asks for these labels; empty where nothing does."""
    labels = destination.labels
    if not wanted.items() <= labels.items():
        return "labels"
    if destination.deleting:
        return "deleting"
    if not wanted and labels and destination.strict_match_labels:
        return "strict"
    if labels.get(names.KRATIX_DRY_RUN_LABEL) == "true" and names.KRATIX_DRY_RUN_LABEL not in wanted:
        return "dry run"
    # The name becomes the value of a label on every placement, so the API server would refuse the placement.
    return "name" if len(destination.name) > names.LABEL_LIMIT else ""


def taking(inventory: Inventory, wanted: Labels) -> tuple[str, ...]:
    """The names of the Destinations that take a group which asks for these labels, in the inventory's order."""
    key = tuple(sorted(wanted.items()))
    found = inventory.answers.get(key)
    if found is None:
        found = tuple(name for name, each in inventory.by_name.items() if not obstacle(each, wanted))
        if len(inventory.answers) < _ANSWERS:
            inventory.answers[key] = found
    return found


def misfit(destination: Destination | None, wanted: Labels, called: Words = _WORDS) -> str:
    """Why a Destination that has a group should not have it; empty where it fits.

    Args:
        destination: None where it is in the inventory no more.
    """
    if destination is None:
        return "it is gone"
    found = obstacle(destination, wanted)
    if not found:
        return ""
    missing = {key: value for key, value in wanted.items() if destination.labels.get(key) != value}
    said: Mapping[Obstacle, str] = {
        "labels": f"it no longer has {words(missing)}",
        "deleting": f"it is being {called.leaving}",
        "strict": "it has strictMatchLabels, and no label is asked for",
        "dry run": "it is for dry runs only",
        "name": f"its name has over {names.LABEL_LIMIT} characters",
    }
    return said[found]


def nobody(destinations: Collection[Destination], wanted: Labels, called: Words = _WORDS) -> str:
    """Why no Destination takes a group: one sentence that says what to change, however many Destinations there are."""
    if not destinations:
        return f"there is no {called.place}{f'; one with {words(wanted)} is needed' if wanted else ''}"
    total = f"{len(destinations)} {called.place}{'' if len(destinations) == 1 else 's'}"
    found = Counter(obstacle(destination, wanted) for destination in destinations)
    refusing = [
        f"{found[kind]} {said.format(leaving=called.leaving)}" for kind, said in _COUNTED.items() if found[kind]
    ]
    if not wanted:
        return f"no {called.place} takes {called.load} that ask for no label ({total}: {', '.join(refusing)})"
    if refusing:
        have = len(destinations) - found["labels"]
        refusing = [f"{have} with {'it' if len(wanted) == 1 else 'them'}", *refusing]
        return f"no {called.place} with {words(wanted)} takes anything new ({total}: {', '.join(refusing)})"
    return f"no {called.place} has {words(wanted)} ({total}: {_misses(destinations, wanted)})"


def _misses(destinations: Collection[Destination], wanted: Labels) -> str:
    have = {key: sum(d.labels.get(key) == value for d in destinations) for key, value in wanted.items()}
    if len(wanted) == 1:
        return f"{sum(have.values())} with it"
    # The rarest labels first: they are what is wrong.
    rarest = sorted(wanted, key=lambda key: (have[key], key))
    counts = ", ".join(f"{have[key]} with {_pair(key, wanted[key])}" for key in rarest[:_LISTED])
    nearest = min(destinations, key=lambda d: (-len(wanted.items() & d.labels.items()), d.name))
    missing = {key: value for key, value in wanted.items() if nearest.labels.get(key) != value}
    near = f"; nearest is {_short(nearest.name)}, without {words(missing)}" if len(missing) < len(wanted) else ""
    return counts + near


def words(wanted: Labels) -> str:
    """Labels as a person writes them: `environment=prod and zone=eu`; bounded."""
    return listed([_pair(key, value) for key, value in sorted(wanted.items())])


def having(wanted: Labels) -> str:
    """What goes behind "Destination": ` with environment=prod`; empty where no label is asked for."""
    return f" with {words(wanted)}" if wanted else ""


def listed(items: Sequence[str]) -> str:
    """A few items and how many more there are: `a, b and c`, `a, b, c and 2 more`."""
    shown = list(items) if len(items) <= _LISTED else [*items[:_LISTED], f"{len(items) - _LISTED} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _pair(key: str, value: str) -> str:
    return _short(f"{key}={value}")


def _short(text: str) -> str:
    return shorten(text, _SHOWN)
