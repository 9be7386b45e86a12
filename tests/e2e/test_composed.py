"""`deliver.as: Composed` through the real core: what is held is held without taking a field over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from developer import Manifest, Request, namespace, open_xrd, pipeline

from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_TEAM, _OTHER_TEAM = "team-composed", "team-denied"
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
        "checks": [{"name": "small", "expression": "request.spec.size < 9"}],
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


def _shop(team: str, size: int) -> Manifest:
    metadata = {"name": "one", "namespace": team}
    return {"apiVersion": f"{_GROUP}/v1", "kind": "Shop", "metadata": metadata, "spec": {"size": size}}


def _delivered(cluster: Cluster, team: str) -> tuple[Request, Callable[[], Manifest]]:
    """A request of size 1 that is delivered, and a way to its Deployment, which somebody has scaled."""
    cluster.apply(namespace(team), _XRD, _composition(when="request.spec.size < 9", pipelines="None"))
    eventually("the XRD's API is served", lambda: cluster.serves(f"{_GROUP}/v1", "Shop"), timeout=60)
    request = Request(cluster, _shop(team, 1))

    def there() -> Manifest:
        return cluster.get("apps/v1", "Deployment", "web", team) or {}

    eventually("the Deployment is composed", there, timeout=60, show=request.seen)
    scaled = {"spec": {"replicas": 3}, "metadata": {"name": "web", "namespace": team, "labels": {"by": "hand"}}}
    cluster.patch({"apiVersion": "apps/v1", "kind": "Deployment", **scaled})
    time.sleep(_QUIET)
    assert there()["spec"]["replicas"] == 3
    return request, there


def _is_held(before: Manifest, after: Manifest, request: Request) -> None:
    assert request.condition("Synced")["status"] == "True", "nothing else of the pipeline is frozen"
    assert request.condition("Delivered")["reason"] == "Held"
    assert (after["spec"], _cores(after)) == (before["spec"], _cores(before))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_what_is_held_while_a_pipeline_runs_keeps_its_fields_and_their_owners(crossplane: Testbed) -> None:
    cluster = crossplane.plane.cluster
    request, there = _delivered(cluster, _TEAM)
    before = there()
    stage = pipeline("stage", {"image": "registry.example.org/stage:v1"})
    cluster.apply(_composition(when="request.spec.size == 2", pipelines=[stage]))
    request.until("WorkflowCompleted", "False", reason="Running", timeout=60)
    eventually("the Job is composed", lambda: cluster.list("batch/v1", "Job", _TEAM), timeout=60, show=request.seen)
    time.sleep(_QUIET)
    _is_held(before, there(), request)
    request.delete()


def test_what_a_gate_denies_now_keeps_its_fields_and_their_owners(crossplane: Testbed) -> None:
    request, there = _delivered(crossplane.plane.cluster, _OTHER_TEAM)
    before = there()
    request.apply(_shop(_OTHER_TEAM, 9))
    request.until("ChecksPassed", "False", reason="Denied", timeout=60)
    time.sleep(_QUIET)
    _is_held(before, there(), request)
    request.apply(_shop(_OTHER_TEAM, 2))
    request.until("ChecksPassed", "True", timeout=60)

    def size() -> Any:
        return there()["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]

    eventually("it goes on from there", lambda: size() == "2", timeout=60, show=request.seen)
    assert there()["spec"]["replicas"] == 3
    request.delete()
