"""From a workload group to the Destinations that take it: by Kratix's rules (function.api.fit), as far as files tell.

Which labels are asked for depends on the request where a selector has a `when` or a value in `${}`: each `when` is a
way of its own, and a value that is not known yet matches any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.graph.sketch import Sketch
from function.api import fit
from function.api.destination import Destination, Inventory
from function.api.errors import shorten

Labels = Mapping[str, str]
_OPEN = "${"
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Way:
    """Labels that a group asks for, under a condition.

    Attributes:
        labels: Values may hold `${}`.
        when: An expression; empty where it always holds.
    """

    labels: Labels
    when: str = ""


@dataclass(slots=True)
class Map:
    """The Destinations of a picture.

    Attributes:
        inventory: In the order in which they are drawn.
        ids: Of those that are drawn, by name.
    """

    sketch: Sketch
    inventory: Inventory
    ids: dict[str, str] = field(default_factory=dict)

    def lead(self, group: str, ways: Sequence[Way], *, every: bool, frame: str) -> None:
        """Draw the ways from a group to its Destinations."""
        for way in ways:
            selector = self.sketch.node("selector", _words(way.labels), frame=frame)
            label = f"when {shorten(' '.join(way.when.split()), _SHOWN)}" if way.when else ""
            self.sketch.edge((group,), selector, label, dashed=bool(way.when))
            self._reach(selector, way.labels, every=every)

    def rest(self) -> None:
        """Draw the Destinations that nothing reaches."""
        for each in self.inventory:
            if each.name not in self.ids:
                self._drawn(each, faint=True)

    def _reach(self, selector: str, wanted: Labels, *, every: bool) -> None:
        open_ = any(_OPEN in value for value in wanted.values())
        found = [each for each in self.inventory if not fit.obstacle(each, _filled(wanted, each))]
        if not found:
            nobody = self.sketch.node("nowhere", "no Destination", note=fit.nobody(self.inventory, wanted))
            self.sketch.edge((selector,), nobody)
        for each in found:
            label = "" if len(found) == 1 else "each" if every else "one of them"
            self.sketch.edge((selector,), self._drawn(each), label, dashed=open_)

    def _drawn(self, each: Destination, *, faint: bool = False) -> str:
        if each.name not in self.ids:
            lines = [*(f"{key}={value}" for key, value in sorted(each.labels.items())), *_marks(each)]
            self.ids[each.name] = self.sketch.node("destination", each.name, lines, faint=faint)
        return self.ids[each.name]


def _filled(wanted: Labels, each: Destination) -> Labels:
    """Labels with what the Destination has for values that only a request tells."""
    return {key: each.labels.get(key, value) if _OPEN in value else value for key, value in wanted.items()}


def _marks(each: Destination) -> Iterator[str]:
    if each.strict_match_labels:
        yield "strictMatchLabels"
    if each.deleting:
        yield "being deleted"


def _words(labels: Labels) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "any Destination"
