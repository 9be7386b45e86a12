"""docs/security.md: every threat and every bound names tests, and these tests are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "docs" / "security.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_ROW = re.compile(r"^\| (?!---|threat|bound|who )(.+) \|$", re.MULTILINE)


@cache
def _tests(path: str) -> frozenset[str]:
    tree = ast.parse((_ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def _named() -> list[tuple[str, str]]:
    return sorted(set(_TEST.findall(_PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("path", "name"), _named(), ids="::".join)
def test_every_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert (_ROOT / path).is_file(), f"docs/security.md names {path}"
    assert name in _tests(path), f"docs/security.md names {path}::{name}"


def test_every_line_of_the_model_names_a_test() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    model = text[text.index("## What each cannot do") : text.index("## What is not held")]
    rows = [row for row in _ROW.findall(model) if row.count("|") >= 1]
    assert len(rows) > 40
    assert [row for row in rows if not _TEST.search(row)] == []


def test_every_attack_is_on_the_page() -> None:
    """A test of an attack that no line of the model is about proves something that nobody reads."""
    named = _named()
    written = {
        (str(path.relative_to(_ROOT)), name)
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
        for name in _tests(str(path.relative_to(_ROOT)))
        if name.startswith("test_")
    }
    assert written - set(named) == set()
