"""A Promise as it is read: leniently where Kratix itself checks, with a path where it matters here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import build
from function.api.errors import InvalidError
from function.api.promise import from_manifest, from_spec
from function.fn import run


def test_reads_what_promise_logic_needs() -> None:
    promise = from_manifest(
        {
            "metadata": {"name": "pg", "labels": {"kratix.io/promise-version": "v1"}},
            "spec": {
                "destinationSelectors": [{"matchLabels": {"a": "b"}}, {}],
                "workflows": {
                    "resource": {"configure": [{"metadata": {"name": "one"}}, {"metadata": {"name": "two"}}]}
                },
                "newInKratix": True,
            },
        },
        "Promise pg",
    )
    assert (promise.name, promise.version) == ("pg", "v1")
    assert promise.destination_selectors == ({"a": "b"}, {})
    assert promise.resource_pipelines == ("one", "two")


@dataclass(frozen=True)
class Wrong:
    spec: dict[str, Any]
    message: str


WRONG: dict[str, Wrong] = {
    "selectors of no list": Wrong({"destinationSelectors": {}}, "promise.spec.destinationSelectors: must be a list"),
    "labels of no strings": Wrong(
        {"destinationSelectors": [{"matchLabels": {"a": 1}}]},
        "promise.spec.destinationSelectors[0].matchLabels: must be a mapping of strings",
    ),
    "selector of no object": Wrong(
        {"destinationSelectors": ["a"]},
        "promise.spec.destinationSelectors[0].matchLabels: must be a mapping of strings",
    ),
    "workflows of no object": Wrong({"workflows": []}, "promise.spec.workflows: must be an object"),
    "pipelines of no list": Wrong(
        {"workflows": {"resource": {"configure": {}}}},
        "promise.spec.workflows.resource.configure: must be a list of Pipelines",
    ),
    "pipeline without name": Wrong(
        {"workflows": {"resource": {"configure": [{}]}}},
        "promise.spec.workflows.resource.configure[0].metadata.name: is required",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_named(name: str) -> None:
    with pytest.raises(InvalidError) as error:
        from_spec("pg", "", WRONG[name].spec, "promise")
    assert str(error.value) == WRONG[name].message
    rsp = run(build.request(given=build.promise_input(promise={"name": "pg", "spec": WRONG[name].spec})))
    assert build.fatal(rsp) == WRONG[name].message, "an inline Promise is part of the input"


def test_a_promise_without_metadata_is_named() -> None:
    with pytest.raises(InvalidError, match="the Promise has no metadata or no spec"):
        from_manifest({}, "Promise pg")


PIPELINES = {
    "listed": ([build.pipeline("one")], ("False", "Running"), "pipeline one runs (1 of 1)"),
    "without name": (
        [{**build.pipeline("one"), "metadata": {}}],
        ("False", "Invalid"),
        "workflow.pipelines[0].metadata.name: is required",
    ),
    "twice": (
        [build.pipeline("one"), build.pipeline("one")],
        ("False", "Invalid"),
        "workflow.pipelines[1].metadata.name: one is already the name of workflow.pipelines[0]",
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_of_the_input_are_never_passed_over(name: str) -> None:
    pipelines, condition, message = PIPELINES[name]
    given = build.promise_input(promise={"name": "pg", "spec": {}}, workflow={"pipelines": pipelines})
    rsp = run(build.resolved(build.request(given=given)), build.HOST)
    assert (build.conditions(rsp)["WorkflowCompleted"], build.message(rsp, "WorkflowCompleted")) == (condition, message)
    assert not any("/run/" not in key for key in rsp.desired.resources), "nothing is delivered"


def test_an_empty_list_of_pipelines_runs_none() -> None:
    rsp = run(build.resolved(build.request(given=build.promise_input(workflow={"pipelines": []}))))
    assert build.conditions(rsp)["WorkflowCompleted"] == ("True", "NoPipelines")


def test_what_pipelines_are_told_of_their_promise() -> None:
    spec = {
        "api": {"spec": {"names": {"plural": "postgreses"}}},
        "workflows": {"config": {"pipelineNamespace": "pipelines"}},
    }
    promise = from_spec("pg", "v1", spec, "Promise pg")
    assert (promise.plural, promise.pipeline_namespace) == ("postgreses", "pipelines")
    bare = from_spec("pg", "v1", {"api": "?", "workflows": {"config": {"pipelineNamespace": 1}}}, "Promise pg")
    assert (bare.plural, bare.pipeline_namespace) == ("", "")


@dataclass(frozen=True)
class Interval:
    annotation: str | None
    spec: str | None
    seconds: float
    reason: str


INTERVALS = {
    "annotation": Interval("90m", "10h", 5400, "the annotation goes before the spec"),
    "spec": Interval(None, "1h30m", 5400, "the spec says it for all of its requests"),
    "neither": Interval(None, None, 0, "what Kratix's configuration says is not known here"),
    "too short": Interval("59s", "10h", 36000, "Kratix passes over what is under a minute"),
    "no duration": Interval("often", None, 0, "Kratix passes over what is none"),
    "negative": Interval("-5m", "2h", 7200, "Kratix passes over what is under a minute"),
    "least": Interval("60s", None, 60, "a minute is Kratix's least"),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_how_often_pipelines_run_again(name: str) -> None:
    case = INTERVALS[name]
    annotations = {} if case.annotation is None else {"kratix.io/reconciliation-interval": case.annotation}
    config = {} if case.spec is None else {"reconciliationInterval": case.spec}
    manifest = {
        "metadata": {"name": "pg", "annotations": annotations},
        "spec": {"workflows": {"config": config}},
    }
    assert from_manifest(manifest, "Promise pg").reconciliation_interval == case.seconds, case.reason


def test_an_interval_of_the_input_is_at_least_a_minute() -> None:
    given = build.promise_input(workflow={"reconciliationInterval": "30s"})
    assert build.fatal(run(build.request(given=given))) == (
        "workflow.reconciliationInterval: must be at least 1m, not '30s'"
    )


TRUE = {"kratix.io/paused": "true"}
OF_FUNCTION = {"bridge.kratix.io/workflow": "function"}


@pytest.mark.parametrize(
    ("labels", "paused"),
    [({}, False), ({"kratix.io/paused": "yes"}, False), (TRUE, True), ({**TRUE, **OF_FUNCTION}, False)],
)
def test_only_true_pauses_and_not_where_it_is_to_keep_kratix_off(labels: dict[str, str], paused: bool) -> None:
    assert from_manifest({"metadata": {"name": "pg", "labels": labels}}, "Promise pg").paused is paused


def test_an_inline_promise_can_be_paused() -> None:
    given = build.promise_input(promise={"name": "pg", "spec": {}, "paused": True})
    rsp = run(build.resolved(build.request(given=given)), build.HOST)
    assert build.conditions(rsp)["WorkflowCompleted"] == ("False", "PausedReconciliation")
    assert not rsp.desired.resources
    given = build.promise_input(promise={"ref": {"name": "pg"}, "paused": True})
    assert "name, version and paused go with spec, not with ref" in build.fatal(run(build.request(given=given)))
