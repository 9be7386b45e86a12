"""Mermaid's pictures, read as strictly as Mermaid reads them, as far as this project writes any.

Its own parser is a package of npm, and needs a browser: no machine is sure to have it. What is read here Mermaid
11.17 has read the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeVar

# What opens and what closes a node's text, the longest first.
_SHAPES = (("([", "])"), ("[[", "]]"), ("[(", ")]"), ("[/", "/]"), ("{{", "}}"), ("[", "]"), ("(", ")"), (">", "]"))
_ID = r"[A-Za-z]\w*"
# In quotes all but what ends them, what is HTML, and what is an entity or is not one.
_QUOTED = r'"((?:[^"<>&`#\n]|<br/>|#(?:\d+|[a-z]+);)+)"'
_BARE = r"((?:[\w ,:'+.-]|<br/>)+)"
_TEXT = rf"(?:{_QUOTED}|{_BARE})"
_NODE = re.compile(
    rf"({_ID})(?:"
    + "|".join(rf"{re.escape(opens)}{_TEXT}{re.escape(closes)}" for opens, closes in _SHAPES)
    + rf")?(?::::({_ID}))?"
)
_LINK = re.compile(rf" (-->|-\.->|~~~)(?:\|{_TEXT}\|)? ")
_FRAME = re.compile(rf"subgraph ({_ID})\[{_TEXT}\]")
_CLASS = re.compile(rf"classDef ({_ID}) [-\w:#., ]+")
_ENTITY = re.compile(r"#(\w+);")
_NAMED = {"amp": "&", "quot": '"', "lt": "<", "gt": ">"}
# Words of a flowchart, which a node that is called so would be taken for.
_WORDS = {"call", "class", "classdef", "click", "default", "direction", "end", "flowchart", "graph", "href", "linkstyle", "style", "subgraph"}  # fmt: skip
# From these it takes the last semicolon, before it looks for entities.
_STYLES = (re.compile(r"style.*:\S*#.*;"), re.compile(r"classDef.*:\S*#.*;"))


_Said = TypeVar("_Said")


class UnreadableError(AssertionError):
    """Mermaid would refuse it, or draw something else."""


@dataclass
class Flowchart:
    """What is drawn.

    Attributes:
        nodes: The lines of their texts, by id.
        frames: Titles by id.
        inside: The frame of each node that is in one.
        edges: From, to, what is said of it, and how it is drawn.
        marked: Classes by node.
    """

    nodes: dict[str, list[str]] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str, str, str]] = field(default_factory=list)
    marked: dict[str, str] = field(default_factory=dict)


def read(text: str) -> Flowchart:
    """A flowchart.

    Raises:
        UnreadableError: It is none, it names what it does not declare, or declares something twice.
    """
    if "%%" in text:
        raise UnreadableError("%% is a comment or a directive, wherever it is")
    for style in _STYLES:
        text = style.sub(lambda found: found[0][:-1], text)
    first, *lines = text.splitlines()
    if not re.fullmatch("flowchart (LR|TB)", first):
        raise UnreadableError(first)
    found, classes = Flowchart(), set[str]()
    frame = ""
    for line in (line.strip().rstrip(";") for line in lines):
        if opened := _FRAME.fullmatch(line):
            if frame:
                raise UnreadableError(f"{line}: in {frame}")
            frame = opened[1]
            _declare(found.frames, frame, _said(opened)[0])
        elif line == "end" and frame:
            frame = ""
        elif defined := _CLASS.fullmatch(line):
            classes.add(defined[1])
        elif not (frame and re.fullmatch("direction (LR|TB)", line)):
            _chain(found, line, frame)
    _check(found, classes, frame)
    return found


def _chain(found: Flowchart, line: str, frame: str) -> None:
    """Read nodes of a line, with what leads from each to the next."""
    position, before = 0, None
    while True:
        node = _NODE.match(line, position)
        if node is None:
            raise UnreadableError(line)
        id_, said = node[1], _said(node)
        if said:
            _declare(found.nodes, id_, said)
            if frame:
                found.inside[id_] = frame
        if marked := node[node.re.groups]:
            found.marked[id_] = marked
        if before:
            found.edges.append((before[0], id_, *before[1:]))
        if node.end() == len(line):
            return
        link = _LINK.match(line, node.end())
        if link is None:
            raise UnreadableError(line)
        before = (id_, " ".join(_said(link, 2)), link[1])
        position = link.end()


def _said(match: re.Match[str], first: int = 2) -> list[str]:
    """The lines of the text that was matched in one of the groups from the first on; of a node the last is its class."""
    last = match.re.groups if match.re is _NODE else match.re.groups + 1
    text = next((match[group] for group in range(first, last) if match[group]), "")
    return [_plain(line) for line in text.split("<br/>")] if text else []


def _plain(text: str) -> str:
    return _ENTITY.sub(lambda found: chr(int(found[1])) if found[1].isdigit() else _NAMED[found[1]], text)


def _declare(declared: dict[str, _Said], id_: str, said: _Said) -> None:
    if id_ in declared or id_.lower() in _WORDS:
        raise UnreadableError(f"{id_}: is declared twice, or is a word of Mermaid's")
    declared[id_] = said


def _check(found: Flowchart, classes: set[str], frame: str) -> None:
    ends = {id_ for edge in found.edges for id_ in edge[:2]}
    if frame or found.nodes.keys() & found.frames.keys():
        raise UnreadableError(f"{frame or 'a frame'} does not end, or is a node too")
    if not (ends | found.marked.keys()) <= found.nodes.keys():
        raise UnreadableError(f"not declared: {sorted((ends | found.marked.keys()) - found.nodes.keys())}")
    if not set(found.marked.values()) <= classes:
        raise UnreadableError(f"not defined: {sorted(set(found.marked.values()) - classes)}")


def check_sequence(text: str) -> None:
    """Check a sequence diagram.

    Raises:
        UnreadableError: It is none, or names who is not declared.
    """
    first, *lines = text.splitlines()
    known: set[str] = set()
    said = r"[^;#%\n]+"
    for line in (line.strip() for line in lines):
        declared = re.fullmatch(rf"(?:actor|participant) ({_ID}) as {said}", line)
        used = re.fullmatch(rf"({_ID})-?->>({_ID}): {said}", line) or re.fullmatch(rf"Note over ({_ID}): {said}", line)
        if declared:
            known.add(declared[1])
        elif used is None or not set(used.groups()) <= known:
            raise UnreadableError(line)
    if first != "sequenceDiagram" or not known:
        raise UnreadableError(first)
