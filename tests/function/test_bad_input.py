"""Bad input of every kind: one sentence that names the thing, the field and the cause, and nothing is lost."""

from __future__ import annotations

import hashlib
import itertools
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from hypothesis import given, settings
from hypothesis import strategies as st

import build
from function import structs
from function.api import names, work
from function.fn import run

BOMB = "[1,2,3,4,5,6,7,8,9,10]"
DEEP = "(" * 300 + "true" + ")" * 300


def check(expression: str, **more: Any) -> dict[str, Any]:
    return {"name": "gate", "expression": expression, **more}


def manifest(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **more}


def document(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "manifest": manifest(), **more}


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = {"a": value}
    return value


@dataclass(frozen=True)
class Bad:
    reason: str
    given: Mapping[str, Any]
    message: str


# What no later call can mend: a fatal result, which freezes everything.
FATAL: dict[str, Bad] = {
    "unknown field": Bad("a typo is found", {"shedule": {}}, "shedule: unknown field; did you mean schedule?"),
    "unknown nested field": Bad(
        "a typo is found deep down",
        {"checks": [check("true", messge="x")]},
        "checks[0].messge: unknown field; did you mean message?",
    ),
    "wrong type": Bad("a type is checked", {"checks": "none"}, "checks: must be a valid list, not 'none'"),
    "wrong value": Bad(
        "an enum is checked",
        {"deliver": {"as": "Git"}},
        "deliver.as: must be one of 'Work', 'WorkPlacement', 'Object', 'Composed', not 'Git'",
    ),
    "both ref and spec": Bad(
        "one source of the Promise",
        {"promise": {"ref": {"name": "a"}, "name": "a", "spec": {}}},
        "promise: must have exactly one of ref and spec",
    ),
    "neither ref nor spec": Bad(
        "one source of the Promise", {"promise": {}}, "promise: must have exactly one of ref and spec"
    ),
    "spec without name": Bad(
        "an inline Promise is named", {"promise": {"spec": {}}}, "promise: name is required with spec"
    ),
    "no expression": Bad(
        "a check checks something", {"checks": [{"name": "gate"}]}, "checks[0].expression: is required"
    ),
    "duplicate check": Bad(
        "verdicts are told apart by name",
        {"checks": [check("true"), check("false")]},
        "checks[1].name: gate is already the name of checks[0]",
    ),
    "duplicate document": Bad(
        "documents are told apart by name",
        {"documents": [document(), document()]},
        "documents[1].name: a is already the name of documents[0]",
    ),
    "document name over 63": Bad(
        "a name is bounded", {"documents": [document("a" * 254)]}, "documents[0].name: must be lower-case"
    ),
    "ttl of zero": Bad("Crossplane would never call again", {"ttl": "0s"}, "ttl: must be between 1s and 24h"),
    "ttl that is none": Bad(
        "a duration is checked", {"ttl": "soon"}, "ttl: must be a duration such as 30s, 10m or 1h30m, not 'soon'"
    ),
    "prefer with Work": Bad(
        "a field without effect is a mistake",
        {"schedule": {"prefer": "1"}},
        "schedule.prefer: needs deliver.as WorkPlacement or Object",
    ),
    "syntax error": Bad(
        "CEL is compiled at once",
        {"checks": [check("request.spec.size >")]},
        "checks[0].expression: cannot be compiled",
    ),
    "unknown variable": Bad(
        "CEL is compiled at once",
        {"checks": [check("requst.spec.size > 1")]},
        "checks[0].expression: cannot be compiled",
    ),
    "document in a request check": Bad(
        "there is no document yet",
        {"checks": [check("document.kind == 'a'")]},
        "checks[0].expression: cannot be compiled",
    ),
    "syntax error in a template": Bad(
        "templates are compiled at once",
        {"documents": [{"name": "a", "manifest": {"kind": "${request.}"}}]},
        "documents[0].manifest.kind:",
    ),
    "unterminated template": Bad(
        "templates are compiled at once",
        {"documents": [{"name": "a", "manifest": {"kind": "${request.kind"}}]},
        "documents[0].manifest.kind:",
    ),
    "expression too deep": Bad("the parser is protected", {"checks": [check(DEEP)]}, "checks[0].expression:"),
    "expression too long": Bad(
        "the parser is protected", {"checks": [check("true " + " " * 5000)]}, "checks[0].expression:"
    ),
    "template too deep": Bad(
        "structures are bounded",
        {"documents": [{"name": "a", "manifest": manifest(data=nested(70))}]},
        "input: is nested deeper than 64 levels",
    ),
    "Promise name over 63": Bad(
        "it becomes a label",
        {"promise": {"name": "p" * 80, "spec": {}}},
        "promise.name: must be a Kubernetes name of at most 63 characters",
    ),
    "Secret as context": Bad(
        "what is read can be shown",
        {"context": [{"name": "s", "apiVersion": "v1", "kind": "Secret", "matchName": "s"}]},
        "context[0]: kind must not be Secret",
    ),
}


@pytest.mark.parametrize("name", FATAL)
def test_bad_input_is_fatal_and_says_what_to_mend(name: str) -> None:
    bad = FATAL[name]
    rsp = run(build.request(given=build.promise_input(**bad.given)))
    assert build.fatal(rsp).startswith(bad.message), bad.reason
    assert len(build.fatal(rsp)) < 400, "one sentence"
    assert build.conditions(rsp)["Delivered"] == ("False", "InvalidInput")


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


