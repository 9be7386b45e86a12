"""A beacon changes with what comes back to its request, and stands still otherwise: each change has core call again."""

from __future__ import annotations

from typing import Any

import pytest

import build
from function.api import names
from function.fn import run

_READY = {"type": "Ready", "status": "True", "reason": "Available", "lastTransitionTime": "2026-11-28T04:21:43Z"}
_STATUS = {"conditions": [_READY], "endpoint": "db.example.org"}


def beacon(status: object) -> dict[str, Any]:
    """The beacon of an XR that mirrors a request and has that status."""
    body = build.xr(status=status)
    body["metadata"]["labels"][names.MIRRORS_LABEL] = "true"
    rsp = run(build.resolved(build.request(body)))
    assert not build.fatal(rsp)
    return build.composed(rsp)[f"postgresql{names.BEACON_KEY}"]


OTHERS = {
    "since when a condition is so": {
        **_STATUS,
        "conditions": [{**_READY, "lastTransitionTime": "2026-11-28T04:25:13Z"}],
    },
    "a condition's status": {**_STATUS, "conditions": [{**_READY, "status": "False"}]},
    "its reason": {**_STATUS, "conditions": [{**_READY, "reason": "Creating"}]},
    "one more": {**_STATUS, "conditions": [_READY, {**_READY, "type": "Synced"}]},
    "none": {**_STATUS, "conditions": []},
    "a field": {**_STATUS, "endpoint": "other.example.org"},
    "no status": {},
}


def test_it_stands_still_where_the_function_says_something_for_itself() -> None:
    assert beacon({**_STATUS, "kratix": {"placements": []}}) == beacon(_STATUS)


@pytest.mark.parametrize("name", OTHERS)
def test_it_changes(name: str) -> None:
    assert beacon(OTHERS[name]) != beacon(_STATUS)


@pytest.mark.parametrize(
    "status", ["text", {"conditions": "text"}, {"conditions": ["text", 1]}, {"conditions": {"a": 1}}]
)
def test_a_status_that_is_none_is_no_obstacle(status: object) -> None:
    assert beacon(status)["data"]["digest"]
