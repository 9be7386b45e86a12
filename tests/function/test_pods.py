"""What Jobs and pods say of a run, in words that stay the same while nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from function import pods

JOB = {"metadata": {"uid": "u"}, "spec": {"activeDeadlineSeconds": 1800}, "status": {}}


def pod(status: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": {"ownerReferences": [{"kind": "Job", "uid": "u"}]}, "status": {"phase": "Pending", **status}}


def container(state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "run", "image": "registry.example.org/a:v1", "state": state, **more}


@dataclass(frozen=True)
class Case:
    reason: str
    sentence: str
    pod: Mapping[str, Any] = field(default_factory=dict)


OBSTACLES = {
    "running": Case(
        "a container that runs is no obstacle", "", {"initContainerStatuses": [container({"running": {}})]}
    ),
    "starting": Case(
        "nor one that is made", "", {"containerStatuses": [container({"waiting": {"reason": "PodInitializing"}})]}
    ),
    "pull": Case(
        "an image that cannot be pulled",
        "container run cannot start: image registry.example.org/a:v1 cannot be pulled",
        {
            "initContainerStatuses": [
                container({"waiting": {"reason": "ErrImagePull", "message": "rpc error at 12:00"}})
            ]
        },
    ),
    "pull-backoff": Case(
        "is the same while the kubelet waits to try again",
        "container run cannot start: image registry.example.org/a:v1 cannot be pulled",
        {"initContainerStatuses": [container({"waiting": {"reason": "ImagePullBackOff"}})]},
    ),
    "config": Case(
        "a Secret that is not there",
        'container run cannot start: secret "s" not found',
        {
            "initContainerStatuses": [
                container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s"\nnot found'}})
            ]
        },
    ),
    "crash": Case(
        "a container that is tried again",
        "container run ended with code 3 and is tried again",
        {
            "initContainerStatuses": [
                container({"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 3}})
            ]
        },
    ),
    "unschedulable": Case(
        "no node",
        "no node takes its pod",
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_why_a_pod_cannot_go_on(name: str) -> None:
    case = OBSTACLES[name]
    assert pods.obstacle(JOB, [pod(case.pod)]) == case.sentence, case.reason
    stranger = {**pod(case.pod), "metadata": {"ownerReferences": [{"kind": "Job", "uid": "another"}]}}
    assert pods.obstacle(JOB, [stranger]) == "", "another Job's pod says nothing of this one"


def test_a_job_that_a_queue_holds_back() -> None:
    assert pods.obstacle({**JOB, "spec": {"suspend": True}}, []) == "its Job is suspended"


FAILURES = {
    "backoff": (
        {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"},
        "its containers failed 3 times (BackoffLimitExceeded)",
    ),
    "deadline": (
        {"reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"},
        "it did not end within 1800 s (DeadlineExceeded)",
    ),
    "policy": (
        {"reason": "PodFailurePolicy", "message": "Container work-writer for pod a/b failed with exit code 65"},
        "PodFailurePolicy: Container work-writer for pod a/b failed with exit code 65",
    ),
    "unknown": ({"reason": "Evil"}, "Evil"),
    "none": ({}, "its Job failed"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_why_a_job_failed(name: str) -> None:
    condition, sentence = FAILURES[name]
    assert pods.failure({**JOB, "status": {"failed": 3}}, condition, []) == sentence


BACKOFF = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}


def _job(failed: int) -> dict[str, Any]:
    return {"metadata": {"uid": "job-1"}, "spec": {}, "status": {"failed": failed}}


def _pod(owner: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"ownerReferences": [{"uid": owner}]}, "status": status}


def _terminated(name: str, code: int, reason: str = "Error") -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason}}}


ENDED: dict[str, tuple[int, list[dict[str, Any]], str]] = {
    "the container is named, not the ones before it": (
        1,
        [_pod("job-1", initContainerStatuses=[_terminated("reader", 0, "Completed"), _terminated("shell", 3)])],
        "container shell ended with code 3 (BackoffLimitExceeded)",
    ),
    "what killed it is said, and how often it was tried": (
        7,
        [_pod("job-1", initContainerStatuses=[_terminated("scan", 137, "OOMKilled")])],
        "container scan ended with code 137 (OOMKilled), 7 times (BackoffLimitExceeded)",
    ),
    "a container that was started again has it in its last state": (
        1,
        [_pod("job-1", containerStatuses=[{"name": "work-writer", "lastState": {"terminated": {"exitCode": 1}}}])],
        "container work-writer ended with code 1 (BackoffLimitExceeded)",
    ),
    "pods of another Job say nothing of this one": (
        2,
        [_pod("job-2", initContainerStatuses=[_terminated("shell", 3)])],
        "its containers failed 2 times (BackoffLimitExceeded)",
    ),
    "pods that are gone": (1, [], "its containers failed 1 time (BackoffLimitExceeded)"),
}


@pytest.mark.parametrize("name", ENDED)
def test_which_container_failed_and_how(name: str) -> None:
    failed, found, said = ENDED[name]
    assert pods.failure(_job(failed), BACKOFF, found) == said, name
