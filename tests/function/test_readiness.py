"""When something composed has arrived, by kind: a table of what is observed and what is still wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from function import readiness


def condition(type_: str, status: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "status": status, **more}


def observed(kind: str, *conditions: dict[str, Any], spec: Any = None, **status: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"generation": 2},
        "spec": spec if spec is not None else {},
        "status": {**({"conditions": list(conditions)} if conditions else {}), **status},
    }


@dataclass(frozen=True)
class Case:
    reason: str
    got: str
    want: str


OBJECT = {"forProvider": {"manifest": {"a": 1}}}

CASES: dict[str, Case] = {
    "composed: not there": Case("nothing is ready before it exists", readiness.of_composed(None), "not applied yet"),
    "composed: no conditions": Case(
        "a ConfigMap is ready once it is there", readiness.of_composed(observed("ConfigMap")), ""
    ),
    "composed: a managed resource that its provider has not seen": Case(
        "it gets conditions, and is not ready before",
        readiness.of_composed(observed("Bucket", spec={"forProvider": {"a": 1}})),
        "has no condition Ready yet",
    ),
    "composed: an XR that core has not reconciled": Case(
        "so does it",
        readiness.of_composed(observed("XBucket", spec={"crossplane": {"resourceRefs": []}})),
        "has no condition Ready yet",
    ),
    "composed: a Deployment that is new": Case(
        "and a Deployment", readiness.of_composed(observed("Deployment")), "has no condition Available yet"
    ),
    "composed: Ready": Case(
        "the standard condition", readiness.of_composed(observed("Bucket", condition("Ready", "True"))), ""
    ),
    "composed: not Ready": Case(
        "the reason is said",
        readiness.of_composed(observed("Bucket", condition("Ready", "False", reason="Creating"))),
        "is not ready (Creating)",
    ),
    "composed: not Ready, no reason": Case(
        "a reason may lack", readiness.of_composed(observed("Bucket", condition("Ready", "Unknown"))), "is not ready"
    ),
    "composed: other conditions": Case(
        "conditions without Ready are not Ready",
        readiness.of_composed(observed("Bucket", condition("Synced", "True"))),
        "has no condition Ready yet",
    ),
    "composed: Deployment": Case(
        "a Deployment is Available",
        readiness.of_composed(observed("Deployment", condition("Available", "True"), condition("Ready", "False"))),
        "",
    ),
    "composed: Job": Case(
        "a Job is Complete", readiness.of_composed(observed("Job", condition("Complete", "False"))), "is not complete"
    ),
    "composed: status of no object": Case("nothing crashes", readiness.of_composed({"kind": "A", "status": "on"}), ""),
    "object: not there": Case("not applied", readiness.of_object(None, OBJECT), "not applied yet"),
    "object: older manifest": Case(
        "not applied as composed",
        readiness.of_object(observed("Object", spec={"forProvider": {"manifest": {}}}), OBJECT),
        "not applied yet",
    ),
    "object: no conditions": Case(
        "provider has not looked", readiness.of_object(observed("Object", spec=OBJECT), OBJECT), "is not synced yet"
    ),
    "object: synced before": Case(
        "a condition of an older generation says nothing",
        readiness.of_object(observed("Object", condition("Synced", "True", observedGeneration=1), spec=OBJECT), OBJECT),
        "is not synced yet at its new generation",
    ),
    "object: not synced": Case(
        "the reason is said",
        readiness.of_object(
            observed("Object", condition("Synced", "False", reason="ReconcileError"), spec=OBJECT), OBJECT
        ),
        "is not synced (ReconcileError)",
    ),
    "object: ready": Case(
        "both conditions",
        readiness.of_object(
            observed(
                "Object", condition("Synced", "True", observedGeneration=2), condition("Ready", "True"), spec=OBJECT
            ),
            OBJECT,
        ),
        "",
    ),
    "placement: not there": Case("not applied", readiness.of_placement(None, {"id": "a"}), "not applied yet"),
    "placement: other content": Case(
        "not applied as composed",
        readiness.of_placement(observed("WorkPlacement", spec={"id": "b"}), {"id": "a"}),
        "not applied yet",
    ),
    "placement: not written": Case(
        "Kratix has not looked",
        readiness.of_placement(observed("WorkPlacement", spec={"id": "a"}), {"id": "a"}),
        "is not written yet",
    ),
    "placement: failed": Case(
        "the reason is said",
        readiness.of_placement(
            observed("WorkPlacement", condition("WriteSucceeded", "False", reason="NoAccess"), spec={"id": "a"}),
            {"id": "a"},
        ),
        "is not written yet (NoAccess)",
    ),
    "placement: written": Case(
        "written",
        readiness.of_placement(
            observed("WorkPlacement", condition("WriteSucceeded", "True"), spec={"id": "a"}), {"id": "a"}
        ),
        "",
    ),
    "placement: written by an old Kratix": Case(
        "its commit is the sign",
        readiness.of_placement(observed("WorkPlacement", spec={"id": "a"}, versionID="abc"), {"id": "a"}),
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_readiness(name: str) -> None:
    case = CASES[name]
    assert case.got == case.want, case.reason
