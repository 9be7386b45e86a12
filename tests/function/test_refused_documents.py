"""Documents that would do harm: each is refused before it is emitted, in one sentence."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function.api import work
from function.fn import run


def manifest(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **more}


def document(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "manifest": manifest(), **more}


@dataclass(frozen=True)
class Refused:
    reason: str
    message: str
    given: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    name: str = "orders"


PATHS = {
    "parent": "../x.yaml",
    "parent inside": "a/../../x.yaml",
    "parent at the end": "a/..",
    "absolute": "/etc/passwd",
    "dots": ".../x.yaml",
    "empty segment": "a//x.yaml",
    "backslash": "..\\x.yaml",
    "newline": "a\n.yaml",
    "git": ".git/hooks/post-merge",
    "kratix": ".kratix/state.yaml",
}

# What another XR, or another budget, could mend: a condition, and what was delivered is held.
REFUSED: dict[str, Refused] = {
    **{
        f"filename: {name}": Refused(
            "a file stays in its folder",
            "documents[0].filename: ",
            {"documents": [document(filename="${request.spec.path}")]},
            {"path": path},
        )
        for name, path in PATHS.items()
    },
    **{
        f"directory: {name}": Refused(
            "a directory stays in its folder",
            "documents[0].directory: ",
            {"documents": [document(directory="${request.spec.path}")]},
            {"path": path},
        )
        for name, path in PATHS.items()
    },
    "no kind": Refused(
        "a document has a kind",
        "documents[0].manifest.kind: is required",
        {"documents": [{"name": "a", "manifest": {"apiVersion": "v1"}}]},
    ),
    "kind of no string": Refused(
        "a document has a kind",
        "documents[0].manifest.kind: must be a string",
        {"documents": [document(manifest=manifest(kind="${request.spec}"))]},
    ),
    "no metadata": Refused(
        "a document has a name",
        "documents[0].manifest.metadata: is required",
        {"documents": [{"name": "a", "manifest": {"apiVersion": "v1", "kind": "A"}}]},
    ),
    "name over 253": Refused(
        "Kubernetes takes no longer name",
        "documents[0].manifest.metadata.name: must be a string of 1 to 253 characters",
        {"documents": [document(manifest=manifest(metadata={"name": "${request.spec.long}"}))]},
        {"long": "n" * 254},
    ),
    "label that is none": Refused(
        "Kubernetes would refuse it",
        "decorate: leaves documents[0].metadata.labels[team]: must be a label value",
        {"documents": [document()], "decorate": [{"labels": {"team": "${request.spec.long}"}}]},
        {"long": "two words"},
    ),
    "2 MB string": Refused(
        "documents are bounded",
        "documents[0].manifest: is 2048 KiB; a document may have at most 512 KiB",
        {"documents": [document(manifest=manifest(data={"a": "${request.spec.long}"}))]},
        {"long": "x" * (2048 * 1024)},
    ),
    "missing key": Refused(
        "the key is named",
        "documents[0].manifest.data.a: cannot be evaluated: ",
        {"documents": [document(manifest=manifest(data={"a": "${request.spec.nope}"}))]},
    ),
    "two documents in one file": Refused(
        "neither would win",
        "documents[1]: has the file same.yaml, as documents[0] does",
        {"documents": [document("a", filename="same.yaml"), document("b", filename="${request.spec.path}")]},
        {"path": "same.yaml"},
    ),
    "selector of a sub-directory": Refused(
        "Kratix takes top-level directories only",
        "schedule.selectors[0].directory: ",
        {"documents": [document()], "schedule": {"selectors": [{"directory": "a/b", "matchLabels": {"a": "b"}}]}},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_harm_is_refused_before_it_is_emitted(name: str) -> None:
    bad = REFUSED[name]
    body = build.xr(bad.name, spec={"env": "dev", **bad.spec})
    rsp = run(build.resolved(build.request(body, build.promise_input(**bad.given))))
    assert not rsp.desired.resources, bad.reason
    assert not build.fatal(rsp)
    messages = [c.message for c in rsp.conditions if c.status == fnv1.STATUS_CONDITION_FALSE]
    assert any(m.startswith(bad.message) for m in messages), messages
    assert all(len(m) < 400 for m in messages), "one sentence, however large the value"


def test_directories_whose_ids_begin_alike_are_refused() -> None:
    seen: dict[str, str] = {}
    for i in itertools.count():
        directory = f"d{i}"
        other = seen.setdefault(work.group_id(directory)[: work.SHORT_ID], directory)
        if other != directory:
            break
    wanted = build.promise_input(
        documents=[document("a", directory=directory), document("b", directory=other)],
        schedule={"selectors": [{"directory": d, "matchLabels": {"a": "b"}} for d in (directory, other)]},
    )
    rsp = run(build.resolved(build.request(given=wanted)))
    assert not rsp.desired.resources
    assert "have ids that begin alike" in build.message(rsp, "Delivered")


def test_documents_that_no_api_server_would_take_together_are_refused() -> None:
    wanted = build.promise_input(
        documents=[document(n, manifest=manifest(data={"a": f"{n}${{request.spec.long}}"})) for n in "abcdefghij"]
    )
    noise = "".join(hashlib.sha256(str(i).encode()).hexdigest() for i in range(6000))
    rsp = run(build.resolved(build.request(build.xr(spec={"long": noise}), wanted)))
    assert re.fullmatch(
        r"documents: are \d+ KiB when packed; one Work may hold 1024 KiB", build.message(rsp, "Delivered")
    )


def test_labels_that_are_null_are_none() -> None:
    wanted = build.promise_input(
        documents=[document(manifest=manifest(metadata={"name": "a", "labels": None, "annotations": None}))],
        deliver={"as": "Composed"},
    )
    rsp = run(build.resolved(build.request(given=wanted)))
    assert not build.fatal(rsp)
    assert len(rsp.desired.resources) == 1
