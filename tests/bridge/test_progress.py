"""How far a request is that is under way: `kratix-crossplane status` and the page say what the function waits for."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import shown
from bridgeworld import CACHES
from fakeapi import FakeApi
from mirrorworld import CREATING, READY, REQUESTS, SYNCED
from shown import condition, platform
from test_status import PATIENCE, following, ran
from uiworld import ALICE, page

from bridge.status import judge, kept, model
from function.api import names

Manifest = dict[str, Any]
Put = Callable[..., None]

KINDS = (*shown.KINDS, CACHES)
BEING_MADE = "it is being made: Unready resources: database"
UNREADY = condition("Ready", "False", "Creating", "Unready resources: database")
PASSED = condition("ChecksPassed", reason="Passed", message="every gate passed: billing")
COMPLETED = condition("WorkflowCompleted", reason="Completed", message="every pipeline succeeded")
PLACED = condition("Scheduled", reason="AllPlaced", message="dev: the only one with env=dev")


def runs(number: int) -> Manifest:
    """What the function says while a pipeline runs (function/steer.py)."""
    message = f"pipeline {('validate', 'configure')[number - 1]} runs ({number} of 2)"
    return condition("WorkflowCompleted", "False", "Running", message)


def waiting(*types: str, on: str) -> list[Manifest]:
    return [condition(type_, "Unknown", "NotReached", f"waits for {on}") for type_ in types]


# What an XR under way says of itself, and which of it is shown; None: what its Ready says.
STAGES: dict[str, tuple[Sequence[Manifest], str | None]] = {
    "nothing is read yet": (
        waiting(*names.CONDITIONS, on="the objects that it reads"),
        "ChecksPassed: waits for the objects that it reads",
    ),
    "a pipeline runs": (
        [PASSED, runs(1), *waiting("Scheduled", "Delivered", on="WorkflowCompleted")],
        "WorkflowCompleted: pipeline validate runs (1 of 2)",
    ),
    "a pipeline runs again, and what it made before is still there": (
        [PASSED, runs(2), PLACED, condition("Delivered", "False", "Held", "kept as it was, not all delivered")],
        "WorkflowCompleted: pipeline configure runs (2 of 2)",
    ),
    "Kratix chooses": (
        [PASSED, COMPLETED, condition("Scheduled", "False", "WaitingForKratix", "Kratix has not placed: .")],
        "Scheduled: Kratix has not placed: .",
    ),
    "it is on its way": (
        [PASSED, COMPLETED, PLACED, condition("Delivered", "False", "Delivering", "dev has not all yet")],
        "Delivered: dev has not all yet",
    ),
    "a reason alone": (
        [PASSED, COMPLETED, PLACED, condition("Delivered", "False", "Delivering")],
        "Delivered: Delivering",
    ),
    "the function has done its part": (
        [PASSED, COMPLETED, PLACED, condition("Delivered", reason="Delivered", message="dev has all")],
        None,
    ),
    "no function of ours": ([], None),
}


def mirror(*conditions: Manifest) -> Manifest:
    """What the bridge says in a request's status of an XR with these conditions."""
    ready = next(each["status"] for each in conditions if each["type"] == "Ready")
    message = "it is ready" if ready == "True" else BEING_MADE
    return {"cluster": "here", "ready": ready, "message": message, "conditions": list(conditions)}


def judged(conditions: Sequence[Manifest], *, mirrored: bool) -> model.Request:
    """What is shown of a request whose XR has these conditions."""
    promise = kept.promise({"metadata": {"name": "cache"}, "spec": {}})
    metadata = {"name": "orders", "namespace": "team-a"}
    request = kept.request({"metadata": metadata, "status": {"crossplane": mirror(*conditions)}})
    xr = kept.xr({"metadata": metadata, "status": {"conditions": list(conditions)}})
    assert xr is not None
    requests, xrs = ({"cache": [request]}, {}) if mirrored else ({}, {("here", "cache"): [xr]})
    [found] = judge.status(judge.Found(promises=[promise], requests=requests, xrs=xrs)).requests
    return found


both = pytest.mark.parametrize("mirrored", [True, False], ids=["mirrored", "an XR"])


@both
@pytest.mark.parametrize("name", STAGES)
def test_the_first_that_is_waited_for(name: str, mirrored: bool):
    own, said = STAGES[name]
    expected = said or (BEING_MADE if mirrored else UNREADY["message"])
    # Whoever writes conditions may write them in any order.
    for conditions in ([SYNCED, UNREADY, *own], [*reversed(own), UNREADY, SYNCED]):
        found = judged(conditions, mirrored=mirrored)
        assert (found.state, found.message) == ("UnderWay", expected)


