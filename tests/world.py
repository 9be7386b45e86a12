"""What the tests of the simulation share: functions that always say the same, states, turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

import build
from function import simulate, structs
from function.simulate import Cluster, State, Step

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "namespace": build.TEAM},
    "data": {"a": "1"},
}


def answering(**fields: Any) -> Callable[[fnv1.RunFunctionRequest], fnv1.RunFunctionResponse]:
    """A function that always composes the same and says the same."""

    def answer(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        rsp = fnv1.RunFunctionResponse()
        rsp.desired.CopyFrom(req.desired)
        for key, (body, ready) in fields.get("composes", {}).items():
            structs.fill(rsp.desired.resources[key].resource, body)
            rsp.desired.resources[key].ready = ready
        rsp.desired.composite.ready = fields.get("ready", fnv1.READY_UNSPECIFIED)
        if "status" in fields:
            structs.fill(rsp.desired.composite.resource, {"status": fields["status"]})
        for type_, status in fields.get("conditions", {}).items():
            rsp.conditions.add(type=type_, status=status, reason="Said", message="so")
        for severity, message in fields.get("results", ()):
            rsp.results.add(severity=severity, message=message)
        return rsp

    return answer


def state(
    *objects: Mapping[str, Any], body: Mapping[str, Any] | None = None, observed: Mapping[str, Any] | None = None
) -> State:
    return simulate.start(body or build.xr(), Cluster.of(objects), observed)


def turn(before: State, runner: Any, **more: Any) -> simulate.Turn:
    return simulate.reconcile(before, [Step("one", runner, **more)])


def conditions(after: State) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in after.body["status"]["conditions"]}
