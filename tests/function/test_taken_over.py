"""A change of `deliver.as` from Object: what it made stays where files bring the same document now, and goes elsewhere.

A GitOps agent has it then. To delete the Object would delete a database there, for the agent to make an empty one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from delivering import BUDGET, PROMISE, answered, delivered, given, written

import build
from function import structs
from function.api.output import Output
from function.fn import run
from function.model import lookup
from function.simulate import Cluster, State, Step, kubelet, reconcile, start
from function.simulate.engine import settle

KEPT = ["Observe", "Create", "Update", "LateInitialize"]
DONE = {"conditions": [{"type": "WriteSucceeded", "status": "True"}]}
FILES = pytest.mark.parametrize("new", ["Work", "WorkPlacement"])


def worlds(destination: str) -> list[dict[str, Any]]:
    return [PROMISE, BUDGET, build.destination(destination, {"environment": "dev"})]


def handed_over(new: str, destination: str, **more: Any) -> list[dict[str, dict[str, Any]]]:
    """What is composed in each reconcile after the change, until the Object is gone."""
    req = delivered("Object", worlds("worker-1"), **more)
    req.input.Clear()
    structs.fill(req.input, given(new, **more))
    found: list[dict[str, dict[str, Any]]] = []
    while not found or any(made["kind"] == "Object" for made in found[-1].values()):
        rsp = run(answered(req, [*worlds(destination), *written(req, destination)]))
        assert not build.fatal(rsp), build.fatal(rsp)
        found.append(build.composed(rsp))
        assert len(found) < 5, found
        req = build.applied(req, rsp, status=DONE)
    return found


def policies(found: list[dict[str, dict[str, Any]]]) -> list[Any]:
    """Of the Object, in each reconcile in which it is there."""
    return [lookup(made, "spec", "managementPolicies") for each in found for made in each.values() if _is_object(made)]


def _is_object(made: dict[str, Any]) -> bool:
    return bool(made["kind"] == "Object")


@FILES
def test_what_it_made_stays_where_files_bring_it_to_the_same_destination(new: str) -> None:
    found = handed_over(new, "worker-1")
    assert policies(found)[-1] == KEPT, "before it goes"
    assert [made["kind"] for made in found[-1].values()] == [new]


def test_what_it_made_goes_from_a_destination_that_it_leaves() -> None:
    found = handed_over("Work", "worker-2")
    assert KEPT not in policies(found)
    assert [made["kind"] for made in found[-1].values()] == ["Work"]


@FILES
def test_what_no_document_gives_any_more_goes_there_too(new: str) -> None:
    before = delivered("Object", worlds("worker-1"), documents=[build.config_map("claim"), build.config_map("backup")])
    before.input.Clear()
    structs.fill(before.input, given(new))
    made = build.composed(run(answered(before, [*worlds("worker-1"), *written(before)])))
    kept = {key: lookup(each, "spec", "managementPolicies") for key, each in made.items() if _is_object(each)}
    assert None in kept.values(), kept


def test_what_it_made_of_the_files_of_pipelines_stays_too() -> None:
    """Nobody looks into these for a Work, but here they say what is where."""
    spec = {"workflows": {"resource": {"configure": [build.pipeline("make")]}}}
    asked = build.promise_input(
        promise={"name": "postgresql", "version": "v1", "spec": spec},
        documents=[],
        schedule={"selectors": [{"matchLabels": {"environment": "dev"}}]},
    )
    manifest = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made, namespace: team-a}\n"
    state = start(build.xr(), Cluster.of(worlds("worker-1")))
    wrote = kubelet.Wrote(Output({"made.yaml": manifest}))
    told: list[Any] = []
    for turn in range(20):
        given = {**asked, "deliver": {"as": "Object" if turn < 10 else "Work"}}
        state = settle(reconcile(state, [Step("promise", lambda req: run(req, build.HOST), given)]).state)
        state = replace(state, cluster=kubelet.reconcile(state.cluster, lambda *_: wrote, build.HOST.now))
        told.append([lookup(state.cluster.objects[ref], "spec", "managementPolicies") for ref in _objects(state)])
    assert told[9] == [None], "it is there"
    assert [KEPT] in told
    assert told[-1] == []


def _objects(state: State) -> list[Any]:
    return [ref for ref in state.composed.values() if ref.kind == "Object"]