@both
def test_what_is_ready_waits_for_nothing(mirrored: bool):
    """A new run may be under way: what is delivered stays until it has succeeded."""
    found = judged([READY, PASSED, runs(2)], mirrored=mirrored)
    assert (found.state, found.message) == ("Ready", "it is ready" if mirrored else "Available")


def beside(api: FakeApi) -> None:
    """Crossplane beside Kratix, with a Promise that is published there; its requests are XRs."""
    shown.site(api, "here", shown.said(published=shown.published("cache")), inCluster={})
    shown.promise(api, "cache")


def fleet(api: FakeApi) -> None:
    """A Crossplane cluster, with a Promise whose requests are mirrored there."""
    shown.site(api, "here", shown.said(published=shown.published("cache")))
    shown.promise(api, "cache", mirror=True)


def put_xr(api: FakeApi, *conditions: Manifest) -> None:
    api.put(CACHES, "orders", "team-a", spec={}, status={"conditions": list(conditions)})


def put_request(api: FakeApi, *conditions: Manifest) -> None:
    api.put(REQUESTS, "orders", "team-a", spec={}, status={"crossplane": mirror(*conditions)})


# How it is filled, how a request is put there, and what it is asked with.
PLATFORMS: dict[str, tuple[Callable[[FakeApi], None], Put, tuple[str, ...]]] = {
    "XRs": (beside, put_xr, ("--xrs",)),
    "mirrored requests": (fleet, put_request, ()),
}
everywhere = pytest.mark.parametrize("which", PLATFORMS)


@everywhere
def test_for_people_and_for_machines(
    which: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("COLUMNS", "120")
    fill, put, flags = PLATFORMS[which]
    with platform(fill, kinds=KINDS) as api:
        put(api, CREATING, PASSED, runs(1))
        code, text, err = ran(capsys, api, tmp_path, *flags)
        assert (code, err) == (0, ""), "it goes on by itself"
        found = json.loads(ran(capsys, api, tmp_path, *flags, "-o", "json")[1])
    line = "·  Cache  team-a/orders  here     False  WorkflowCompleted: pipeline validate runs (1 of 2)"
    assert line in [each.strip() for each in text.splitlines()], text
    [request] = found["requests"]
    assert (request["state"], request["message"]) == ("UnderWay", "WorkflowCompleted: pipeline validate runs (1 of 2)")
    assert found["stuck"] == []


# An XR's conditions one after the other, and what is said of each.
COURSE: Sequence[tuple[Sequence[Manifest], str, str]] = (
    ((CREATING, PASSED, runs(1)), "UnderWay", "WorkflowCompleted: pipeline validate runs (1 of 2)"),
    ((CREATING, PASSED, runs(2)), "UnderWay", "WorkflowCompleted: pipeline configure runs (2 of 2)"),
    ((READY, PASSED, COMPLETED), "Ready", ""),
)


@everywhere
@pytest.mark.parametrize("output", ["text", "json"])
def test_it_is_followed(which: str, output: str, tmp_path: Path):
    fill, put, flags = PLATFORMS[which]
    with platform(fill, kinds=KINDS) as api:
        put(api, *COURSE[0][0])
        process = following(api, tmp_path, *flags, "-o", output)
        assert process.stdout is not None
        try:
            for conditions, state, message in COURSE:
                put(api, *conditions)  # the first is there already, and is no change
                if output == "json":
                    [request] = json.loads(process.stdout.readline())["requests"]
                    assert request["state"] == state
                    assert message in request["message"]
                else:
                    said = message or "1 request ready"
                    assert any(said in line.decode() for line in iter(process.stdout.readline, b"")), said
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@everywhere
def test_the_page_follows_it(which: str):
    fill, put, _ = PLATFORMS[which]
    with platform(fill, kinds=KINDS) as api, page(api) as served:
        tag = ""
        for conditions, state, message in COURSE:
            put(api, *conditions)
            status, headers, body = served.get("/ui/status.json", {**ALICE, "If-None-Match": tag, "Prefer": "wait=60"})
            tag = headers["etag"]
            assert status == 200
            [request] = json.loads(body)["requests"]
            assert request["state"] == state
            assert message in request["message"]