ENDLESS = {
    "nested comprehensions": f"{BOMB}.all(a, {BOMB}.all(b, {BOMB}.all(c, {BOMB}.all(d, {BOMB}.all(e, {BOMB}.all(f, true))))))",
    "nested maps": f"{BOMB}.map(a, {BOMB}.map(b, {BOMB}.map(c, {BOMB}.map(d, {BOMB}.map(e, {BOMB}))))).size() > 0",
    "regex": "request.spec.env.matches('(a+)+$')",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_expression_cannot_hold_the_process(name: str) -> None:
    body = build.xr(spec={"env": "a" * 5000 + "!"})
    req = build.resolved(build.request(body, build.promise_input(checks=[check(ENDLESS[name])])))
    start = time.perf_counter()
    rsp = run(req)
    assert time.perf_counter() - start < 1
    assert build.fatal(rsp) or build.conditions(rsp)["ChecksPassed"][0] == "False"


def test_an_empty_request_is_a_sentence() -> None:
    assert (
        build.fatal(run(fnv1.RunFunctionRequest()))
        == "input: is required: a PromiseInput of kratix.fn.crossplane.io/v1beta1"
    )
    only = fnv1.RunFunctionRequest()
    structs.fill(only.input, build.promise_input())
    assert build.fatal(run(only)).startswith("observed.composite: is empty")


def test_numbers_that_json_does_not_have_are_a_sentence() -> None:
    req = build.request(build.xr(spec={"size": float("nan")}))
    assert "a number that JSON does not have" in build.fatal(run(req))


def test_a_nul_would_hide_the_rest_of_a_string_from_gates() -> None:
    req = build.request(build.xr(spec={"image": "good\0bad"}))
    assert build.fatal(run(req)).startswith("observed.composite: holds a string with a NUL character")


def test_five_thousand_destinations_are_placed() -> None:
    many = [build.destination(f"worker-{i:04}", {"environment": "dev" if i % 2 else "prod"}) for i in range(5000)]
    wanted = build.promise_input(
        deliver={"as": "WorkPlacement"}, schedule={"selectors": [{"matchLabels": {"environment": "dev"}}]}
    )
    rsp = run(build.resolved(build.request(given=wanted), many))
    assert build.conditions(rsp)["Scheduled"] == ("True", "AllPlaced")
    assert len(rsp.desired.resources) == 1


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


def test_one_promise_is_one_step() -> None:
    key = next(iter(run(build.resolved(build.request())).desired.resources))
    twice = build.request(desired={key: manifest()})
    assert build.fatal(run(twice)).startswith(f"promise: an earlier step composes {key} already")


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)
KINDS = st.from_regex(r"[A-Z][A-Za-z]{0,62}", fullmatch=True)


@settings(max_examples=300, deadline=None)
@given(KINDS, NAMES, NAMES)
def test_every_name_fits_whatever_the_xr_is_called(kind: str, name: str, promise: str) -> None:
    identity = ("xp.example.org", kind, "team", name)
    assert len(work.name(kind, name, promise, identity)) <= names.LABEL_LIMIT
    assert names.is_subdomain(work.name(kind, name, promise, identity))
    assert names.is_label_value(work.pipeline_label(kind, identity))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["A", "a", "AB"]),
            st.sampled_from(["", "t", "ta"]),
            st.sampled_from(["x", "ax"]),
        ),
        unique=True,
        min_size=2,
        max_size=20,
    )
)
def test_no_two_xrs_share_a_folder_or_a_work(identities: list[tuple[str, str, str, str]]) -> None:
    folders, works = set(), set()
    for identity in identities:
        _, kind, namespace, name = identity
        for resource in ("", name):
            folders.add(
                work.folder(
                    namespace or "system", "p", resource, work.pipeline_label(kind, identity), work.group_id(".")
                )
            )
        works.add(work.name(kind, name, "p", identity))
    assert len(folders) == 2 * len(identities)
    assert len(works) == len(identities)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4096))
def test_content_is_what_kratix_reads(data: bytes) -> None:
    assert work.unpack(work.content(data)) == data


@pytest.mark.parametrize("text", ["", "plain", "aGVsbG8=", "H4sI"])
def test_content_that_kratix_cannot_read_is_found(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64 of gzip|base64|Only base64|padding"):
        work.unpack(text)


def test_a_bare_on_which_yaml_takes_for_true_is_understood() -> None:
    wanted = build.promise_input(
        checks=[{"name": "gate", "true": "Documents", "expression": "document.kind == 'Secret'"}]
    )
    rsp = run(build.resolved(build.request(given=wanted)))
    assert build.conditions(rsp)["ChecksPassed"] == ("False", "Denied")


def test_a_context_name_that_comes_out_empty_does_not_ask_for_every_object() -> None:
    source = {"name": "budget", "apiVersion": "v1", "kind": "ConfigMap", "matchName": "${request.spec.team}"}
    rsp = run(build.request(build.xr(spec={"team": ""}), build.promise_input(context=[source])))
    assert build.fatal(rsp) == "context[0].matchName: must give a Kubernetes name, not ''"


def test_labels_that_are_null_are_none() -> None:
    wanted = build.promise_input(
        documents=[document(manifest=manifest(metadata={"name": "a", "labels": None, "annotations": None}))],
        deliver={"as": "Composed"},
    )
    rsp = run(build.resolved(build.request(given=wanted)))
    assert not build.fatal(rsp)
    assert len(rsp.desired.resources) == 1


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object"])
def test_an_observed_object_that_lost_its_spec_is_held_all_the_same(mode: str) -> None:
    wanted = build.promise_input(deliver={"as": mode})
    first = build.resolved(build.request(given=wanted), [build.destination("worker-1")])
    after = build.applied(first, run(first))
    for resource in after.observed.resources.values():
        del resource.resource.fields["spec"]
    after.required_resources.clear()
    rsp = run(after)
    assert not build.fatal(rsp)
    assert set(rsp.desired.resources) == set(after.observed.resources)
