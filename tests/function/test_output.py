"""How an output travels: what is packed comes back, whatever it is, and nothing else is taken for it."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.api import names, output
from function.api.output import CHUNK, MAX_CHUNKS, MAX_FILES, MAX_UNPACKED, Output, OutputError, Owner, Refused

OWNER = Owner(namespace="team-a", run="pg-orders-one-0123456789", uid="uid-1", output_of="0" * 40)
BLOB = st.binary(max_size=200)
OUTPUTS = st.builds(
    Output,
    files=st.dictionaries(st.text(min_size=1, max_size=20), BLOB, max_size=8),
    status=st.none() | BLOB,
    destination_selectors=st.none() | BLOB,
    workflow_control=st.none() | BLOB,
)
# Noise does not compress: these need three ConfigMaps.
LARGE = Output({"noise": os.urandom(2 * CHUNK + 1), "claim.yaml": b"a: 1\n"}, status=b"message: hi\n")


@given(OUTPUTS)
@settings(max_examples=200, deadline=None)
def test_what_is_packed_comes_back(given_: Output) -> None:
    assert output.unpack(output.pack(given_)) == given_


@given(OUTPUTS)
@settings(deadline=None)
def test_the_order_of_files_changes_no_byte(given_: Output) -> None:
    backwards = Output(
        dict(reversed(given_.files.items())), given_.status, given_.destination_selectors, given_.workflow_control
    )
    assert output.pack(backwards) == output.pack(given_)


def test_its_bytes_have_no_time_and_no_system_in_them() -> None:
    [packed] = output.pack(Output({"a": b"1"}))
    assert packed[:10] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])


def test_an_empty_file_and_no_file_are_two_things() -> None:
    assert output.unpack(output.pack(Output({}, status=b""))) == Output({}, status=b"")


def test_a_large_output_is_cut_into_chunks_and_comes_back() -> None:
    chunks = output.pack(LARGE)
    assert [len(chunk) == CHUNK for chunk in chunks] == [True, True, False]
    assert output.unpack(chunks) == LARGE


BOUNDS: dict[str, tuple[Output, str]] = {
    "files": (
        Output({str(i): b"" for i in range(MAX_FILES + 1)}),
        "there are 1025 files in the output; at most 1024 can be taken",
    ),
    "bytes": (
        Output({"a": bytes(MAX_UNPACKED), "b": b"1"}),
        "the output has 16777217 bytes; at most 16777216 can be taken",
    ),
    "bytes when packed": (Output({"a": os.urandom(MAX_CHUNKS * CHUNK)}), "bytes when compressed; at most 2097152"),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_over_a_bound_is_not_packed(name: str) -> None:
    given_, message = BOUNDS[name]
    with pytest.raises(OutputError, match=message):
        output.pack(given_)


def _packed(header: Any, body: bytes = b"") -> tuple[bytes, ...]:
    line = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (gzip.compress(line + b"\n" + body),)


NONE = [None, None, None]
WHOLE = output.pack(Output({"a": b"12345"}))[0]
BROKEN: dict[str, tuple[tuple[bytes, ...], str]] = {
    "no chunk": ((), "the output is cut short"),
    "no gzip": ((b"hello",), "the output is not gzip"),
    "cut short": ((WHOLE[:-9],), "the output is cut short"),
    "something behind it": ((WHOLE, b"more"), "the output has something behind it"),
    "a bit flipped": ((WHOLE[:12] + bytes([WHOLE[12] ^ 1]) + WHOLE[13:],), "the output"),
    "a bomb": ((gzip.compress(bytes(64 * 1024 * 1024)),), "the output has more than"),
    "too much": (([bytes(CHUNK)] * (MAX_CHUNKS + 1)), "at most 2097152"),  # type: ignore[dict-item]
    "no header": ((gzip.compress(b"{}"),), "the output has no header"),
    "a header that is no JSON": (_packed(b"{"), "the output's header cannot be read"),
    "a header that is no object": (_packed([]), "the output's header cannot be read"),
    "a header nested too deeply": (_packed(b"[" * 100_000), "the output's header cannot be read"),
    "a header without metadata": (_packed({"files": []}), "the output's header cannot be read"),
    "too few metadata": (_packed({"files": [], "metadata": [None]}), "the output's header cannot be read"),
    "a size that is no number": (_packed({"files": [["a", "1"]], "metadata": NONE}), "cannot be read"),
    "a size below nothing": (_packed({"files": [["a", -1], ["b", 1]], "metadata": NONE}), "cannot be read"),
    "a size that is a truth": (_packed({"files": [["a", True]], "metadata": NONE}, b"1"), "cannot be read"),
    "a name that is no text": (_packed({"files": [[1, 0]], "metadata": NONE}), "cannot be read"),
    "a file twice": (_packed({"files": [["a", 0], ["a", 0]], "metadata": NONE}), "or one twice"),
    "too many files": (
        _packed({"files": [[str(i), 0] for i in range(MAX_FILES + 1)], "metadata": NONE}),
        "names too many files",
    ),
    "sizes that do not fit": (
        _packed({"files": [["a", 2]], "metadata": NONE}, b"1"),
        "the output has 1 bytes, and 2 by its header",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_output_is_refused_in_a_sentence(name: str) -> None:
    chunks, message = BROKEN[name]
    with pytest.raises(OutputError, match=message):
        output.unpack(chunks)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_no_bytes_raise_anything_else(noise: bytes) -> None:
    with pytest.raises(OutputError):
        output.unpack((noise,))
    with pytest.raises(OutputError):
        output.unpack(_packed(noise))


def test_its_config_maps_say_whose_they_are_and_which_part() -> None:
    [made] = output.config_maps(OWNER, Output({"a": b"1"}))
    [chunk] = output.pack(Output({"a": b"1"}))
    digest = made["metadata"]["annotations"][names.OUTPUT_DIGEST_ANNOTATION]
    assert len(digest) == 64
    assert made == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "pg-orders-one-0123456789-output-0",
            "namespace": "team-a",
            "labels": {
                "kratix.fn.crossplane.io/output-of": "0" * 40,
                "kratix.fn.crossplane.io/run": "pg-orders-one-0123456789",
            },
            "annotations": {
                "kratix.fn.crossplane.io/chunk": "0",
                "kratix.fn.crossplane.io/chunks": "1",
                "kratix.fn.crossplane.io/output-digest": digest,
            },
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "pg-orders-one-0123456789", "uid": "uid-1"}
            ],
        },
        "binaryData": {"output": base64.b64encode(chunk).decode()},
    }


def test_they_are_read_in_any_order_among_others() -> None:
    others = output.config_maps(Owner("team-a", "pg-orders-two-0123456789", "uid-2", "0" * 40), Output({}))
    made = output.config_maps(OWNER, LARGE)
    assert len(made) == 3
    assert output.read([made[2], *others, made[0], {"kind": "ConfigMap"}, made[1]], OWNER) == LARGE


def test_why_there_is_none_is_read_too() -> None:
    assert output.read([output.refusal(OWNER, "no")], OWNER) == Refused("no")
    assert output.read([output.refusal(OWNER, "no " * 1000)], OWNER) == Refused(("no " * 1000)[:1023] + "…")


def _with(change: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
    made = [copy.deepcopy(config_map) for config_map in output.config_maps(OWNER, LARGE)]
    change(made[1])
    return made


# A set that is not whole is waited for: it may still be written.
NOT_WHOLE: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "a chunk deleted by hand": list(output.config_maps(OWNER, LARGE))[:2],
    "of an earlier Job of the same name": list(
        output.config_maps(Owner(OWNER.namespace, OWNER.run, "uid-0", OWNER.output_of), LARGE)
    ),
    "without an owner": _with(lambda m: m["metadata"].pop("ownerReferences")),
    "of another run": _with(lambda m: m["metadata"]["labels"].update({names.RUN_LABEL: "other"})),
    "without a number": _with(lambda m: m["metadata"]["annotations"].pop(names.CHUNK_ANNOTATION)),
    "with a number beyond its count": _with(
        lambda m: m["metadata"]["annotations"].update({names.CHUNK_ANNOTATION: "3"})
    ),
    "with another digest": _with(lambda m: m["metadata"]["annotations"].update({names.OUTPUT_DIGEST_ANNOTATION: "x"})),
    "in another namespace": _with(lambda m: m["metadata"].update(namespace="team-b")),
    "under another name": _with(lambda m: m["metadata"].update(name="mine")),
}


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_a_set_that_is_not_whole_is_waited_for(name: str) -> None:
    assert output.read(NOT_WHOLE[name], OWNER) is None


def test_what_an_earlier_pod_left_of_a_longer_output_is_passed_over() -> None:
    stale = output.config_maps(OWNER, LARGE)[1:]
    new = output.config_maps(OWNER, Output({"a": b"1"}))
    assert output.read([*stale, *new], OWNER) == Output({"a": b"1"})


CHANGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another chunk": (
        lambda m: m["binaryData"].update(output="AAAA"),
        "the output in ConfigMaps pg-orders-one-0123456789-output-* was changed after it was written",
    ),
    "no base64": (lambda m: m["binaryData"].update(output="é"), "the output is not base64"),
    "no data": (lambda m: m.pop("binaryData"), "was changed after it was written"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_somebody_changed_is_refused(name: str) -> None:
    change, message = CHANGED[name]
    with pytest.raises(OutputError, match=message.replace("*", r"\*")):
        output.read(_with(change), OWNER)


def test_the_longest_run_has_names_that_kubernetes_takes() -> None:
    run = names.bounded("x" * 300, "identity")
    assert len(run) == names.LABEL_LIMIT
    assert names.is_label_value(run)
    assert all(names.is_subdomain(name) for name in output.all_names(run))
    assert names.is_label_value(names.output_of("promise", ("g", "K", "ns", "n")))
