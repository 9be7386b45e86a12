"""Requests for each way of delivery, of a new XR and of one that is delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import structs
from function.api import names
from function.fn import run

MODES = ("Work", "WorkPlacement", "Object", "Composed")
BUDGET = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "team-a", "namespace": "billing", "labels": {"kind": "budget"}},
    "data": {"left": "100"},
}
PROMISE = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Promise",
    "metadata": {"name": "postgresql", "labels": {"kratix.io/promise-version": "v1.0.0"}},
    "spec": {"destinationSelectors": [{"matchLabels": {"environment": "dev"}}]},
}
DESTINATIONS = [build.destination(f"worker-{i}", {"environment": "dev"}) for i in (1, 2, 3)]
WORLD = [PROMISE, BUDGET, *DESTINATIONS]


def given(mode: str, **more: Any) -> dict[str, Any]:
    return build.promise_input(
        promise={"ref": {"name": "postgresql"}},
        context=[
            {"name": "budget", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "billing", "matchName": "team-a"}
        ],
        checks=[
            {
                "name": "billing",
                "expression": "int(context.budget.data.left) >= request.spec.size",
                "message": "team ${request.metadata.labels.team} has no budget left",
            }
        ],
        deliver={"as": mode},
        **more,
    )


def delivered(mode: str, objects: list[dict[str, Any]] = WORLD, **more: Any) -> fnv1.RunFunctionRequest:
    """The request of the reconcile after everything was composed and applied."""
    first = build.resolved(build.request(given=given(mode, **more)), objects)
    rsp = run(first)
    assert not build.fatal(rsp), build.fatal(rsp)
    assert rsp.desired.resources, "the test needs something delivered to begin with"
    return build.applied(first, rsp)


def without(*gone: str) -> list[dict[str, Any]]:
    return [item for item in WORLD if item["kind"] not in gone]


def answered(req: fnv1.RunFunctionRequest, objects: list[dict[str, Any]]) -> fnv1.RunFunctionRequest:
    bare = fnv1.RunFunctionRequest()
    bare.CopyFrom(req)
    bare.required_resources.clear()
    return build.resolved(bare, objects)


def changed(req: fnv1.RunFunctionRequest, **spec: Any) -> fnv1.RunFunctionRequest:
    after = fnv1.RunFunctionRequest()
    after.CopyFrom(req)
    body = structs.plain(req.observed.composite.resource, "xr")
    body["spec"] = {**body["spec"], **spec}
    after.observed.composite.resource.Clear()
    structs.fill(after.observed.composite.resource, body)
    return after


def specs(req_or_rsp: Mapping[str, fnv1.Resource]) -> dict[str, Any]:
    return {
        key: structs.plain(r.resource, key).get("spec") or structs.plain(r.resource, key).get("data")
        for key, r in req_or_rsp.items()
    }


def delivery(rsp: fnv1.RunFunctionResponse) -> dict[str, fnv1.Resource]:
    """What is composed but for what runs pipelines."""
    return {key: resource for key, resource in rsp.desired.resources.items() if names.RUN_KEY not in key}


def written(req: fnv1.RunFunctionRequest, destination: str = "worker-1") -> list[dict[str, Any]]:
    """The WorkPlacements that Kratix would make of the Works in a request."""
    made = []
    for key, resource in req.observed.resources.items():
        body = structs.plain(resource.resource, key)
        for group in (body.get("spec") or {}).get("workloadGroups", []):
            labels = {"kratix.io/work": body["metadata"]["name"], "kratix.io/workload-group-id": group["id"]}
            conditions = [{"type": t, "status": "True"} for t in ("ScheduleSucceeded", "WriteSucceeded")]
            made.append(
                {
                    "apiVersion": "platform.kratix.io/v1alpha1",
                    "kind": "WorkPlacement",
                    "metadata": {"name": "w", "namespace": build.TEAM, "labels": labels},
                    "spec": {"targetDestinationName": destination, "generation": 1},
                    "status": {"conditions": conditions},
                }
            )
    return made
