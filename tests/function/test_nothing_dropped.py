"""Rule 1 of those that may not break (docs/rules.md), over every way of delivery: nothing delivered is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import MODES, WORLD, answered, changed, delivered, delivery, given, specs, without, written

import build
from function import structs
from function.api import names
from function.fn import run
from stored import as_stored


@dataclass(frozen=True)
class Loss:
    """Something that is not there, or that now says no."""

    reason: str
    gone: tuple[str, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    condition: tuple[str, str, str] = ("", "", "")
    promise: Mapping[str, Any] | None = None

    def world(self) -> list[dict[str, Any]]:
        """What there is then."""
        there = without(*self.gone)
        return [{**item, **self.promise} if self.promise and item["kind"] == "Promise" else item for item in there]


LOSSES: dict[str, Loss] = {
    "promise-gone": Loss(
        "a Promise that was deleted takes nothing back",
        gone=("Promise",),
        condition=("ChecksPassed", "False", "PromiseMissing"),
    ),
    "budget-gone": Loss(
        "a context object that was deleted takes nothing back",
        gone=("ConfigMap",),
        condition=("ChecksPassed", "False", "ContextMissing"),
    ),
    "gate-denies": Loss(
        "a gate that denies now takes nothing back", spec={"size": 500}, condition=("ChecksPassed", "False", "Denied")
    ),
    "gate-cannot-be-evaluated": Loss(
        "a gate that fails closed takes nothing back",
        spec={"size": "many"},
        condition=("ChecksPassed", "False", "Denied"),
    ),
    "template-fails": Loss(
        "a document that cannot be made takes nothing back",
        spec={"env": [1]},
        condition=("Delivered", "False", "Invalid"),
    ),
    "pipelines-appear": Loss(
        "a Promise that got pipelines takes nothing back",
        promise={"spec": {"workflows": {"resource": {"configure": [build.pipeline("run")]}}}},
        condition=("WorkflowCompleted", "False", "Running"),
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOSSES)
def test_rule_1_nothing_delivered_is_dropped(mode: str, name: str) -> None:
    loss = LOSSES[name]
    before = delivered(mode)
    rsp = run(answered(changed(before, **loss.spec), loss.world()), build.HOST)

    if loss.condition[0]:
        assert build.conditions(rsp)[loss.condition[0]] == loss.condition[1:], loss.reason
    if mode == "Composed" and (rsp.results and build.fatal(rsp)):
        return  # Crossplane applies nothing of a fatal result: everything is frozen as it is
    if name != "pipelines-appear":  # their Job must be composed, beside documents that the input makes again
        assert mode != "Composed", "what was composed as itself cannot be rebuilt, so the result must be fatal"
    assert specs(delivery(rsp)) == specs(before.observed.resources), loss.reason


@pytest.mark.parametrize("name", LOSSES)
def test_rule_1_what_was_composed_as_itself_is_held_as_crossplane_applied_it(name: str) -> None:
    """On a real cluster, whose API server notes who applied which field."""
    loss = LOSSES[name]
    delivered_as_itself = delivered("Composed")
    before = as_stored(delivered_as_itself)
    for resource in before.observed.resources.values():
        resource.resource.fields["data"].struct_value.fields["theirs"].string_value = "not Crossplane's"
    rsp = run(answered(changed(before, **loss.spec), loss.world()), build.HOST)

    assert not build.fatal(rsp), "nothing else of the pipeline is frozen"
    kind, *rest = loss.condition if loss.condition[0] else ("Delivered", "True", "Delivered")
    assert build.conditions(rsp)[kind] == tuple(rest), loss.reason
    assert specs(delivery(rsp)) == specs(delivered_as_itself.observed.resources), loss.reason


@pytest.mark.parametrize("mode", ["WorkPlacement", "Object"])
def test_rule_1_an_empty_inventory_drops_nothing(mode: str) -> None:
    before = delivered(mode)
    rsp = run(answered(before, without("Destination")))
    assert specs(rsp.desired.resources) == specs(before.observed.resources)
    assert build.conditions(rsp)["Scheduled"] == ("False", "Misplaced")


@pytest.mark.parametrize("mode", MODES)
def test_rule_1_unanswered_requirements_drop_nothing(mode: str) -> None:
    """The first call of every reconcile on cores up to 2.3: nothing is answered yet."""
    before = delivered(mode)
    before.required_resources.clear()
    rsp = run(before)
    assert not build.fatal(rsp), "a fatal result would end the reconcile before Crossplane answers"
    assert set(rsp.desired.resources) == set(before.observed.resources)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOSSES)
def test_rule_1_a_new_xr_composes_nothing_and_says_why(mode: str, name: str) -> None:
    loss = LOSSES[name]
    body = build.xr(spec={"env": "dev", "size": 1, **loss.spec})
    rsp = run(build.resolved(build.request(body, given(mode)), loss.world()), build.HOST)
    assert not delivery(rsp), loss.reason
    assert not build.fatal(rsp), "a later call can mend it"
    assert rsp.desired.composite.ready == fnv1.READY_FALSE
    assert build.conditions(rsp)[loss.condition[0]] == loss.condition[1:], loss.reason


@pytest.mark.parametrize("mode", MODES)
def test_rule_1_bad_input_freezes_everything(mode: str) -> None:
    before = delivered(mode)
    structs.fill(before.input, {"chekcs": []})
    rsp = run(before)
    assert build.fatal(rsp) == "chekcs: unknown field; did you mean checks?"
    assert {c.type for c in rsp.conditions} == set(names.CONDITIONS), (
        "a condition that is not sent again becomes Unknown"
    )


def test_rule_1_what_other_steps_composed_passes_through() -> None:
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}}
    req = build.resolved(
        build.request(given=given("Work"), desired={"theirs": other}, observed={"theirs": other}), without("Promise")
    )
    assert build.composed(run(req)) == {"theirs": other}


def test_rule_1_what_kratix_writes_into_a_work_is_not_taken_over() -> None:
    before = delivered("Work")
    key = next(iter(before.observed.resources))
    body = structs.plain(before.observed.resources[key].resource, key)
    body["spec"]["lastExecutionTimestamp"] = None
    body["metadata"]["finalizers"] = ["finalizers.workplacement.kratix.io/repo-cleanup"]
    body["metadata"]["labels"]["kratix.io/misplaced"] = "true"
    before.observed.resources[key].resource.Clear()
    structs.fill(before.observed.resources[key].resource, body)
    held = build.composed(run(changed(before, size=500)))[key]
    assert "lastExecutionTimestamp" not in held["spec"]
    assert set(held["metadata"]) == {"name", "namespace", "labels"}
    assert "kratix.io/misplaced" not in held["metadata"]["labels"]


def test_rule_1_what_another_step_composed_is_not_held() -> None:
    """A resource that another step no longer wants is that step's to drop."""
    before = delivered("Work")
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "theirs", "labels": {"app": "theirs"}},
    }
    structs.fill(before.observed.resources["theirs"].resource, theirs)
    assert "theirs" not in run(changed(before, size=500)).desired.resources


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object"])
def test_rule_1_an_input_that_names_another_promise_by_mistake_drops_nothing(mode: str) -> None:
    before = delivered(mode)
    structs.fill(before.input, {"promise": {"ref": {"name": "postgress"}}})
    rsp = run(answered(before, WORLD))
    assert build.conditions(rsp)["ChecksPassed"] == ("False", "PromiseMissing")
    assert specs(rsp.desired.resources) == specs(before.observed.resources)


