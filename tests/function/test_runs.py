"""What Jobs and pods say of a run, in words that stay the same while nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from function import runs

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
    assert runs._obstacle(JOB, [pod(case.pod)]) == case.sentence, case.reason
    stranger = {**pod(case.pod), "metadata": {"ownerReferences": [{"kind": "Job", "uid": "another"}]}}
    assert runs._obstacle(JOB, [stranger]) == "", "another Job's pod says nothing of this one"


def test_a_job_that_a_queue_holds_back() -> None:
    assert runs._obstacle({**JOB, "spec": {"suspend": True}}, []) == "its Job is suspended"


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
    assert runs._failure({**JOB, "status": {"failed": 3}}, condition) == sentence
