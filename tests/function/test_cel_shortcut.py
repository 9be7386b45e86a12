"""An expression gives the same with its shortcut as without: the library is asked for both."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function import cel
from function.cel import shortcut

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
    "has(request.spec.deep) && !has(request.spec.shallow)",
    "has(request.spec.deep.kind)",
    "request.spec[request.kind]",
    "'a' + request.spec[request.other]",
    "request.spec['Cluster'] + 2 * request.number <= 7",
    "request.number - 4",
    "request.number * request.number",
    "request.kind + '-' + request.other",
    "int(request.number) >= 3",
    "request.number < 3 || request.number > 3",
    *(f"int({text!r})" for text in ("12", "-12", "+12", " 12", "12 ", "007", "-0", "", "1e3", "0x1f", "9" * 19)),
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
    {"kind": "Cluster", "other": [], "spec": {"Cluster": 1}},
    {},
)


def value(compiled: cel.Expression, body: dict[str, Any]) -> Any:
    try:
        found = compiled.evaluate(cel.Scope({"request": body}))
    except cel.EvaluationError as error:
        return f"error: {error}"
    return type(found), found


def with_and_without(source: str, body: dict[str, Any]) -> tuple[Any, Any]:
    compiled = cel.expression(source, "path", cel.REQUEST)
    without = copy.copy(compiled)
    without._shortcut = None
    return value(compiled, body), value(without, body)


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_it_gives_what_the_library_gives(source: str) -> None:
    for body in BODIES:
        found, expected = with_and_without(source, body)
        assert found == expected, body


_JUNK = st.sampled_from((None, True, 2.5, 3, 2**60, "3", "a", "ä", [], {"a": 1}, ["a"]))
_NUMBERS = st.one_of(st.sampled_from((0, 1, -7, 12, 2**31, 94906267, 2**53 - 1)), st.integers(-(2**53), 2**53))
_TEXTS = st.sampled_from(("", "a", "ab", "12", "-5", "+5", " 5", "007", "-0", "1e3", "0x1", "5.0", "9" * 15, "9" * 16))
_BODIES = st.fixed_dictionaries(
    {},
    optional={
        "number": st.one_of(_NUMBERS, _NUMBERS, _JUNK),
        "count": st.one_of(_NUMBERS, _NUMBERS, _JUNK),
        "kind": st.one_of(_TEXTS, _TEXTS, _JUNK),
        "other": st.one_of(_TEXTS, _TEXTS, _JUNK),
        "flag": st.one_of(st.booleans(), st.booleans(), _JUNK),
        "spec": st.one_of(st.dictionaries(_TEXTS, st.one_of(_NUMBERS, _TEXTS)), _JUNK),
    },
)


def _written(form: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda given: form.format(*given))


def _expressions(depth: int) -> tuple[st.SearchStrategy[str], ...]:
    """Numbers, texts and conditions in CEL, which are one where the body is as it should be."""
    numbers = st.sampled_from(("request.number", "request.count", "0", "-7", "12", "9007199254740991"))
    texts = st.sampled_from(("request.kind", "request.other", "'a'", "'12'", "''"))
    conditions = st.sampled_from(("request.flag", "has(request.flag)", "has(request.spec.a)", "true"))
    if not depth:
        return numbers, texts, conditions
    number, text, condition = _expressions(depth - 1)
    compared, reckoned = st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.sampled_from("+-*")
    return (
        st.one_of(
            numbers,
            _written("({} {} {})", number, reckoned, number),
            _written("int({})", st.one_of(number, text)),
            _written("request.spec[{}]", text),
        ),
        st.one_of(texts, _written("({} + {})", text, text), _written("request.spec[{}]", text)),
        st.one_of(
            conditions,
            _written("({} {} {})", number, compared, number),
            _written("({} {} {})", text, st.sampled_from(("==", "!=")), text),
            _written("{}.startsWith({})", text, text),
            _written("({} in ['a', '12', ''])", text),
            _written("!{}", condition),
            _written("({} {} {})", condition, st.sampled_from(("&&", "||")), condition),
            _written("({} ? {} : {})", condition, condition, condition),
        ),
    )


@given(source=st.one_of(*_expressions(2)), body=_BODIES)
@settings(max_examples=2000 if os.environ.get("CI") else 500, deadline=None)
def test_whatever_is_written_it_gives_what_the_library_gives(source: str, body: dict[str, Any]) -> None:
    found, expected = with_and_without(source, body)
    assert found == expected


DECIDED = (
    ("request.kind == 'Cluster'", 0),
    ("request.kind in ['Cluster', 'Instance']", 1),
    ("request.kind == 'Cluster' || request.number > 3", 0),
    ("request.kind == 'Cluster' && size(request.other) > 3", 1),
    ("request.flag ? request.kind == 'Cluster' : request.other in ['x']", 1),
    ("int('12') + 2 * request.number <= request.spec[request.kind]", 0),
    ("has(request.spec.deep)", 0),
    ("request.number - 4 < 0", 0),
)
LEFT = (
    ("request.kind == 'Cluster'", 4),
    ("request.kind == 'Cluster'", 2),
    ("size(request.other) > 3 || request.kind == 'Cluster'", 0),
    ("request.kind == 'Cluster' || size(request.other) > 3", 1),
    ("request.flag && request.kind == 'Cluster'", 5),
    ("request.number * request.number", 5),
    ("request.number + 1 > 0", 5),
    ("request.number > 1", 2),
    ("int(' 12') > 1", 0),
    ("request.spec['none'] == 1", 0),
    ("has(request.spec.deep)", 5),
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
