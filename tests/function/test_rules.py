"""Rules 2 to 8 of those that may not break (docs/rules.md), each over every way of delivery."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import BUDGET, MODES, PROMISE, WORLD, changed, delivered, given

import build
from function import structs
from function.fn import run


@pytest.mark.parametrize("mode", MODES)
def test_rule_2_requirements_never_change(mode: str) -> None:
    unanswered = build.request(given=given(mode))
    full = delivered(mode)
    calls = {
        "first call": unanswered,
        "answered": build.resolved(unanswered, WORLD),
        "answered with nothing": build.resolved(unanswered, []),
        "delivered": full,
        "denied": changed(full, size=500),
    }
    wanted = run(unanswered).requirements
    assert wanted.resources
    for name, req in calls.items():
        assert run(req).requirements == wanted, name


def test_rule_2_not_answered_and_answered_with_nothing_differ() -> None:
    unanswered = run(build.request(given=given("Work")))
    nothing = run(build.resolved(build.request(given=given("Work")), []))
    assert build.conditions(unanswered)["ChecksPassed"] == ("Unknown", "NotReached")
    assert build.conditions(nothing)["ChecksPassed"] == ("False", "PromiseMissing")


def _seeded(req: fnv1.RunFunctionRequest, key: str, *items: dict[str, Any]) -> fnv1.RunFunctionRequest:
    """A first call that has under a name what an earlier reconcile asked for."""
    seeded = fnv1.RunFunctionRequest()
    seeded.CopyFrom(req)
    del seeded.required_resources[key].items[:]
    for item in items:
        structs.fill(seeded.required_resources[key].items.add().resource, item)
    return seeded


OF_BEFORE: dict[str, dict[str, Any]] = {
    "another name": {"metadata": {**BUDGET["metadata"], "name": "team-b"}},
    "another namespace": {"metadata": {**BUDGET["metadata"], "namespace": "sales"}},
    "another kind": {"kind": "Budget"},
    "another version": {"apiVersion": "v2"},
}


@pytest.mark.parametrize("before", OF_BEFORE)
@pytest.mark.parametrize("mode", MODES)
def test_rule_2_what_was_asked_for_before_under_a_name_is_no_answer(mode: str, before: str) -> None:
    """Core's main hands it to the first call, and after a fatal answer it would never ask for what is wanted now."""
    full = delivered(mode)
    old = {**BUDGET, **OF_BEFORE[before], "data": {"left": "0"}}
    first = run(_seeded(full, "kratix/context/budget", old))
    assert build.fatal(first) == ""
    assert first.requirements == run(full).requirements
    assert set(first.desired.resources) == set(full.observed.resources)
    if mode == "Composed":
        before_it = structs.plain(full.observed.composite.resource, "xr")["status"]["conditions"]
        assert build.conditions_list(first) == before_it, "it waits"
        denied = run(_seeded(full, "kratix/context/budget", {**BUDGET, "data": {"left": "0"}}))
        assert "has no budget left" in build.fatal(denied)


def test_rule_2_a_promise_of_before_that_cannot_be_read_is_no_answer() -> None:
    full = delivered("Composed")
    wrong = {**PROMISE, "spec": {"destinationSelectors": 5}}
    other = {**wrong, "metadata": {"name": "mysql"}}
    assert "Promise" in build.fatal(run(_seeded(full, "kratix/promise", wrong)))
    assert build.fatal(run(_seeded(full, "kratix/promise", other))) == ""


def test_rule_2_what_has_not_the_labels_that_are_asked_for_is_no_answer() -> None:
    source = {"name": "budgets", "apiVersion": "v1", "kind": "ConfigMap", "matchLabels": {"kind": "budget"}}
    check = {"name": "billing", "expression": "context.budgets.all(b, b.data.left == '100')"}
    wanted = build.promise_input(context=[source], checks=[check], deliver={"as": "Composed"})
    first = build.resolved(build.request(given=wanted), WORLD)
    full = build.applied(first, run(first))
    poor = {**BUDGET, "data": {"left": "0"}}
    assert "billing" in build.fatal(run(_seeded(full, "kratix/context/budgets", poor)))
    other = {**poor, "metadata": {**BUDGET["metadata"], "labels": {"kind": "purse"}}}
    assert build.fatal(run(_seeded(full, "kratix/context/budgets", other))) == ""


_BYTES = """
import sys
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from function.fn import run
req = fnv1.RunFunctionRequest.FromString(sys.stdin.buffer.read())
sys.stdout.buffer.write(run(req).SerializeToString(deterministic=True))
"""


@pytest.mark.parametrize("mode", MODES)
def test_rule_3_same_request_same_bytes_in_any_process(mode: str) -> None:
    req = delivered(mode)
    root = Path(__file__).parents[2]
    answers = {
        subprocess.run(
            [sys.executable, "-c", _BYTES],
            input=req.SerializeToString(),
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            check=True,
            capture_output=True,
            cwd=root,
        ).stdout
        for seed in ("1", "20261124")
    }
    assert answers == {run(req).SerializeToString(deterministic=True)}


