"""What Jobs and their pods say: why one failed, or cannot go on, in words that stay the same while nothing changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from function.api.errors import shorten
from function.model import JsonObject, Seen, lookup, objects

_CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable")
_CANNOT_START = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def failure(job: JsonObject, condition: JsonObject, pods: Sequence[JsonObject]) -> str:
    """Why a Job failed, from its condition (Kubernetes, pkg/controller/job: the reasons of Failed)."""
    reason = str(condition.get("reason") or "")
    if reason == "BackoffLimitExceeded":
        failed = lookup(job, "status", "failed")
        tries = f" {failed} time{'s' if failed != 1 else ''}" if isinstance(failed, int) else ""
        if ended := _ended(job, pods):
            return f"{ended}{f',{tries}' if failed != 1 else ''} ({reason})"
        return f"its containers failed{tries} ({reason})"
    if reason == "DeadlineExceeded":
        limit = lookup(job, "spec", "activeDeadlineSeconds")
        return f"it did not end within {limit} s ({reason})"
    message = line(str(condition.get("message") or ""))
    if reason == "ContainerFailed":  # what `simulate` says, where a container runs once
        return message
    return f"{reason or 'Failed'}: {message}" if message else reason or "its Job failed"


def obstacle(job: JsonObject, pods: Sequence[JsonObject]) -> str:
    """Why a Job's pod cannot go on, in words that stay the same while Kubernetes tries again."""
    for pod in owned(lookup(job, "metadata", "uid"), pods):
        for sentence in _pod_obstacles(pod):
            return sentence
    return "its Job is suspended" if lookup(job, "spec", "suspend") is True else ""


def _pod_obstacles(pod: JsonObject) -> Iterator[str]:
    for key in ("initContainerStatuses", "containerStatuses"):
        for status in objects(lookup(pod, "status", key)):
            name, reason = str(status.get("name")), lookup(status, "state", "waiting", "reason")
            if reason in _CANNOT_PULL:
                yield f"container {name} cannot start: image {shorten(str(status.get('image')), 200)} cannot be pulled"
            elif reason in _CANNOT_START:
                message = line(str(lookup(status, "state", "waiting", "message") or reason))
                yield f"container {name} cannot start: {message}"
            elif reason == "CrashLoopBackOff":
                code = lookup(status, "lastState", "terminated", "exitCode")
                yield f"container {name} ended with code {code} and is tried again"
    for condition in objects(lookup(pod, "status", "conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            yield "no node takes its pod"


def alive(seen: Seen) -> bool:
    """Whether a pod is still at work whose Job is gone: a run must not begin beside it."""
    jobs = {lookup(observed.manifest, "metadata", "uid") for observed in seen.jobs.values()}
    for pod in seen.pods:
        owners = {owner.get("uid") for owner in objects(lookup(pod, "metadata", "ownerReferences"))}
        if lookup(pod, "status", "phase") not in ("Succeeded", "Failed") and owners and not owners & jobs:
            return True
    return False


def owned(uid: object, bodies: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Those that are owned by what has this UID."""
    for body in bodies:
        if any(owner.get("uid") == uid for owner in objects(lookup(body, "metadata", "ownerReferences"))):
            yield body


def _ended(job: JsonObject, pods: Sequence[JsonObject]) -> str:
    """Which container of a Job that failed ended badly, and how; empty where its pods are gone or not read yet."""
    for pod in owned(lookup(job, "metadata", "uid"), pods):
        for key in ("initContainerStatuses", "containerStatuses"):
            for status in objects(lookup(pod, "status", key)):
                ended = lookup(status, "state", "terminated") or lookup(status, "lastState", "terminated")
                code, why = lookup(ended, "exitCode"), lookup(ended, "reason")
                if code:
                    told = f" ({why})" if isinstance(why, str) and why != "Error" else ""
                    return f"container {status.get('name')} ended with code {code}{told}"
    return ""


def line(text: str) -> str:
    """A text as one short line, for a condition."""
    return shorten(" ".join(text[:4096].split()), 512)
