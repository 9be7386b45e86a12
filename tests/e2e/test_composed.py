"""`deliver.as: Composed` through the real core: what is held while pipelines run is held without taking a field over."""

from __future__ import annotations

import time
from typing import Any

import pytest
from developer import Manifest, Request, namespace, open_xrd, pipeline

from testbed.cluster import eventually
from testbed.profiles import Testbed

_TEAM = "team-composed"
_GROUP = "composed.example.org"
_QUIET = 8.0  # seconds
_OURS = "apiextensions.crossplane.io/composed"

_XRD = open_xrd(_GROUP, "Shop", "shops")
_CONTAINER = {
    "name": "web",
    "image": "registry.example.org/web:v1",
    "args": ["--quiet"],
    "env": [{"name": "SIZE", "value": "${string(request.spec.size)}"}],
    "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
}
_DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}, "finalizers": ["composed.example.org/kept"]},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [_CONTAINER], "volumes": [{"name": "tmp", "emptyDir": {}}]},
        },
    },
}


def _composition(*, when: str, pipelines: Any) -> Manifest:
    given = {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "promise": {"name": "shop", "spec": {}},
        "documents": [{"name": "web", "when": when, "manifest": _DEPLOYMENT}],
        "workflow": {"pipelines": pipelines, "image": "registry.example.org/function-kratix:v1"},
        "deliver": {"as": "Composed"},
    }
    return {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": "shops"},
        "spec": {
            "compositeTypeRef": {"apiVersion": f"{_GROUP}/v1", "kind": "Shop"},
            "mode": "Pipeline",
            "pipeline": [{"step": "shop", "functionRef": {"name": "function-kratix"}, "input": given}],
        },
    }


@pytest.fixture(scope="module")
def crossplane(beds: Any) -> Testbed:
    found: Testbed = beds.get("crossplane")
    return found


def _cores(deployment: Manifest) -> Any:
    """The fields that are core's."""
    [entry] = [e for e in deployment["metadata"]["managedFields"] if e["manager"].startswith(_OURS)]
    return entry["fieldsV1"]


def test_what_is_held_while_a_pipeline_runs_keeps_its_fields_and_their_owners(crossplane: Testbed) -> None:
    cluster = crossplane.plane.cluster
    cluster.apply(namespace(_TEAM), _XRD, _composition(when="request.spec.size == 1", pipelines="None"))
    eventually("the XRD's API is served", lambda: cluster.serves(f"{_GROUP}/v1", "Shop"), timeout=60)
    metadata = {"name": "one", "namespace": _TEAM}
    request = Request(
        cluster, {"apiVersion": f"{_GROUP}/v1", "kind": "Shop", "metadata": metadata, "spec": {"size": 1}}
    )

    def there() -> Manifest:
        return cluster.get("apps/v1", "Deployment", "web", _TEAM) or {}

    eventually("the Deployment is composed", there, timeout=60, show=request.seen)
    scaled = {"spec": {"replicas": 3}, "metadata": {"name": "web", "namespace": _TEAM, "labels": {"by": "hand"}}}
    cluster.patch({"apiVersion": "apps/v1", "kind": "Deployment", **scaled})
    time.sleep(_QUIET)
    before = there()
    assert before["spec"]["replicas"] == 3
    stage = pipeline("stage", {"image": "registry.example.org/stage:v1"})
    cluster.apply(_composition(when="request.spec.size == 2", pipelines=[stage]))
    request.until("WorkflowCompleted", "False", reason="Running", timeout=60)
    eventually("the Job is composed", lambda: cluster.list("batch/v1", "Job", _TEAM), timeout=60, show=request.seen)
    time.sleep(_QUIET)
    after = there()
    assert request.condition("Synced")["status"] == "True"
    assert request.condition("Delivered")["reason"] == "Held"
    assert (after["spec"], _cores(after)) == (before["spec"], _cores(before))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    request.delete()
