"""`whenMisplaced: Move` (rule 1): what a group leaves goes once all of it is delivered where it went."""

from __future__ import annotations

from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import BUDGET, PROMISE, answered, changed, delivered

import build
from function.fn import run

MODES = ("WorkPlacement", "Object")
DONE = [{"type": t, "status": "True"} for t in ("Synced", "Ready", "WriteSucceeded")]


def inventory(*matching: str) -> list[dict[str, Any]]:
    """Two Destinations, of which these match."""
    workers = [build.destination(f"w{i}", {"environment": "dev" if f"w{i}" in matching else "old"}) for i in (1, 2)]
    return [PROMISE, BUDGET, *workers]


def on_first(mode: str, **more: Any) -> fnv1.RunFunctionRequest:
    return delivered(mode, inventory("w1"), schedule={"whenMisplaced": "Move"}, **more)


def where(rsp: fnv1.RunFunctionResponse) -> list[str]:
    return [m["metadata"]["labels"]["kratix.fn.crossplane.io/destination"] for m in build.composed(rsp).values()]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("left", [inventory("w2"), [o for o in inventory("w2") if o["metadata"]["name"] != "w1"]])
def test_what_it_leaves_goes_once_it_is_delivered_where_it_went(mode: str, left: list[dict[str, Any]]) -> None:
    """Whether the old Destination does not match any more, or is gone."""
    before = on_first(mode)
    first = run(answered(before, left))
    assert where(first) == ["w1", "w2"]
    old, kept = build.composed(run(before)), build.composed(first)
    assert all(kept[key]["spec"] == manifest["spec"] for key, manifest in old.items()), "as it was"
    assert build.conditions(first)["Scheduled"] == ("True", "AllPlaced")

    applied = build.applied(before, first)
    again = run(answered(applied, left))
    assert where(again) == ["w1", "w2"], "it is applied, but not delivered"
    assert build.conditions(again)["Delivered"] == ("False", "Delivering")

    final = run(answered(build.applied(applied, again, status={"conditions": DONE}), left))
    assert where(final) == ["w2"]
    assert build.conditions(final)["Delivered"] == ("True", "Delivered")


@pytest.mark.parametrize("mode", MODES)
def test_a_place_that_it_leaves_is_left_though_it_matches_again(mode: str) -> None:
    """Else a request would be on two Destinations for good."""
    before = on_first(mode)
    first = run(answered(before, inventory("w2")))
    after = build.applied(before, first)
    second = run(answered(after, inventory("w1", "w2")))
    assert where(second) == ["w1", "w2"]
    final = run(answered(build.applied(after, second, status={"conditions": DONE}), inventory("w1", "w2")))
    assert where(final) == ["w2"]


@pytest.mark.parametrize("mode", MODES)
def test_it_can_go_back_before_it_has_arrived(mode: str) -> None:
    before = on_first(mode)
    after = build.applied(before, run(answered(before, inventory("w2"))))
    back = run(answered(after, inventory("w1")))
    assert where(back) == ["w1", "w2"]
    final = run(answered(build.applied(after, back, status={"conditions": DONE}), inventory("w1")))
    assert where(final) == ["w1"]
    assert build.composed(final) == build.composed(run(before)), "as if nothing had been"


@pytest.mark.parametrize("mode", MODES)
def test_what_it_leaves_is_held_while_a_gate_denies(mode: str) -> None:
    before = on_first(mode)
    after = build.applied(before, run(answered(before, inventory("w2"))))
    denied = run(changed(answered(after, inventory("w2")), size=500))
    assert where(denied) == ["w1", "w2"]
    assert where(run(answered(build.applied(after, denied), inventory("w1", "w2")))) == ["w1", "w2"]


@pytest.mark.parametrize("mode", MODES)
def test_a_directory_that_is_no_more_goes_at_once(mode: str) -> None:
    """Nothing takes its place: only what moved is kept."""
    two = [build.config_map("claim"), build.config_map("backup", directory="app")]
    selectors = [{"directory": "app", "matchLabels": {"environment": "dev"}}]
    schedule = {"whenMisplaced": "Move", "selectors": selectors}
    before = delivered(mode, inventory("w1"), schedule=schedule, documents=two)
    moved = build.applied(before, run(answered(before, inventory("w2"))))
    del moved.input["documents"][1]
    assert len(where(run(answered(moved, inventory("w2"))))) == 2
