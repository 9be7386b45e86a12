"""Bad input of every kind: one sentence that names the thing, the field and the cause, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import structs
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


ENDLESS = {
    "nested comprehensions": f"{BOMB}.all(a, {BOMB}.all(b, {BOMB}.all(c, {BOMB}.all(d, {BOMB}.all(e, {BOMB}.all(f, true))))))",
    "nested maps": f"{BOMB}.map(a, {BOMB}.map(b, {BOMB}.map(c, {BOMB}.map(d, {BOMB}.map(e, {BOMB}))))).size() > 0",
    "regex": "request.spec.env.matches('(a+)+$')",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_expression_cannot_hold_the_process(name: str) -> None:
    body = build.xr(spec={"env": "a" * 5000 + "!"})
    req = build.resolved(build.request(body, build.promise_input(checks=[check(ENDLESS[name])])))
    start = time.process_time()  # not of the clock: the machine may stand still
    rsp = run(req)
    assert time.process_time() - start < 1
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


def test_one_promise_is_one_step() -> None:
    key = next(iter(run(build.resolved(build.request())).desired.resources))
    twice = build.request(desired={key: manifest()})
    assert build.fatal(run(twice)).startswith(f"promise: an earlier step composes {key} already")


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
