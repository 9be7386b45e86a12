"""What earlier steps composed and this one adopts (rule 1): it goes once what takes its place is delivered."""

from __future__ import annotations

from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import WORLD, answered, changed, given, without, written

import build
from function.fn import run

ADOPT = {"names": ["db-*"]}
DATABASE = {"apiVersion": "rds.example.org/v1", "kind": "Instance", "metadata": {"name": "main"}, "spec": {"size": 3}}
DONE = [{"type": t, "status": "True"} for t in ("Synced", "Ready", "WriteSucceeded", "ScheduleSucceeded")]


def adopting(mode: str, objects: list[dict[str, Any]] = WORLD) -> fnv1.RunFunctionRequest:
    """The database was composed by an earlier step, which still composes it; now a step behind it adopts it."""
    wanted = given(mode, adopt=ADOPT, documents=[])
    return build.resolved(build.request(given=wanted, observed={"db-1": DATABASE}, desired={"db-1": DATABASE}), objects)


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object"])
def test_rule_1_what_is_adopted_stays_while_no_destination_takes_it(mode: str) -> None:
    rsp = run(adopting(mode, without("Destination")))
    assert build.conditions(rsp)["Scheduled"][0] == "False"
    assert build.composed(rsp)["db-1"] == DATABASE


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object"])
def test_rule_1_what_is_adopted_goes_once_what_takes_its_place_is_delivered(mode: str) -> None:
    req = adopting(mode)
    rsp = run(req)
    assert len(rsp.desired.resources) == 2, "beside what takes its place"
    assert build.composed(rsp)["db-1"] == DATABASE
    after = build.applied(req, rsp, status={"conditions": DONE})
    final = run(answered(after, [*WORLD, *written(after)]))
    assert build.conditions(final)["Delivered"] == ("True", "Delivered")
    assert "db-1" not in final.desired.resources


@pytest.mark.parametrize("mode", ["Work", "WorkPlacement", "Object"])
def test_rule_1_what_is_adopted_of_a_new_xr_is_never_composed(mode: str) -> None:
    req = adopting(mode)
    del req.observed.resources["db-1"]
    assert "db-1" not in run(req).desired.resources
    assert "db-1" not in run(changed(req, size=500)).desired.resources, "nor while a gate denies"