@pytest.mark.parametrize("mode", MODES)
def test_rule_3_order_does_not_matter(mode: str) -> None:
    forward = run(build.resolved(build.request(given=given(mode)), WORLD))
    backward = run(build.resolved(build.request(given=given(mode)), WORLD[::-1]))
    assert forward == backward


@pytest.mark.parametrize("mode", MODES)
def test_rule_4_keys_and_names_stay_while_the_spec_changes(mode: str) -> None:
    before = delivered(mode)
    rsp = run(changed(before, size=2, env="prod"))
    assert set(rsp.desired.resources) == set(before.observed.resources)
    for key, resource in rsp.desired.resources.items():
        old = structs.plain(before.observed.resources[key].resource, key)["metadata"]["name"]
        assert structs.plain(resource.resource, key)["metadata"]["name"] == old


@pytest.mark.parametrize("mode", MODES)
def test_rule_5_a_namespaced_xr_composes_in_its_namespace(mode: str) -> None:
    for manifest in build.composed(run(build.resolved(build.request(given=given(mode)), WORLD))).values():
        assert manifest["metadata"].get("namespace", build.TEAM) == build.TEAM


CLEAR = {
    "legacy Object": (
        given("Object") | {"deliver": {"as": "Object", "object": {"apiVersion": "kubernetes.crossplane.io/v1alpha2"}}},
        "deliver.object.apiVersion: kubernetes.crossplane.io/v1alpha2 is cluster-scoped, and a namespaced XR composes only namespaced objects",
    ),
    "foreign namespace": (
        given("Composed")
        | {
            "documents": [
                {
                    "name": "a",
                    "manifest": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"}},
                }
            ]
        },
        "documents[0].manifest.metadata.namespace: is b, but a namespaced XR composes only in its own namespace, team-a",
    ),
}


@pytest.mark.parametrize("name", CLEAR)
def test_rule_5_says_clearly_where_more_is_needed(name: str) -> None:
    wanted, sentence = CLEAR[name]
    rsp = run(build.resolved(build.request(given=wanted), WORLD))
    assert build.message(rsp, "Delivered") == sentence
    assert not rsp.desired.resources


@pytest.mark.parametrize("mode", MODES)
def test_rule_6_the_ttl_is_never_zero_and_never_longer_than_asked(mode: str) -> None:
    full = delivered(mode)
    for req in (build.request(given=given(mode)), full, changed(full, size=500), build.request(given={"kind": "x"})):
        assert 0 < run(req).meta.ttl.seconds <= 600
    short = run(build.resolved(build.request(given=given(mode, ttl="5s")), WORLD))
    assert short.meta.ttl.seconds <= 5


@pytest.mark.parametrize(("status", "ttl"), [("True", 600), ("False", 30)])
def test_rule_6_while_crossplane_drops_events_the_ttl_is_the_poll(status: str, ttl: int) -> None:
    body = build.xr(status={"conditions": [{"type": "Responsive", "status": status, "reason": "WatchCircuit"}]})
    wanted = build.promise_input(documents=[], deliver={"as": "Composed"})
    assert run(build.request(body, wanted)).meta.ttl.seconds == ttl


@pytest.mark.parametrize(
    ("waited", "message", "ttl"),
    [
        (0, "", 10),
        (60, "", 15),
        (120, "", 30),
        (3600, "", 60),
        (-60, "", 10),
        (3600, "something else, which is so no more", 10),
    ],
)
def test_rule_6_the_poll_of_what_is_being_delivered_is_rarer_the_longer_it_takes(waited: int, message: str, ttl: int):
    first = run(build.resolved(build.request(given=given("Work")), WORLD), build.HOST)
    since = (build.HOST.now - timedelta(seconds=waited)).isoformat().replace("+00:00", "Z")
    condition = {"type": "Delivered", "status": "False", "reason": "Delivering", "lastTransitionTime": since}
    condition["message"] = message or build.message(first, "Delivered")
    body = build.xr(status={"conditions": [condition]})
    again = run(build.resolved(build.request(body, given("Work")), WORLD), build.HOST)
    assert again.meta.ttl.seconds == ttl


def test_rule_7_secrets_may_not_be_read() -> None:
    source = {"name": "s", "apiVersion": "v1", "kind": "Secret", "matchName": "s"}
    rsp = run(build.request(given=build.promise_input(context=[source])))
    assert build.fatal(rsp).startswith("context[0]: kind must not be Secret")


@pytest.mark.parametrize("mode", MODES)
def test_rule_8_conditions_change_only_with_the_fact(mode: str) -> None:
    req = delivered(mode)
    first = run(req)
    again = build.applied(req, first)
    second = run(again)
    third = run(build.applied(again, second))
    assert list(second.conditions) == list(third.conditions)
    assert not third.results, "no event without a change"
    for condition in second.conditions:
        assert "\n" not in condition.message
        assert yaml.safe_load(yaml.safe_dump(condition.message)) == condition.message


def test_rule_8_a_placement_that_stays_says_why_it_was_chosen() -> None:
    before = delivered("WorkPlacement")
    reason = build.message(run(build.resolved(build.request(given=given("WorkPlacement")), WORLD)), "Scheduled")
    assert build.message(run(before), "Scheduled") == reason
    assert "chosen of 3 Destinations" in reason
