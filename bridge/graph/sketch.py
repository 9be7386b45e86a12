"""A graph on its way to a picture: nodes in frames, and edges, in the order in which they were drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal[
    "request", "promise", "gate", "pipeline", "document", "decoration", "group", "selector", "destination", "nowhere"
]
_UNSAFE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Node:
    """A thing in the picture.

    Attributes:
        lines: What is said of it below its name, a line each.
        note: What there is no room for, such as a whole expression.
        frame: The id of the frame that it is in; empty for none.
        faint: Whether nothing reaches it.
    """

    id: str
    kind: Kind
    name: str
    lines: tuple[str, ...] = ()
    note: str = ""
    frame: str = ""
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """What follows what.

    Attributes:
        dashed: Whether it is so only for some requests, or at another time.
    """

    source: str
    target: str
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What belongs together."""

    id: str
    title: str


@dataclass(slots=True)
class Sketch:
    """A graph that is being drawn; ids tell what they are of, so that a picture kept in git changes where its matter
    does."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def frame(self, title: str, name: str) -> str:
        """A new frame; returns its id."""
        made = Frame(self._id(f"frame {name}"), title)
        self.frames.append(made)
        return made.id

    def node(
        self, kind: Kind, name: str, lines: Sequence[str] = (), *, note: str = "", frame: str = "", faint: bool = False
    ) -> str:
        """A new node; returns its id."""
        made = Node(self._id(f"{kind} {name}"), kind, name, tuple(line for line in lines if line), note, frame, faint)
        self.nodes.append(made)
        return made.id

    def edge(self, sources: Sequence[str], target: str, label: str = "", *, dashed: bool = False) -> None:
        """Edges from all of these; one that is there already is not drawn again."""
        for source in sources:
            made = Edge(source, target, label, dashed)
            if made not in self.edges:
                self.edges.append(made)

    def chain(self, sources: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
        """One after the other; returns the ids at the end."""
        for target in targets:
            self.edge(sources, target)
            sources = (target,)
        return tuple(sources)

    def _id(self, text: str) -> str:
        slug = _UNSAFE.sub("_", text.lower()).strip("_")
        number, found = 2, slug
        while found in self._ids:
            found, number = f"{slug}_{number}", number + 1
        self._ids.add(found)
        return found


def plain(sketch: Sketch) -> dict[str, list[dict[str, Any]]]:
    """A graph as plain values, for machines. Keys are added in later versions, never renamed."""
    return {
        "nodes": [{**asdict(node), "lines": list(node.lines)} for node in sketch.nodes],
        "edges": [asdict(edge) for edge in sketch.edges],
        "frames": [asdict(frame) for frame in sketch.frames],
    }
