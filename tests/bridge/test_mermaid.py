"""Mermaid draws what `kratix-crossplane graph` prints, whatever things are called, and what the documentation shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flowchart
import pytest
from flowchart import Flowchart, UnreadableError
from hypothesis import example, given
from hypothesis import strategies as st
from test_graph import EXAMPLES, composition, drawn, made, ran, step

import build
from bridge.graph import mermaid
from bridge.graph.sketch import Kind, Sketch, plain
from bridge.screen import clean

ROOT = Path(__file__).parents[2]
KINDS: tuple[Kind, ...] = ("request", "promise", "gate", "pipeline", "document", "decoration", "group", "selector", "destination", "nowhere")  # fmt: skip
PICTURES = {
    f"{path.relative_to(ROOT)} {number}": block.partition("```")[0]
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("example/**/*.md")])
    for number, block in enumerate(path.read_text(encoding="utf-8").split("```mermaid\n")[1:], start=1)
}
# Each would end quotes, a line, a shape or a label, begin a comment, a directive or an entity, or is a word of Mermaid's.
NASTY = (
    *('"', "]", "])", "|", ";", "#", "#quot;", "\\", "`", "<br/>", "</a>", "&lt;", "%", "%%", "\n", "\r\n", "\u2028", "\t"),
    *("%%{init: {'theme': 'dark'}}%%", "%%{wrap}%%", 'style:"x"', 'classDef a:"x" y', "end", "end\n", "subgraph", ":::faint"),
    *('"] --> evil["', "x\n  evil --> worse", " ", "", "1. a", "ü", "日本"),
)  # fmt: skip
names = st.one_of(
    st.sampled_from(NASTY),
    st.lists(st.sampled_from((*NASTY, "a", "b c")), max_size=4).map("".join),
    st.text(max_size=12),
)


def shown(text: str) -> str:
    """A text as a picture has it: white space is a space, and what a terminal would obey is no more."""
    return clean(" ".join(text.split())) or " "


def agree(chart: Flowchart, graph: dict[str, list[dict[str, Any]]]) -> None:
    """What is read of the picture is what was to be drawn, and no more."""
    nodes = {node["id"]: [shown(line) for line in (node["name"], *node["lines"])] for node in graph["nodes"]}
    assert chart.nodes == nodes
    assert chart.frames == {frame["id"]: shown(frame["title"]) for frame in graph["frames"]}
    assert chart.inside == {node["id"]: node["frame"] for node in graph["nodes"] if node["frame"]}
    drawn_edges = [
        (e["source"], e["target"], shown(e["label"]) if e["label"] else "", "-.->" if e["dashed"] else "-->")
        for e in graph["edges"]
    ]
    assert [edge for edge in chart.edges if edge[3] != "~~~"] == drawn_edges
    classes = {n["id"]: "nowhere" if n["kind"] == "nowhere" else "faint" for n in graph["nodes"] if n["kind"] == "nowhere" or n["faint"]}  # fmt: skip
    assert chart.marked == classes


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_drawn(name: str, capsys: pytest.CaptureFixture[str]):
    graph = drawn(capsys, ROOT / "example" / name)
    code, out, err = ran(capsys, ROOT / "example" / name)
    assert (code, err) == (0, "")
    agree(flowchart.read(out), graph)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_of_the_documentation_is_drawn(name: str):
    text = PICTURES[name]
    if text.startswith("sequenceDiagram"):
        flowchart.check_sequence(text)
    else:
        assert flowchart.read(text).edges, "something is drawn"


def test_the_documentation_has_pictures():
    assert len(PICTURES) >= 4, "they are found"


@given(st.lists(names, min_size=4, max_size=4))
@example(["%%{init: {'theme': 'dark'}}%%"] * 4)
@example(['style:"x"'] * 4)
@example(['style classDef:"x"'] * 4)
@example([""] * 4)
@example(["end"] * 4)
def test_no_name_breaks_out(given_: list[str]):
    one, other, title, label = given_
    sketch = Sketch()
    frame = sketch.frame(title, title)
    ids = [
        sketch.node(kind, one, (other, label), frame=frame if number % 2 else "", faint=kind == "destination")
        for number, kind in enumerate(KINDS)
    ]
    alone = sketch.node("gate", other, frame=frame)
    sketch.edge(ids, alone, label)
    sketch.edge((alone,), ids[0], title, dashed=True)
    agree(flowchart.read(mermaid.text(sketch)), plain(sketch))


def test_nothing_in_a_file_breaks_out(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Where a user writes what is not held to be a name: expressions, labels, globs, and objects that nobody has checked."""
    for number, nasty in enumerate(NASTY):
        given = step(
            checks=[{"name": "gate", "expression": f"request.spec.a != {json.dumps(nasty)}"}],
            documents=[
                {
                    "name": "x",
                    "when": f"request.spec.a == {json.dumps(nasty)}",
                    "manifest": {"apiVersion": "v1", "kind": nasty, "metadata": {"name": "x"}},
                }
            ],
            decorate=[{"match": {"kind": nasty or "*"}, "labels": {"a": "b"}}],
            schedule={"selectors": [{"matchLabels": {"a": f"${{{json.dumps(nasty)}}}"}, "when": "true"}]},
        )
        place = build.destination(f"dev-{number}", {"a": nasty})
        folder = tmp_path / str(number)
        folder.mkdir()
        path = made(folder, {**composition({**given, "step": nasty})}, place)
        graph = drawn(capsys, path)
        code, out, err = ran(capsys, path)
        assert (code, err) == (0, ""), nasty
        agree(flowchart.read(out), graph)


UNREADABLE = {
    "an id that is not declared": 'flowchart LR\n  a["x"]\n  a --> b\n',
    "quotes that end": 'flowchart LR\n  a["x"] --> b["y"z"]\n',
    "a bracket without quotes": "flowchart LR\n  a[x]y]\n",
    "a shape that does not end": 'flowchart LR\n  a["x"\n',
    "an entity that is none": 'flowchart LR\n  a["#x"]\n',
    "HTML": 'flowchart LR\n  a["<b>x</b>"]\n',
    "a directive": "flowchart LR\n  a[\"%%{init: {'theme': 'dark'}}%%\"]\n",
    "nothing in quotes": 'flowchart LR\n  a[""]\n',
    "twice the same": 'flowchart LR\n  a["x"]\n  a["y"]\n',
    "a word of its own": 'flowchart LR\n  end["x"]\n',
    "a frame that does not end": 'flowchart LR\n  subgraph f["x"]\n  a["y"]\n',
    "a class that is none": 'flowchart LR\n  a["x"]:::odd\n',
    "an entity that loses its end": 'flowchart LR\n  style_a["b:#quot;x"]\n',
    "another picture": "pie\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_mermaid_would_not_draw_is_found(name: str):
    with pytest.raises(UnreadableError):
        flowchart.read(UNREADABLE[name])
