"""Two Promises in one pipeline, through the real core: the XR comes to rest, though the two say different things."""

from __future__ import annotations

import time
from typing import Any

import pytest
from developer import Manifest, Request, namespace, open_xrd

from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_TEAM = "team-pairs"
_GROUP = "pairs.example.org"
_QUIET = 8.0  # seconds


def _step(promise: str, **more: Any) -> Manifest:
    given = {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "promise": {"name": promise, "spec": {}},
        "deliver": {"as": "Composed"},
    }
    return {"step": promise, "functionRef": {"name": "function-kratix"}, "input": {**given, **more}}


_XRD = open_xrd(_GROUP, "Pair", "pairs")
_COMPOSITION = {
    "apiVersion": "apiextensions.crossplane.io/v1",
    "kind": "Composition",
    "metadata": {"name": "pairs"},
    "spec": {
        "compositeTypeRef": {"apiVersion": f"{_GROUP}/v1", "kind": "Pair"},
        "mode": "Pipeline",
        "pipeline": [
            _step("audit", checks=[{"name": "no", "expression": "request.spec.size < 3", "message": "too large"}]),
            _step("billing"),
        ],
    },
}


@pytest.fixture(scope="module")
def crossplane(beds: Any) -> Testbed:
    found: Testbed = beds.get("crossplane")
    return found


def test_the_xr_comes_to_rest(crossplane: Testbed):
    cluster = crossplane.plane.cluster
    cluster.apply(namespace(_TEAM), _XRD, _COMPOSITION)
    eventually("the XRD's API is served", lambda: cluster.serves(f"{_GROUP}/v1", "Pair"), timeout=60)
    metadata = {"name": "one", "namespace": _TEAM}
    request = Request(
        cluster, {"apiVersion": f"{_GROUP}/v1", "kind": "Pair", "metadata": metadata, "spec": {"size": 5}}
    )
    request.until("ChecksPassed", "False", reason="Denied", timeout=60)
    request.until("billing.ChecksPassed", "True", reason="NoChecks", timeout=60)
    time.sleep(_QUIET)
    before, said = request.seen(), _denials(cluster)
    assert said, "it is told"
    time.sleep(_QUIET)
    after = request.seen()
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["status"]["kratix"]["promise"]["name"] == "audit"
    assert after["status"]["kratix"]["steps"]["billing"]["promise"]["name"] == "billing"
    # Not how often: core may reconcile once more before its cache shows what it has written (seen on busy machines).
    assert _denials(cluster) == said
    request.apply({"apiVersion": f"{_GROUP}/v1", "kind": "Pair", "metadata": metadata, "spec": {"size": 2}})
    request.until("ChecksPassed", "True", reason="Passed", timeout=60)
    request.until("Ready", "True", timeout=60)
    request.delete()


def _denials(cluster: Cluster) -> list[int]:
    """How often each event of a denial was told."""
    return [event["count"] for event in cluster.list("v1", "Event", _TEAM) if event["reason"] == "Denied"]