def test_rule_1_a_later_step_takes_over_what_an_earlier_one_held_for_it() -> None:
    """Two Promises in one pipeline: the first denies, so it holds the second's Work, which the second then composes."""
    second = delivered("Work")
    first = fnv1.RunFunctionRequest()
    first.CopyFrom(second)
    structs.fill(
        first.input,
        build.promise_input(promise={"name": "audit", "spec": {}}, checks=[{"name": "no", "expression": "false"}]),
    )
    held = run(build.resolved(first))
    assert set(held.desired.resources) == set(second.observed.resources)
    second.desired.CopyFrom(held.desired)
    rsp = run(second)
    assert not build.fatal(rsp)
    (manifest,) = build.composed(rsp).values()
    assert names.HELD_ANNOTATION not in manifest["metadata"].get("annotations", {})


def test_rule_1_a_step_that_adopts_everything_adopts_nothing_of_steps_like_it() -> None:
    """The first denies and holds the second's Work; its own beacon and what it composes of its own pass through too."""
    second = delivered("Work", adopt={"names": ["*"]})
    first = fnv1.RunFunctionRequest()
    first.CopyFrom(second)
    structs.fill(
        first.input,
        build.promise_input(promise={"name": "audit", "spec": {}}, checks=[{"name": "no", "expression": "false"}]),
    )
    del first.input["adopt"]
    second.desired.CopyFrom(run(build.resolved(first)).desired)
    labels = {names.PROMISE_LABEL: "audit", names.DELIVER_LABEL: "Work"}
    theirs = {
        "audit/work": {"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Work", "metadata": {"labels": labels}},
        "audit//beacon": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"labels": {names.BEACON_LABEL: "true"}},
        },
        "later/work": {"kind": "Work", "metadata": {"annotations": {names.HELD_ANNOTATION: "later"}}},
    }
    theirs = {key: {**manifest, "spec": {}} for key, manifest in theirs.items()}
    for key, manifest in theirs.items():
        structs.fill(second.desired.resources[key].resource, manifest)
    rsp = run(second)
    assert not build.fatal(rsp)
    assert set(build.files(rsp)) == {"claim.yaml"}, "none of it is a document"
    assert {key: build.composed(rsp)[key] for key in theirs} == theirs
    assert set(rsp.desired.resources) == {"postgresql/work", *theirs}


