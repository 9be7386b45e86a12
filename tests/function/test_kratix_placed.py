"""Scheduling that Kratix does itself: what its WorkPlacements say, and what it has not placed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from scheduling import DEV, PROD, ROOT_ID, Labels, root

from build import document
from function import groups, schedule
from function.model import Condition, WorkPlacement

# --- what Kratix placed --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KratixCase:
    """`label`: kratix.io/misplaced; `condition`: the status of ScheduleSucceeded."""

    reason: str
    state: str
    want: str
    label: bool = False
    condition: Any = None
    wanted: Labels = field(default_factory=lambda: DEV)


KRATIX_CASES: dict[str, KratixCase] = {
    "scheduled": KratixCase(
        "scheduler.go, updateWorkPlacementStatus", "Kept", "Kratix chose it with environment=dev", condition="True"
    ),
    "no status yet": KratixCase(
        "scheduler.go, applyWorkplacementsForTargetDestinations: the object is there before its status",
        "Kept",
        "Kratix chose it",
        wanted={},
    ),
    "misplaced": KratixCase(
        "scheduler.go, updateWorkPlacementStatus: ScheduleSucceeded is False, reason DestinationSelectorMismatch",
        "Misplaced",
        "Kratix says that it no longer matches environment=dev; kept there",
        label=True,
        condition="False",
    ),
    "misplaced by label": KratixCase(
        "scheduler.go, updateWorkPlacement: the label is written before the condition",
        "Misplaced",
        "Kratix says that it no longer matches what is asked for; kept there",
        label=True,
        wanted={},
    ),
    "healed": KratixCase(
        "scheduler.go, updateWorkPlacement: the label stays for ever, the condition turns True",
        "Kept",
        "Kratix chose it with environment=dev",
        label=True,
        condition="True",
    ),
}


def work_placement(group_id: str, target: str, *, label: bool = False, condition: Any = None) -> WorkPlacement:
    found = {"ScheduleSucceeded": Condition("ScheduleSucceeded", condition, "Any", "any")} if condition else {}
    return WorkPlacement(f"work.{target}-{group_id[:5]}", group_id, target, 1, label, found, "")


@pytest.mark.parametrize("name", KRATIX_CASES)
def test_what_kratix_says(name: str) -> None:
    case = KRATIX_CASES[name]
    placement = work_placement(ROOT_ID, "dev-1", label=case.label, condition=case.condition)
    got = schedule.kratix_placed((root(case.wanted),), [placement])
    assert [(p.destination, p.state, p.reason) for p in got.placements] == [("dev-1", case.state, case.want)], (
        case.reason
    )
    assert got.unplaced == ()


def test_what_kratix_has_not_placed_yet() -> None:
    files = [document(name) for name in ("app.yaml", "infra/a.yaml", "web/a.yaml")]
    made = groups.of(files, [("infra", PROD), ("web", PROD)], [DEV])
    placements = [work_placement(made[1].id, name) for name in ("b", "a")] + [work_placement("stale", "c")]
    got = schedule.kratix_placed(made, placements)
    assert [(p.directory, p.destination) for p in got.placements] == [("web", "a"), ("web", "b")]
    assert got.unplaced == (
        ("infra", "waiting for Kratix to schedule directory infra to a Destination with environment=prod"),
        (".", "waiting for Kratix to schedule the root to a Destination with environment=dev"),
    )
