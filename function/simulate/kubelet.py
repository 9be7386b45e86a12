"""Kubernetes' part in a pipeline as a function: Jobs start and end, writers store what was put out, pods wait.

What a Job's containers would do is said by a `Containers`: a script in a test, local commands for `simulate`. The rest
follows pkg/controller/job (conditions and counts) and the garbage collector (what a Job owns goes with it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from function import runs
from function.api import names, output
from function.api.output import Output
from function.model import JsonObject, lookup, objects
from function.simulate.cluster import Cluster, Ref, conditioned

JOB = "batch/v1"


@dataclass(frozen=True, slots=True)
class Wrote:
    """The containers ended well, with this output."""

    output: Output


@dataclass(frozen=True, slots=True)
class Refused:
    """They ended well, and the writer does not take what they left behind."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The Job is given up: `reason` is that of its condition Failed."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A container cannot start: `reason` is what its pod waits for."""

    container: str
    reason: str
    message: str = ""


Outcome = Wrote | Refused | Failed | Stuck
Containers = Callable[[JsonObject, Cluster], Outcome | None]
"""What became of a Job's containers so far; None while they run."""


def never(_: JsonObject, __: Cluster) -> Outcome | None:
    """Containers that never end."""
    return None


def reconcile(cluster: Cluster, containers: Containers, now: datetime) -> Cluster:
    """Let every Job go on, and collect what belongs to Jobs that are gone."""
    cluster = _collected(cluster)
    for job in cluster.matching(JOB, "Job"):
        if runs.ended(job) is None:
            cluster = _gone_on(job, cluster, containers, now)
    return cluster


def _collected(cluster: Cluster) -> Cluster:
    alive = {lookup(job, "metadata", "uid") for job in cluster.matching(JOB, "Job")}
    gone = [
        Ref.of(body)
        for kind in ("ConfigMap", "Pod")
        for body in cluster.matching("v1", kind)
        for owner in objects(lookup(body, "metadata", "ownerReferences"))
        if owner.get("kind") == "Job" and owner.get("uid") not in alive
    ]
    return cluster.lacking(*gone)


def _gone_on(job: JsonObject, cluster: Cluster, containers: Containers, now: datetime) -> Cluster:
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"active": 1, "ready": 0, "startTime": at, **(lookup(job, "status") or {})}
    if lookup(job, "spec", "suspend") is True:
        stopped: JsonObject = {
            "type": "Suspended",
            "status": "True",
            "reason": "JobSuspended",
            "lastTransitionTime": at,
        }
        conditions = conditioned(status.get("conditions"), stopped)
        cluster = cluster.lacking(*(Ref.of(pod) for pod in _pods(job, cluster)))
        return cluster.having({**job, "status": {**status, "active": 0, "conditions": conditions}})
    became = containers(job, cluster)
    if isinstance(became, Stuck):
        cluster = cluster.having(_waiting_pod(job, became))
    elif became is not None:
        cluster = cluster.lacking(*(Ref.of(pod) for pod in _pods(job, cluster)))
        failure = became if isinstance(became, Failed) else None
        cluster = cluster.having(*_stored(job, became))
        status |= {"active": 0}
        status |= {"failed": _failures(job, failure)} if failure else {"succeeded": 1, "completionTime": at}
        status["conditions"] = conditioned(status.get("conditions"), _condition(failure, at))
    return cluster.having({**job, "status": status})


def _failures(job: JsonObject, failed: Failed) -> int:
    limit = lookup(job, "spec", "backoffLimit")
    return (limit if isinstance(limit, int) else 6) + 1 if failed.reason == "BackoffLimitExceeded" else 1


def _condition(failed: Failed | None, at: str) -> JsonObject:
    if failed is None:
        return {"type": "Complete", "status": "True", "lastTransitionTime": at}
    said = {"reason": failed.reason, **({"message": failed.message} if failed.message else {})}
    return {"type": "Failed", "status": "True", "lastTransitionTime": at, **said}


def _stored(job: JsonObject, became: Outcome) -> tuple[JsonObject, ...]:
    """The ConfigMaps that the writer would make, by its own code."""
    env = _writer_environment(job)
    owner = output.Owner(
        namespace=str(lookup(job, "metadata", "namespace")),
        run=env[names.ENV_RUN],
        uid=str(lookup(job, "metadata", "uid")),
        output_of=env[names.ENV_OUTPUT_OF],
    )
    if isinstance(became, Refused):
        return (output.refusal(owner, became.sentence),)
    if not isinstance(became, Wrote):
        return ()
    try:
        return output.config_maps(owner, became.output)
    except output.OutputError as error:
        return (output.refusal(owner, str(error)),)


def _writer_environment(job: JsonObject) -> Mapping[str, str]:
    (writer,) = objects(lookup(job, "spec", "template", "spec", "containers"))
    return {str(v["name"]): str(v.get("value", "")) for v in objects(writer.get("env"))}


def _pods(job: JsonObject, cluster: Cluster) -> list[JsonObject]:
    uid = lookup(job, "metadata", "uid")
    return [
        pod
        for pod in cluster.matching("v1", "Pod")
        if any(owner.get("uid") == uid for owner in objects(lookup(pod, "metadata", "ownerReferences")))
    ]


def _waiting_pod(job: JsonObject, stuck: Stuck) -> JsonObject:
    ref = Ref.of(job)
    template = lookup(job, "spec", "template") or {}
    containers = {str(c["name"]): str(c["image"]) for c in objects(lookup(template, "spec", "initContainers"))}
    waiting: dict[str, Any] = {"reason": stuck.reason, **({"message": stuck.message} if stuck.message else {})}
    status = {"name": stuck.container, "image": containers[stuck.container], "state": {"waiting": waiting}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{ref.name}-pod",
            "namespace": ref.namespace,
            "labels": dict(lookup(template, "metadata", "labels") or {}),
            "ownerReferences": [
                {"apiVersion": JOB, "kind": "Job", "name": ref.name, "uid": lookup(job, "metadata", "uid")}
            ],
        },
        "spec": template.get("spec", {}),
        "status": {"phase": "Pending", "initContainerStatuses": [status]},
    }