SWITCHES = [(old, new) for old in MODES for new in MODES if old != new]


@pytest.mark.parametrize(("old", "new"), SWITCHES)
def test_rule_1_another_way_of_delivery_takes_over_only_once_it_has_delivered(old: str, new: str) -> None:
    before = delivered(old)
    before.input.Clear()
    structs.fill(before.input, given(new))
    req = answered(before, WORLD)
    rsp = run(req)
    assert set(before.observed.resources) < set(rsp.desired.resources), "the old stays beside the new"
    folders = {m["metadata"]["labels"].get("kratix.io/pipeline-name") for m in build.composed(rsp).values()} - {None}
    assert len(folders) == len({old, new} & {"Work", "WorkPlacement"}), "deleting the old files must not delete the new"
    done = {
        "conditions": [
            {"type": t, "status": "True"} for t in ("Synced", "Ready", "WriteSucceeded", "ScheduleSucceeded")
        ]
    }
    after = build.applied(req, rsp, status=done)
    final = run(answered(after, [*WORLD, *written(after)]))
    if (old, new) == ("Object", "Work"):
        # Only now is it known where Kratix put it, and so that what the Object made has to stay there (test_taken_over.py).
        after = build.applied(after, final, status=done)
        final = run(answered(after, [*WORLD, *written(after)]))
    assert build.conditions(final)["Delivered"] == ("True", "Delivered")
    assert not set(before.observed.resources) & set(final.desired.resources), "and goes once the new has delivered"


@pytest.mark.parametrize("new", ["WorkPlacement", "Object"])
def test_rule_1_another_way_of_delivery_without_a_destination_drops_nothing(new: str) -> None:
    before = delivered("Work")
    before.input.Clear()
    structs.fill(before.input, given(new))
    rsp = run(answered(before, without("Destination")))
    assert build.conditions(rsp)["Scheduled"] == ("False", "NoMatchingDestination")
    assert specs(rsp.desired.resources) == specs(before.observed.resources)


def test_rule_1_a_directory_without_a_destination_keeps_where_its_documents_were() -> None:
    before = delivered("WorkPlacement")
    documents = [build.config_map("claim", directory="app")]
    selectors = {"selectors": [{"directory": "app", "matchLabels": {"zone": "moon"}}]}
    structs.fill(before.input, {"documents": documents, "schedule": selectors})
    rsp = run(answered(before, WORLD))
    assert build.conditions(rsp)["Scheduled"] == ("False", "NoMatchingDestination")
    assert specs(rsp.desired.resources) == specs(before.observed.resources)


def test_rule_1_what_was_composed_itself_stays_while_kratix_finds_no_destination() -> None:
    before = delivered("Composed")
    before.input.Clear()
    structs.fill(before.input, given("Work"))
    req = answered(before, WORLD)
    for _ in range(3):
        rsp = run(req)
        assert build.conditions(rsp)["Scheduled"] == ("False", "WaitingForKratix")
        assert set(before.observed.resources) < set(rsp.desired.resources)
        req = answered(build.applied(req, rsp), WORLD)


def test_rule_1_of_what_was_composed_itself_goes_what_no_document_gives_any_more() -> None:
    """As it would without another way of delivery: there is nothing left that it could be made of."""
    before = delivered("Composed", documents=[build.config_map("claim"), build.config_map("backup")])
    before.input.Clear()
    structs.fill(before.input, given("Object"))
    assert set(build.composed(run(answered(before, WORLD)))) == {"postgresql/claim", "postgresql/worker-1/claim"}


@pytest.mark.parametrize("new", ["WorkPlacement", "Object"])
def test_rule_1_what_was_composed_itself_freezes_while_there_is_no_destination(new: str) -> None:
    before = delivered("Composed")
    before.input.Clear()
    structs.fill(before.input, given(new))
    rsp = run(answered(before, without("Destination")))
    assert "deliver.as: cannot change from Composed while no Destination takes the documents" in build.fatal(rsp)
