"""Delete pipelines in real containers: a real core, the bridge beside it with the shipped roles, and a node for the Jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridging import (
    COMPOSITION,
    SLOW,
    BridgeProcess,
    crossplane_cluster,
    documents,
    install_crossplane,
    install_platform,
    kubeconfig,
    logic,
    status,
    until,
)
from developer import Request, namespace, pipeline

import promises
from function.api import names
from testbed import image
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

Manifest = dict[str, Any]

_LONG = 180.0  # a kubelet waits longer before each new try
_SITE = "here"
_TEAM = "team-disks"
_API = "xp.caches.example.org/v1alpha1"
_XRD = "disks.xp.caches.example.org"
_STAGE = "localhost/e2e/unprovision:1"
# Two tries fail. What is in a volume is still there when a pod's container is started again.
_UNPROVISION = """#!/bin/sh
set -eu
echo >> /kratix/metadata/tries
test "$(wc -l < /kratix/metadata/tries)" -ge 3
grep -q "name: first" /kratix/input/object.yaml
"""
_GOODBYE = """
import pathlib
told = pathlib.Path("/kratix/input/object.yaml").read_text()
if "e2e.example.org/released" not in told:
    control = "retryAfter: 2s\\nmessage: nobody has released it\\n"
    pathlib.Path("/kratix/metadata/workflow-control.yaml").write_text(control)
"""


@pytest.fixture(scope="module")
def cluster(pipelines: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster, folder = pipelines.plane.cluster, tmp_path_factory.mktemp("bridge")
    pipelines.node.load(image.shell(_STAGE, {"/bin/unprovision": _UNPROVISION}, entrypoint=["/bin/unprovision"]))
    pipelines.kratix.install_api()
    install_platform(cluster)
    install_crossplane(cluster)
    cluster.apply(namespace(_TEAM), *documents("deletions.yaml"))
    process = BridgeProcess(folder / "kubeconfig", folder)
    process.kubeconfig.write_text(kubeconfig(pipelines.plane), encoding="utf-8")
    process.start()
    try:
        cluster.apply(crossplane_cluster(_SITE, inCluster={}, deletions={"image": image.OURS}))
        until(cluster, _SITE, "Reachable", "True")
        yield cluster
    finally:
        process.kill()


def test_delete_pipelines_run_in_containers_before_an_xr_goes(cluster: Cluster):
    pipelines = [
        pipeline("unprovision", {"image": _STAGE}),
        pipeline("goodbye", {"image": image.OURS, "command": ["python", "-c", _GOODBYE]}),
    ]
    promise = promises.promise(
        "disk",
        labels={"bridge.kratix.io/publish": "true"},
        api=promises.api(kind="Disk"),
        workflows={"resource": {"delete": pipelines}},
    )
    cluster.apply(logic("disk", "made"), promise)
    eventually(
        "Disks are published",
        lambda: cluster.get(*COMPOSITION, _XRD) and cluster.serves(_API, "Disk"),
        timeout=SLOW,
        show=lambda: status(cluster, _SITE),
    )
    metadata = {"name": "first", "namespace": _TEAM}
    disk = Request(cluster, {"apiVersion": _API, "kind": "Disk", "metadata": metadata, "spec": {"size": "1Gi"}})
    disk.until("Ready", "True", timeout=SLOW)
    eventually("it is held", lambda: names.DELETE_FINALIZER in str(disk.seen()["metadata"]), timeout=SLOW)

    disk.delete()
    waits = disk.until("DeleteWorkflowCompleted", "False", timeout=_LONG, reason="WaitingToRetry")
    assert "nobody has released it" in waits["message"]
    assert _tries(cluster, "unprovision") == 3, "the first pipeline failed twice, and the second waited for it"
    assert cluster.get("v1", "ConfigMap", "disk-first", _TEAM), (
        "what was made for it stays until the pipelines are through"
    )

    metadata = {**metadata, "annotations": {"e2e.example.org/released": "yes"}}
    cluster.patch({"apiVersion": _API, "kind": "Disk", "metadata": metadata})
    eventually("it is gone", lambda: not disk.seen(), timeout=_LONG, show=lambda: disk.seen().get("status"))
    eventually("so is all that ran", lambda: not _left(cluster), timeout=SLOW, show=lambda: _left(cluster))


def _tries(cluster: Cluster, pipeline: str) -> int:
    """How often the containers of a pipeline's pod were started."""
    [pod] = [p for p in cluster.list("v1", "Pod", _TEAM) if f"-{pipeline}-" in p["metadata"]["name"]]
    every = [*pod["status"].get("initContainerStatuses", ()), *pod["status"]["containerStatuses"]]
    return 1 + max(int(each["restartCount"]) for each in every)


def _left(cluster: Cluster) -> list[str]:
    kinds = (("batch/v1", "Job"), ("v1", "ServiceAccount"), ("v1", "ConfigMap"), ("v1", "Pod"))
    kept = {"kube-root-ca.crt", "default"}
    found = [(kind, each["metadata"]["name"]) for api, kind in kinds for each in cluster.list(api, kind, _TEAM)]
    return [f"{kind} {name}" for kind, name in found if name not in kept]
