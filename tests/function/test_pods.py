"""What is said of a Job that failed, by what its pods say."""

from __future__ import annotations

from typing import Any

import pytest

from function import pods

_BACKOFF = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}


def _job(failed: int) -> dict[str, Any]:
    return {"metadata": {"uid": "job-1"}, "spec": {}, "status": {"failed": failed}}


def _pod(owner: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"ownerReferences": [{"uid": owner}]}, "status": status}


def _terminated(name: str, code: int, reason: str = "Error") -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason}}}


CASES: dict[str, tuple[int, list[dict[str, Any]], str]] = {
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


@pytest.mark.parametrize("name", CASES)
def test_which_container_failed_and_how(name: str) -> None:
    failed, found, said = CASES[name]
    assert pods.failure(_job(failed), _BACKOFF, found) == said, name
