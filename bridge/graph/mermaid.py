"""A graph as Mermaid's flowchart, which Git forges and documentation sites draw by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bridge.graph.sketch import Kind, Node, Sketch
from bridge.screen import clean

# Mermaid's shapes (flowchart syntax): what opens and what closes a node's text.
_SHAPES: Mapping[Kind, tuple[str, str]] = {
    "request": ("([", "])"),
    "promise": ("[[", "]]"),
    "gate": ("{{", "}}"),
    "pipeline": ("[", "]"),
    "document": ("[/", "/]"),
    "decoration": ("[", "]"),
    "group": ("(", ")"),
    "selector": (">", "]"),
    "destination": ("[(", ")]"),
    "nowhere": ("[", "]"),
}
# Inside of quotes Mermaid reads HTML, its own entities (#quot;), and, before all else, directives: %%{init: ...}%%.
_ESCAPES = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "%": "#37;"}
_ENTITIES = re.compile("|".join(_ESCAPES.values()))


def text(sketch: Sketch) -> str:
    """The whole flowchart, from left to right."""
    return "".join(f"{_ended(line)}\n" for line in _lines(sketch))


def _lines(sketch: Sketch) -> Iterator[str]:
    yield "flowchart LR"
    for node in sketch.nodes:
        if not node.frame:
            yield f"  {_node(node)}"
    for frame in sketch.frames:
        yield f'  subgraph {frame.id}["{_escaped(frame.title)}"]'
        for node in sketch.nodes:
            if node.frame == frame.id:
                yield f"    {_node(node)}"
        yield "  end"
    for edge in sketch.edges:
        arrow = "-.->" if edge.dashed else "-->"
        label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
        yield f"  {edge.source} {arrow}{label} {edge.target}"
    # What nothing reaches would be at the beginning: a line that is not seen puts it behind the rest.
    last = next((node.id for node in reversed(sketch.nodes) if node.kind == "selector"), "")
    for node in sketch.nodes:
        if node.faint and last:
            yield f"  {last} ~~~ {node.id}"
    yield "  classDef faint stroke-dasharray:4 3,opacity:0.6"
    yield "  classDef nowhere stroke:#b00020,stroke-width:2px"


def _node(node: Node) -> str:
    opens, closes = _SHAPES[node.kind]
    said = "<br/>".join(_escaped(line) for line in (node.name, *node.lines))
    marked = ":::nowhere" if node.kind == "nowhere" else ":::faint" if node.faint else ""
    return f'{node.id}{opens}"{said}"{closes}{marked}'


def _ended(line: str) -> str:
    # Mermaid takes the last semicolon from what might be a style, and then from what might be a class (utils.ts:
    # encodeEntities). These are not to be those of entities.
    return f"{line};;" if _ENTITIES.search(line) else line


def _escaped(words: str) -> str:
    # Quotes around nothing are an error.
    return "".join(_ESCAPES.get(c, c) for c in clean(" ".join(words.split()))) or " "
