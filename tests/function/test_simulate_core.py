"""Crossplane core, played: its rules, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import simulate, structs
from function.api import names
from function.model import Requirement
from function.simulate import Cluster, Ref, Step, core
from function.simulate.cluster import applied
from world import CONFIG, answering, conditions, state, turn


@dataclass(frozen=True)
class Apply:
    existing: Mapping[str, Any]
    before: Mapping[str, Any] | None
    desired: Mapping[str, Any]
    want: Mapping[str, Any]
    reason: str


APPLY: dict[str, Apply] = {
    "merge": Apply(
        {"a": 1, "b": {"c": 1}}, {}, {"b": {"d": 2}}, {"a": 1, "b": {"c": 1, "d": 2}}, "others' fields stay"
    ),
    "removed": Apply({"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1}, {"a": 1}, "a field that its owner drops is removed"),
    "not owned": Apply({"a": 1, "b": 2}, {"a": 1}, {"a": 1}, {"a": 1, "b": 2}, "a field of somebody else is not"),
    "inside": Apply(
        {"m": {"x": 1, "y": 2}}, {"m": {"x": 1}}, {}, {"m": {"y": 2}}, "of a mapping only what was owned goes"
    ),
    "emptied": Apply({"m": {"x": 1}}, {"m": {"x": 1}}, {}, {}, "a mapping with nothing left in it goes too"),
    "lists": Apply({"l": [1, 2]}, {"l": [1, 2]}, {"l": [3]}, {"l": [3]}, "lists are replaced"),
    "type": Apply({"a": {"x": 1}}, {}, {"a": "text"}, {"a": "text"}, "another type replaces"),
}


@pytest.mark.parametrize("case", APPLY.values(), ids=APPLY)
def test_apply(case: Apply):
    assert applied(case.existing, case.before or {}, case.desired) == case.want, case.reason


def test_cluster_gives_back_itself_where_nothing_changes():
    cluster = Cluster.of([CONFIG])
    assert cluster.having(dict(CONFIG)) is cluster, "an equal object is no change"
    assert cluster.lacking(Ref("v1", "ConfigMap", "", "other")) is cluster, "what is not there cannot go"
    assert not cluster.lacking(Ref.of(CONFIG)).objects


def wanting(*rounds: Mapping[str, Mapping[str, str]]) -> tuple[list[fnv1.RunFunctionRequest], Any]:
    """A function whose n-th call asks for the n-th requirements; the last ones from then on."""
    seen: list[fnv1.RunFunctionRequest] = []

    def answer(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        seen.append(req)
        rsp = fnv1.RunFunctionResponse()
        for key, selector in rounds[min(len(seen), len(rounds)) - 1].items():
            rsp.requirements.resources[key].api_version = "v1"
            rsp.requirements.resources[key].kind = selector.get("kind", "ConfigMap")
            if "name" in selector:
                rsp.requirements.resources[key].match_name = selector["name"]
            else:
                rsp.requirements.resources[key].match_labels.labels.update(selector.get("labels") or {})
            if "namespace" in selector:
                rsp.requirements.resources[key].namespace = selector["namespace"]
        return rsp

    return seen, answer


def config(name: str, namespace: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


@dataclass(frozen=True)
class Rounds:
    rounds: Sequence[Mapping[str, Any]]
    calls: int
    reason: str
    bootstrap: Sequence[Requirement] = ()
    error: str = ""


NEVER = [{"a": {"name": f"n{i}"}} for i in range(9)]
BUDGET = {"b": {"name": "budget", "namespace": "x"}}
ROUNDS: dict[str, Rounds] = {
    "none": Rounds([{}], 1, "nothing is asked for, so the first answer is final"),
    "one": Rounds([BUDGET], 2, "asked for, then answered, then the same is asked for again"),
    "grows": Rounds([BUDGET, BUDGET | {"c": {"name": "c"}}], 3, "what was read leads to more"),
    "declared": Rounds([BUDGET], 2, "the Composition's own requirements are there at the first call, and core calls again", [Requirement("b", "v1", "ConfigMap", "x", "budget")]),
    "declared otherwise": Rounds([BUDGET], 2, "another object under the same name is no answer", [Requirement("b", "v1", "ConfigMap", "x", "other")]),
    "declared by labels": Rounds([{"b": {"labels": {"some": "label"}}}], 2, "of a list too", [Requirement("b", "v1", "ConfigMap", labels={"some": "label"})]),
    "declared, not asked": Rounds([{"c": {"name": "c"}}], 2, "what is declared stays, whatever is asked for", [Requirement("b", "v1", "ConfigMap")]),
    "never": Rounds(NEVER, 6, "core gives up after the first call and five more", error="requirements didn't stabilize"),
}  # fmt: skip


@pytest.mark.parametrize("case", ROUNDS.values(), ids=ROUNDS)
def test_requirement_rounds(case: Rounds):
    seen, answer = wanting(*case.rounds)
    after = turn(
        state(config("budget", "x"), config("other", "x", some="label")), answer, requirements=tuple(case.bootstrap)
    )
    assert len(seen) == case.calls == len(after.calls), case.reason
    assert case.error in after.error and bool(case.error) == bool(after.error), case.reason


@dataclass(frozen=True)
class Selector:
    selector: Mapping[str, Any]
    want: Sequence[str]
    reason: str


SELECTORS: dict[str, Selector] = {
    "name": Selector({"name": "budget", "namespace": "x"}, ["x/budget"], "one object"),
    "no such name": Selector({"name": "budget", "namespace": "z"}, [], "not found is an empty answer"),
    "labels": Selector(
        {"labels": {"team": "a"}}, ["w/later", "x/budget"], "sorted by namespace and name, over all namespaces"
    ),
    "namespace": Selector({"labels": {"team": "a"}, "namespace": "x"}, ["x/budget"], "only in the namespace"),
    "all": Selector({}, ["w/later", "x/budget", "x/other"], "no labels match all"),
    "another kind": Selector({"kind": "Secret"}, [], "of the kind only"),
}


@pytest.mark.parametrize("case", SELECTORS.values(), ids=SELECTORS)
def test_required_resources(case: Selector):
    seen, answer = wanting({"wanted": case.selector})
    turn(state(config("budget", "x", team="a"), config("other", "x"), config("later", "w", team="a")), answer)
    assert "wanted" in seen[-1].required_resources, "an answer is there, even an empty one"
    found = [structs.plain(i.resource, "")["metadata"] for i in seen[-1].required_resources["wanted"].items]
    assert [f"{m['namespace']}/{m['name']}" for m in found] == list(case.want), case.reason


def test_deprecated_extra_resources_are_answered_too():
    seen = []

    def answer(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        seen.append(req)
        rsp = fnv1.RunFunctionResponse()
        rsp.requirements.extra_resources["x"].api_version = "v1"
        rsp.requirements.extra_resources["x"].kind = "ConfigMap"
        rsp.requirements.extra_resources["x"].match_name = "budget"
        rsp.requirements.extra_resources["x"].namespace = "x"
        return rsp

    turn(state(config("budget", "x")), answer)
    assert len(seen[1].extra_resources["x"].items) == 1


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "n"},
    "data": {"key": "aGVsbG8="},
}
CREDENTIALS = {
    "there": (SECRET, ""),
    "missing": ({**SECRET, "metadata": {"name": "t", "namespace": "n"}}, "there is no such Secret with data"),
    "no data": ({**SECRET, "data": None}, "there is no such Secret with data"),
    "not base64": ({**SECRET, "data": {"key": "§§"}}, "data is not base64"),
}


@pytest.mark.parametrize(("secret", "error"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials(secret: Mapping[str, Any], error: str):
    seen, answer = wanting({})
    after = turn(state(secret), answer, credentials={"login": ("n", "s")})
    assert after.error.endswith(error) and bool(after.error) == bool(error)
    if not error:
        assert dict(seen[0].credentials["login"].credential_data.data) == {"key": b"hello"}
    assert "§§" not in after.error, "what is secret, or was meant to be, is not repeated"


@dataclass(frozen=True)
class Ready:
    composes: Mapping[str, int]
    composite: int
    want: tuple[str, str, str]
    reason: str


READY: dict[str, Ready] = {
    "nothing": Ready({}, fnv1.READY_UNSPECIFIED, ("True", "Available", ""), "nothing is unready"),
    "all": Ready({"a": fnv1.READY_TRUE}, fnv1.READY_UNSPECIFIED, ("True", "Available", ""), "all are ready"),
    "one not": Ready({"b": fnv1.READY_FALSE, "a": fnv1.READY_UNSPECIFIED, "c": fnv1.READY_TRUE}, fnv1.READY_UNSPECIFIED, ("False", "Creating", "Unready resources: a, b"), "unspecified is not ready"),
    "many": Ready(dict.fromkeys("abcde", fnv1.READY_FALSE), fnv1.READY_UNSPECIFIED, ("False", "Creating", "Unready resources: a, b, c, and 2 more"), "three are named"),
    "said true": Ready({"a": fnv1.READY_FALSE}, fnv1.READY_TRUE, ("True", "Available", ""), "what is said of the XR wins"),
    "said false": Ready({"a": fnv1.READY_TRUE}, fnv1.READY_FALSE, ("False", "Creating", ""), "what is said of the XR wins"),
}  # fmt: skip


@pytest.mark.parametrize("case", READY.values(), ids=READY)
def test_ready(case: Ready):
    composes = {k: ({**CONFIG, "metadata": {"name": k}}, ready) for k, ready in case.composes.items()}
    after = turn(state(), answering(composes=composes, ready=case.composite)).state
    ready = next(c for c in after.body["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready.get("message", "")) == case.want, case.reason
    assert conditions(after)["Synced"] == ("True", "ReconcileSuccess")


def test_a_composed_resource_gets_what_core_gives_it():
    after = turn(state(), answering(composes={"key": ({**CONFIG, "metadata": {}}, fnv1.READY_TRUE)})).state
    metadata = after.cluster.objects[after.composed["key"]]["metadata"]
    assert metadata["name"].startswith("orders-"), "a name is made where there is none"
    assert metadata["namespace"] == build.TEAM, "a namespaced XR composes in its own namespace"
    assert metadata["labels"] == {"crossplane.io/composite": "orders"}
    assert metadata["annotations"] == {names.COMPOSITION_RESOURCE_NAME: "key"}
    assert metadata["ownerReferences"][0]["controller"] is True
    again = turn(after, answering(composes={"key": ({**CONFIG, "metadata": {}}, fnv1.READY_TRUE)})).state
    assert again.composed == after.composed, "a generated name stays"
    assert again == after, "applying the same changes nothing"


def test_generation_counts_changes_of_the_spec():
    def spec(size: int) -> Any:
        body = {"apiVersion": "a.b/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": size}}
        return answering(composes={"t": (body, fnv1.READY_TRUE)})

    states = [turn(state(), spec(1)).state]
    states += [turn(states[-1], spec(size)).state for size in (1,)]
    states += [turn(states[-1], spec(2)).state]
    bodies = [s.cluster.objects[s.composed["t"]] for s in states]
    assert [b["metadata"]["generation"] for b in bodies] == [1, 1, 2]
    assert len({b["metadata"]["uid"] for b in bodies}) == 1, "it is one object all the time"


@dataclass(frozen=True)
class Refused:
    composes: Mapping[str, Mapping[str, Any]]
    error: str
    reason: str
    objects: Sequence[Mapping[str, Any]] = ()


def defined(api_version: str, kind: str, scope: str | None) -> dict[str, Any]:
    spec = {"group": "a.b", "names": {"kind": "Thing"}, **({"scope": scope} if scope else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "things.a.b"}, "spec": spec}


THING = {"apiVersion": "a.b/v1", "kind": "Thing", "metadata": {"name": "t"}}
XRD = "CompositeResourceDefinition"
REFUSED: dict[str, Refused] = {
    "cluster-scoped": Refused({"n": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}}, "cluster scoped composed resource \"n\" (a Namespace named n)", "a namespaced XR composes nothing cluster-scoped"),
    "by its CRD": Refused({"t": THING}, "cluster scoped", "the folder's definitions say the scope", [defined("apiextensions.k8s.io/v1", "CustomResourceDefinition", "Cluster")]),
    "by its XRD": Refused({"t": THING}, "cluster scoped", "XRs of a v1 XRD are cluster-scoped", [defined("apiextensions.crossplane.io/v1", XRD, None)]),
    "namespaced XRD": Refused({"t": THING}, "", "XRs of a v2 XRD are namespaced", [defined("apiextensions.crossplane.io/v2", XRD, None)]),
    "name": Refused({"t": {**THING, "metadata": {"name": "Not A Name"}}}, "invalid name \"Not A Name\"", "the API server would refuse it"),
    "twice": Refused({"t": THING, "u": THING}, "Thing t in team-a is composed twice", "two keys, one object"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(case: Refused):
    before = state(*case.objects)
    after = turn(before, answering(composes={k: (b, fnv1.READY_TRUE) for k, b in case.composes.items()}))
    assert case.error in after.error and bool(case.error) == bool(after.error), case.reason
    if case.error:
        assert not after.state.composed, "nothing is applied"
        assert conditions(after.state)["Synced"] == ("False", "ReconcileError")


def test_a_foreign_namespace_is_overridden_with_a_warning():
    body = {**CONFIG, "metadata": {"name": "one", "namespace": "elsewhere"}}
    after = turn(state(), answering(composes={"k": (body, fnv1.READY_TRUE)}))
    assert after.state.composed["k"].namespace == build.TEAM
    assert [(e.type, e.reason) for e in after.events] == [("Warning", "NamespaceOverridden")]


def test_what_is_no_longer_desired_is_deleted():
    before = turn(state(), answering(composes={"k": (CONFIG, fnv1.READY_TRUE)})).state
    after = turn(before, answering())
    assert after.deleted == ("k",)
    assert not after.state.composed
    assert Ref.of(CONFIG) not in after.state.cluster.objects


def test_status_fields_that_are_dropped_go_away_and_conditions_stay():
    before = turn(state(), answering(status={"a": 1, "b": 2}, conditions={"Mine": fnv1.STATUS_CONDITION_TRUE})).state
    after = turn(before, answering(status={"b": 3, "conditions": []})).state
    assert {k: v for k, v in after.body["status"].items() if k != "conditions"} == {"b": 3}
    assert conditions(after)["Mine"] == ("True", "Said"), "a condition that is not said again stays"
    assert "a" not in turn(before, answering()).state.body["status"]


def test_fatal_freezes_everything_but_conditions():
    before = turn(
        state(),
        answering(
            composes={"k": (CONFIG, fnv1.READY_TRUE)},
            conditions={"Mine": fnv1.STATUS_CONDITION_TRUE, "Lost": fnv1.STATUS_CONDITION_TRUE},
        ),
    ).state
    fatal = answering(
        conditions={"Mine": fnv1.STATUS_CONDITION_FALSE, "Ready": fnv1.STATUS_CONDITION_FALSE},
        results=[(fnv1.SEVERITY_NORMAL, "before"), (fnv1.SEVERITY_FATAL, "too bad")],
        status={"new": True},
    )
    after = turn(before, fatal)
    assert after.error == 'cannot compose resources: pipeline step "one" returned a fatal result: too bad'
    assert after.state.composed == before.composed and "new" not in after.state.body["status"], "nothing is applied"
    assert conditions(after.state) == {
        "Mine": ("False", "Said"),
        "Lost": ("Unknown", "FatalError"),
        "Ready": ("True", "Available"),
        "Synced": ("False", "ReconcileError"),
    }
    assert [e.message for e in after.events] == ["before", after.error]


def test_steps_see_what_earlier_ones_desire_and_a_fatal_one_ends_the_pipeline():
    seen, last = wanting({})
    pipeline = [Step("first", simulate.composing({"k": CONFIG})), Step("second", answering()), Step("third", last)]
    simulate.reconcile(state(), pipeline)
    assert list(seen[0].desired.resources) == ["k"]
    fatal = Step("second", answering(results=[(fnv1.SEVERITY_FATAL, "")]))
    assert "no reason given" in simulate.reconcile(state(), [pipeline[0], fatal, pipeline[2]]).error
    assert len(seen) == 1, "the third step is not called"


def test_the_request_says_what_core_says():
    seen, answer = wanting({})
    turn(state(observed={"old": CONFIG}), answer, input={"kind": "Input"})
    request = seen[0]
    assert len(request.meta.tag) == 64 and fnv1.CAPABILITY_REQUIRED_RESOURCES in request.meta.capabilities
    assert list(request.observed.resources) == ["old"]
    assert request.HasField("context") and request.HasField("desired") and request.input.fields["kind"].string_value
    assert (
        structs.plain(request.observed.composite.resource, "")["metadata"]["labels"][core.COMPOSITE_LABEL] == "orders"
    )
