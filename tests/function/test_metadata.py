"""The three files of /kratix/metadata, by Kratix's rules."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from function.api import metadata
from function.api.metadata import Control, Metadata
from function.api.output import Output, OutputError


def read(*, status: str | None = None, selectors: str | None = None, control: str | None = None) -> Metadata:
    raw = [None if text is None else text.encode() for text in (status, selectors, control)]
    return metadata.read(Output({}, *raw))


def test_no_file_says_nothing() -> None:
    assert read() == Metadata({}, (), Control())
    assert read(status="", selectors="---\n", control="# nothing\n") == Metadata({}, (), Control())


def test_a_status_is_plain_values_as_kubernetes_reads_them() -> None:
    text = "message: hi\nsince: 2026-01-01\nready: yes\nport: 0x10\nlist: [1, 2.5]\n"
    expected = {"message": "hi", "since": "2026-01-01", "ready": True, "port": 16, "list": [1, 2.5]}
    assert read(status=text).status == expected


def test_only_the_first_document_counts() -> None:
    """As in Kratix, whose decoder looks at no other."""
    assert read(status="a: 1\n---\nb: 2\n").status == {"a": 1}


def test_a_number_that_a_double_holds_is_one() -> None:
    assert read(status=f"a: {'9' * 308}\nb: 1e308\nc: '{'9' * 5000}'\n").status == {
        "a": int("9" * 308),
        "b": 1e308,
        "c": "9" * 5000,
    }


def test_a_status_may_have_24_levels() -> None:
    assert read(status="a: " + "{a: " * 23 + "1" + "}" * 23).status["a"]


def test_selectors_keep_their_order_and_the_root_has_one_name() -> None:
    text = """
    - directory: zone/
      matchLabels: {zone: eu}
    - matchLabels: {environment: prod}
      somethingNewer: true
    """
    assert read(selectors=text).selectors == (("zone", {"zone": "eu"}), (".", {"environment": "prod"}))


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("suspend: true", Control(suspend=True)),
        ("{suspend: true, message: wait}", Control(suspend=True, message="wait")),
        ("retryAfter: 5m", Control(retry_after=300)),
        ("retryAfter: 1h30m0.5s", Control(retry_after=5400.5)),
        ("{retryAfter: 300ms, suspend: true, message: again}", Control(suspend=True, message="again", retry_after=0.3)),
        ("{retryAfter: '', suspend: null}", Control()),
        ("another: field", Control()),
    ],
)
def test_what_a_pipeline_can_ask_for(text: str, control: Control) -> None:
    assert read(control=text).control == control


def test_numbers_bools_and_another_case_are_taken_as_kratix_takes_them() -> None:
    """Each of these was read by Kratix's own reader (work-creator/lib at ae170e22e974) with this outcome."""
    text = "- {Directory: 1, matchlabels: {tier: 1, ha: yes, zone: null, ratio: 0.5}}"
    assert read(selectors=text).selectors == (("1", {"tier": "1", "ha": "true", "zone": "", "ratio": "0.5"}),)
    assert read(control="Suspend: true\nMESSAGE: 1\nretryafter: +5m").control == Control(True, "1", 300)
    assert read(control="suspend: true\nSuspend: false").control == Control(suspend=True)


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "status: no YAML": ({"status": "a: ["}, "status.yaml, line 2: is not YAML: did not find expected node content"),
    "status: a list": ({"status": "[1]"}, "status.yaml: must be an object, not a list"),
    "status: text": ({"status": "hello"}, "status.yaml: must be an object, not a string"),
    "status: a key twice": ({"status": "a: 1\na: 2\n"}, "status.yaml, line 2: has the key a twice"),
    "status: Kratix's own field": (
        {"status": "kratix: {}"},
        "status.yaml: must not have the field kratix, which belongs to Kratix",
    ),
    "status: aliases that multiply": (
        {
            "status": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
            )
        },
        "is nested too deeply, or grows too large by its aliases",
    ),
    "status: nested so deeply that PyYAML would end the process": (
        {"status": "[" * 250_000},
        "status.yaml, line 1: is nested deeper than 64 levels",
    ),
    "selectors: an object": ({"selectors": "a: 1"}, "destination-selectors.yaml: must be a list, not an object"),
    "selectors: text": ({"selectors": "[a]"}, "destination-selectors.yaml: [0]: must be an object, not a string"),
    "selectors: no labels": (
        {"selectors": "[{directory: a, matchLabels: {}}]"},
        "destination-selectors.yaml: [0].matchLabels: is required",
    ),
    "selectors: the root twice": (
        {"selectors": "[{matchLabels: {a: b}}, {directory: ./, matchLabels: {a: c}}]"},
        "destination-selectors.yaml: [1].directory: there are two entries for .",
    ),
    "selectors: a label that is a list": (
        {"selectors": "[{matchLabels: {tier: [1]}}]"},
        "destination-selectors.yaml: [0].matchLabels[tier]: must be a string, not a list",
    ),
    "selectors: a directory that is an object": (
        {"selectors": "[{directory: {}, matchLabels: {a: b}}]"},
        "destination-selectors.yaml: [0].directory: must be a string, not an object",
    ),
    "control: a list for text": (
        {"control": "message: [1]"},
        "workflow-control.yaml: message: must be a string, not a list",
    ),
    "control: a number for a duration": (
        {"control": "retryAfter: 5"},
        "workflow-control.yaml: retryAfter: must be a duration such as 90s, 10m or 1h30m, not '5'",
    ),
    "control: a list": ({"control": "[]"}, "workflow-control.yaml: must be an object, not a list"),
    "control: text for a truth": (
        {"control": "suspend: 'true'"},
        "workflow-control.yaml: suspend: must be true or false, not a string",
    ),
}
WRONG["status: so deep that the XR could not be read again"] = (
    {"status": "a: " + "{a: " * 24 + "1" + "}" * 24},
    "status.yaml: is nested deeper than 24 levels, with which the XR could not be read again",
)
for _digits in (309, 400, 4300, 5000):
    for _number in ("9" * _digits, "-" + "9" * _digits, "0x" + "f" * _digits):
        WRONG[f"status: {_number[:3]}, {_digits} digits"] = (
            {"status": f"ok: 1\nsize: {_number}\n"},
            "status.yaml, line 2: holds a number that JSON does not have (infinity, not-a-number, or beyond 1.8e308)",
        )
