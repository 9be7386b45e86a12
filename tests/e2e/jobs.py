"""Kratix's Jobs without a node: their containers as processes, Kratix's own work-writer among them.

Kratix makes the Job and reads how it ended; what is between is done here in the Job's own order: the object as the API
server has it, this project's containers, Kratix's work-writer (the program of its adapter image), the status, and the
Job's end as a kubelet and the Job controller would report it.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from developer import Manifest

import service
from testbed import tools
from testbed.cluster import Cluster, eventually
from testbed.versions import KRATIX_ADAPTER

_SLOW = 90.0
_SCHEDULING = "kratix-system/promise-scheduling"


def run(
    cluster: Cluster,
    pipeline: str,
    object_: Mapping[str, Any],
    folder: Path,
    *,
    promise: Manifest = service.PROMISE,
    more: Sequence[str] = (),
) -> service.Ended:
    """Wait for the next Job of a pipeline for an object, and run it to its end.

    Args:
        object_: A request or the Promise, as it was applied.
        folder: Where the containers' folders are made.
        promise: Whose pipeline it is.
        more: Arguments of each container, beside its own.
    """
    kind, name = object_["kind"], object_["metadata"]["name"]
    namespace = object_["metadata"].get("namespace") or "kratix-platform-system"
    labels = f"kratix.io/pipeline-name={pipeline}"
    if kind != "Promise":
        labels = f"{labels},kratix.io/resource-name={name}"

    def waiting() -> Manifest | None:
        found = cluster.list("batch/v1", "Job", namespace, labels=labels)
        # The Job controller has started it: it never changes when a Job began.
        started = [job for job in found if (job.get("status") or {}).get("startTime")]
        return next((job for job in started if not job["status"].get("conditions")), None)

    job: Manifest = eventually(f"Kratix makes a Job for {kind} {name}", waiting, timeout=_SLOW) or {}
    body = cluster.get(object_["apiVersion"], kind, name, object_["metadata"].get("namespace")) or {}
    root = folder / job["metadata"]["name"]
    given = json.loads(json.dumps(body, default=str))
    ended = service.run(pipeline, given, root, kubeconfig=cluster.kubeconfig, promise=promise, more=more)
    delivers = any(c["name"] == "work-writer" for c in pod(job).get("initContainers", ()))  # a deletion does not
    if ended.completed and delivers:
        _write_work(cluster, pod(job), root, namespace)
        if kind != "Promise":  # Kratix keeps of a Promise's status its own fields alone
            status = {"status": ended.status}
            cluster.patch_status({**_reference(object_), **status})
    _end(cluster, job, "Complete" if ended.completed else "Failed")
    return ended


def pod(job: Mapping[str, Any]) -> Manifest:
    """The Job's pod."""
    spec: Manifest = job["spec"]["template"]["spec"]
    return spec


def _reference(object_: Mapping[str, Any]) -> Manifest:
    metadata = {field: object_["metadata"][field] for field in ("name", "namespace") if field in object_["metadata"]}
    return {"apiVersion": object_["apiVersion"], "kind": object_["kind"], "metadata": metadata}


def _write_work(cluster: Cluster, spec: Mapping[str, Any], root: Path, namespace: str) -> None:
    """Kratix's own work-writer, with the arguments that the Job has for it, over the folders that it mounts."""
    [writer] = [c for c in spec["initContainers"] if c["name"] == "work-writer"]
    [scheduling] = [v for v in spec["volumes"] if v["name"] == "promise-scheduling"]
    selectors = cluster.get("v1", "ConfigMap", scheduling["configMap"]["name"], namespace) or {}
    for name, real in (("input", "output"), ("metadata", "metadata")):
        (root / "work" / name).parent.mkdir(exist_ok=True)
        (root / "work" / name).symlink_to(root / real)
    (root / "work" / _SCHEDULING).parent.mkdir(parents=True)
    (root / "work" / _SCHEDULING).write_text(selectors["data"]["destinationSelectors"])
    # Today's Kratix says them apart; that of 2024 has a shell begin the program (api/v1alpha1/pipeline_factory.go).
    told = writer.get("args") or writer["command"][-1].split()[1:]
    arguments = [str(root / "work") if word == "/work-creator-files" else word for word in told]
    done = subprocess.run(
        [tools.find(KRATIX_ADAPTER), *arguments],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _end(cluster: Cluster, job: Mapping[str, Any], type_: str) -> None:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - a kubelet has a clock
    first = "SuccessCriteriaMet" if type_ == "Complete" else "FailureTarget"
    conditions = [
        {"type": kind, "status": "True", "reason": "Ran", "lastProbeTime": now, "lastTransitionTime": now}
        for kind in (first, type_)
    ]
    times = {"completionTime": now, "succeeded": 1} if type_ == "Complete" else {"failed": 1}
    counted = {"uncountedTerminatedPods": {}, "active": 0, "ready": 0, "terminating": 0}
    cluster.patch_status({**_reference(job), "status": {**times, **counted, "conditions": conditions}})
