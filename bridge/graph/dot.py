"""A graph in Graphviz' language, and as SVG where its program `dot` is: laying out layers is its art."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping

from bridge.errors import FolderError
from bridge.graph.sketch import Edge, Kind, Node, Sketch
from bridge.screen import clean

_PROGRAM = "dot"
_SECONDS = 60.0
_SHAPES: Mapping[Kind, str] = {
    "request": "oval",
    "promise": "component",
    "gate": "hexagon",
    "pipeline": "box",
    "document": "note",
    "decoration": "box",
    "group": "box",
    "selector": "cds",
    "destination": "cylinder",
    "nowhere": "box",
}


def text(sketch: Sketch) -> str:
    """The whole graph, from left to right."""
    return "".join(f"{line}\n" for line in _lines(sketch))


def svg(sketch: Sketch) -> str:
    """The graph laid out by `dot`.

    Raises:
        FolderError: It is not on the PATH, or fails.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise FolderError(
            "cannot draw SVG: Graphviz' program dot is not on the PATH; install it, or take -o mermaid, "
            "which Git forges draw"
        )
    try:
        done = subprocess.run(  # noqa: S603 - a program by its full path, with no argument of a user's
            [program, "-Tsvg"], input=text(sketch), capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        cause = (
            f"it took more than {_SECONDS:.0f} s" if isinstance(error, subprocess.TimeoutExpired) else error.strerror
        )
        raise FolderError(f"cannot draw SVG by {program}: {cause}") from None
    if done.returncode:
        raise FolderError(f"cannot draw SVG by {program}: {done.stderr.strip().partition(chr(10))[0]}")
    return done.stdout


def _lines(sketch: Sketch) -> Iterator[str]:
    yield "digraph kratix {"
    yield '  graph [rankdir=LR, fontname="sans-serif", fontsize=12, nodesep=0.25, ranksep=0.5]'
    yield '  node [fontname="sans-serif", fontsize=11, margin="0.15,0.08"]'
    yield '  edge [fontname="sans-serif", fontsize=9]'
    for node in sketch.nodes:
        if not node.frame:
            yield f"  {_node(node)}"
    for frame in sketch.frames:
        # A cluster to Graphviz is what has a name like this.
        yield f"  subgraph cluster_{frame.id} {{"
        yield f"    label={_quoted(frame.title)}; style=rounded; color=gray60"
        for node in sketch.nodes:
            if node.frame == frame.id:
                yield f"    {_node(node)}"
        yield "  }"
    # Also those that nothing reaches, which would be at the beginning.
    yield f"  {{rank=same; {'; '.join(node.id for node in sketch.nodes if node.kind == 'destination')}}}"
    for edge in sketch.edges:
        yield f"  {edge.source} -> {edge.target}{_edge(edge)}"
    yield "}"


def _node(node: Node) -> str:
    # Without a note Graphviz would make the label the tooltip.
    told = {
        "label": "\n".join((node.name, *node.lines)),
        "shape": _SHAPES[node.kind],
        "tooltip": node.note or node.name,
    }
    if node.faint:
        told |= {"style": "dashed", "fontcolor": "gray40", "color": "gray60"}
    if node.kind == "nowhere":
        told |= {"color": "red3", "fontcolor": "red3"}
    if node.kind == "group":
        told |= {"style": "rounded"}
    return f"{node.id} [{', '.join(f'{key}={_quoted(value)}' for key, value in told.items())}]"


def _edge(edge: Edge) -> str:
    told = {"label": edge.label} if edge.label else {}
    told |= {"style": "dashed"} if edge.dashed else {}
    return f" [{', '.join(f'{key}={_quoted(value)}' for key, value in told.items())}]" if told else ""


def _quoted(words: str) -> str:
    escaped = clean(words).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