for _directory in ("a/b", "../a", "..", "/", "/a"):
    WRONG[f"selectors: directory {_directory}"] = (
        {"selectors": f"[{{directory: {_directory}, matchLabels: {{a: b}}}}]"},
        f"destination-selectors.yaml: [0].directory: must be a folder right below the output, not '{_directory}'",
    )
for _duration in ("soon", "5", "5 m", "m", "1d", "5m" * 50):
    WRONG[f"control: retry after {_duration[:20]}"] = (
        {"control": f"retryAfter: '{_duration}'"},
        f"workflow-control.yaml: retryAfter: must be a duration such as 90s, 10m or 1h30m, not '{_duration[:80]}'",
    )
for _duration in ("0", "0s", "-5m", "8785h"):
    WRONG[f"control: retry after {_duration}"] = (
        {"control": f"retryAfter: '{_duration}'"},
        f"workflow-control.yaml: retryAfter: must be more than nothing and at most a year, not '{_duration}'",
    )


@pytest.mark.parametrize("name", WRONG)
def test_what_kratix_would_not_take_is_named(name: str) -> None:
    given_, message = WRONG[name]
    with pytest.raises(OutputError) as raised:
        read(**given_)
    assert message in str(raised.value)
    assert len(str(raised.value)) < 300


def test_what_is_no_text_is_named() -> None:
    with pytest.raises(OutputError, match=r"status\.yaml: byte 3 is not UTF-8"):
        metadata.read(Output({}, status=b"a: \xff"))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8", categories=["L"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=15,
)


@given(JSON, JSON, JSON)
@settings(deadline=None)
def test_no_value_raises_anything_else(status: Any, selectors: Any, control: Any) -> None:
    raw = [yaml.safe_dump(value, allow_unicode=True).encode() for value in (status, selectors, control)]
    try:
        found = metadata.read(Output({}, *raw))
    except OutputError:
        return
    assert isinstance(found.status, dict)
