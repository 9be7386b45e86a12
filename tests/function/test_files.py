"""Documents as files: text that readers of YAML 1.1 and 1.2 take for the same values."""

from __future__ import annotations

import json
import marshal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from function.api import files, manifest, work

# Strings that some reader of YAML takes for something else when they stand there without quotes.
AMBIGUOUS = [
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "n",
    "null",
    "~",
    "true",
    "1",
    "-1",
    "1e3",
    "0x1f",
    "0o17",
    "017",
    "1_000",
    ".5",
    ".inf",
    "+.NaN",
    "12:30:45",
    "2026-11-24",
    "=",
    "<<",
]


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_string_that_looks_like_something_else_is_quoted(text: str) -> None:
    assert files.to_yaml({"a": text}) == f'a: "{text}"\n'


def test_text_of_several_lines_stays_readable() -> None:
    assert files.to_yaml({"script": "one\ntwo\n"}) == "script: |\n  one\n  two\n"


def test_what_is_there_twice_is_written_twice() -> None:
    shared = {"a": 1}
    assert files.to_yaml([shared, shared]) == "- a: 1\n- a: 1\n"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["kind", "spec", "data"]), VALUES))
def test_a_file_holds_the_manifest(manifest: dict[str, Any]) -> None:
    content = work.unpack(files.workload("a.yaml", manifest)["content"])
    assert yaml.safe_load(content) == manifest or json.dumps(yaml.safe_load(content)) == json.dumps(manifest)


def test_large_files_are_not_kept_in_the_cache() -> None:
    before = files._packed.cache_info().currsize
    files.workload("a.yaml", {"data": "x" * 100_000})
    assert files._packed.cache_info().currsize == before


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_what_is_taken_for_small_is_small(value: Any) -> None:
    assert len(json.dumps(value)) <= manifest._JSON_TO_MARSHAL * len(marshal.dumps(value, 2))
