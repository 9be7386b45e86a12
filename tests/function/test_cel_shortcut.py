"""An expression gives the same with its shortcut as without: the library is asked for both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from function import cel
from function.cel import library, shortcut

EXPRESSIONS = (
    "request.kind",
    "'text'",
    "'ä'",
    "request.kind == 'Cluster'",
    "'Cluster' == request.kind",
    "request.kind != 'Cluster'",
    "request.kind == request.other",
    "request.kind == 'ä'",
    "request.kind in ['Cluster', 'Instance']",
    "request.kind in ['Cluster', request.other]",
    "request.kind in request.spec",
    "request.kind in []",
    "request.kind.startsWith('Clu')",
    "request.kind.endsWith('ter')",
    "!request.flag",
    "!(request.kind == 'Cluster')",
    "request.flag && request.kind == 'Cluster'",
    "request.kind == 'Cluster' && request.flag",
    "request.flag || request.kind == 'Cluster'",
    "request.kind == 'Cluster' || request.number > 3",
    "request.number > 3 || request.kind == 'Cluster'",
    "request.kind == 'Cluster' && size(request.other) > 3",
    "request.kind == 'Cluster' ? request.other : request.number",
    "request.flag ? request.kind == 'Cluster' : request.other in ['x']",
    "request.flag ? size(request.kind) : 1",
    "request.spec.deep.kind == 'Cluster'",
    "has(request.kind) && request.kind == 'Cluster'",
    "request['kind'] == 'Cluster'",
    "['Cluster'].exists(request, request == 'Cluster')",
    "type(request.kind) == string",
    "request.number == 3",
    "request.flag == true",
)
BODIES: tuple[dict[str, Any], ...] = (
    {
        "kind": "Cluster",
        "other": "Cluster",
        "flag": True,
        "number": 3,
        "spec": {"Cluster": 1, "deep": {"kind": "Cluster"}},
    },
    {"kind": "Instance", "other": "x", "flag": False, "number": 4, "spec": {"deep": {"kind": "Instance"}}},
    {"kind": "ä", "other": "ä", "flag": True, "number": 2.5, "spec": {}},
    {"kind": "", "other": "", "flag": False, "number": 0, "spec": {"deep": "Cluster"}},
    {"kind": 3, "other": 3, "flag": "yes", "number": "3", "spec": []},
    {"kind": None, "other": True, "flag": None, "number": 2**60, "spec": None},
    {"kind": ["Cluster"], "other": {"a": 1}, "flag": 1},
    {},
)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shortcut, "of", lambda _: None)
    library._compiled.cache_clear()
    yield
    library._compiled.cache_clear()


def value(source: str, body: dict[str, Any]) -> Any:
    try:
        found = cel.expression(source, "path", cel.REQUEST).evaluate(cel.Scope({"request": body}))
    except cel.EvaluationError as error:
        return f"error: {error}"
    return type(found), found


@pytest.fixture
def expected(without: None) -> dict[tuple[str, int], Any]:
    return {(source, i): value(source, body) for source in EXPRESSIONS for i, body in enumerate(BODIES)}


def test_it_gives_what_the_library_gives(expected: dict[tuple[str, int], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    library._compiled.cache_clear()
    found = {(source, i): value(source, body) for source in EXPRESSIONS for i, body in enumerate(BODIES)}
    assert {key: got for key, got in found.items() if got != expected[key]} == {}


DECIDED = (
    ("request.kind == 'Cluster'", 0),
    ("request.kind in ['Cluster', 'Instance']", 1),
    ("request.kind == 'Cluster' || request.number > 3", 0),
    ("request.kind == 'Cluster' && size(request.other) > 3", 1),
    ("request.flag ? request.kind == 'Cluster' : request.other in ['x']", 1),
)
LEFT = (
    ("request.kind == 'Cluster'", 4),
    ("request.kind == 'Cluster'", 2),
    ("request.number > 3 || request.kind == 'Cluster'", 0),
    ("request.kind == 'Cluster' || request.number > 3", 1),
    ("request.flag && request.kind == 'Cluster'", 5),
)


@pytest.mark.parametrize(("source", "body"), DECIDED)
def test_it_decides_without_the_library(source: str, body: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = cel.expression(source, "path", cel.REQUEST)
    monkeypatch.setattr(compiled, "_program", None)
    assert isinstance(compiled.evaluate(cel.Scope({"request": BODIES[body]})), bool)


@pytest.mark.parametrize(("source", "body"), LEFT)
def test_it_leaves_to_the_library_what_it_does_not_know(source: str, body: int) -> None:
    way = cel.expression(source, "path", cel.REQUEST)._shortcut
    assert way is None or way(cel.Scope({"request": BODIES[body]}).find) is shortcut.UNKNOWN
