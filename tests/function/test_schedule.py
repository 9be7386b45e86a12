"""Scheduling: the table of Kratix's behaviours, each with the place in its source that it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from build import document
from function import cel, groups, schedule
from function.api.destination import Destination
from function.api.errors import InvalidError
from function.api.input import Schedule as Policy
from function.model import Condition, Group, Selector, WorkPlacement

IDENTITY = ("postgresql", "xp.example.org", "Postgres", "team-a", "orders")
ROOT_ID = "5058f1af8388633f609cadb75a75dc9d"
DRY_RUN = {"kratix.io/dry-run": "true"}
PROD = {"environment": "prod"}
DEV = {"environment": "dev"}

Labels = Mapping[str, str]


def destination(name: str, labels: Labels | None = None, **more: Any) -> Destination:
    return Destination(name, labels or {}, **more)


# --- places --------------------------------------------------------------------------------------------------------

DEV_1, DEV_2, DEV_3 = (destination(f"dev-{i}", DEV) for i in (1, 2, 3))
PROD_1 = destination("prod-1", {"environment": "prod", "zone": "eu"})
EVERYWHERE = (DEV_1, DEV_2, DEV_3, PROD_1)


@dataclass(frozen=True)
class Case:
    """One root group that asks for `wanted`; `want`: destination, state and reason of each placement."""

    reason: str
    destinations: Sequence[Destination]
    want: Sequence[tuple[str, str, str]] = ()
    unplaced: str = ""
    wanted: Labels = field(default_factory=lambda: DEV)
    previous: Sequence[str] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    # Kratix: what a Destination takes.
    "the only match": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: all labels must match",
        EVERYWHERE,
        wanted={"environment": "prod", "zone": "eu"},
        want=[("prod-1", "Placed", "the only Destination with environment=prod and zone=eu")],
    ),
    "one of several": Case(
        "scheduler.go, getTargetDestinationNames: a request goes to one of those that match, Kratix's at random",
        EVERYWHERE,
        want=[("dev-1", "Placed", "chosen of 3 Destinations with environment=dev by hash")],
    ),
    "no selector": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: without a selector all Destinations match",
        EVERYWHERE,
        wanted={},
        want=[("dev-1", "Placed", "chosen of 4 Destinations by hash")],
    ),
    "strict without a selector": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: a strict Destination with labels takes nothing that asks for none",
        [destination("strict", DEV, strict_match_labels=True), PROD_1],
        wanted={},
        want=[("prod-1", "Placed", "the only Destination")],
    ),
    "strict without labels": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: a strict Destination without labels takes what asks for none",
        [destination("strict", {}, strict_match_labels=True)],
        wanted={},
        want=[("strict", "Placed", "the only Destination")],
    ),
    "strict and selected": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: strictMatchLabels means nothing once a label is asked for",
        [destination("strict", {**DEV, "zone": "eu"}, strict_match_labels=True)],
        want=[("strict", "Placed", "the only Destination with environment=dev")],
    ),
    "only strict ones": Case(
        "scheduler.go, getDestinationsForWorkloadGroup; the reason says what keeps documents out",
        [destination("a", DEV, strict_match_labels=True), destination("b", DEV, strict_match_labels=True)],
        wanted={},
        unplaced="no Destination takes documents that ask for no label (2 Destinations: 2 with strictMatchLabels)",
    ),
    "dry run not asked for": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: a dry-run Destination takes no normal Work, though its labels match",
        [destination("dry", {**DEV, **DRY_RUN}), DEV_1],
        want=[("dev-1", "Placed", "the only Destination with environment=dev")],
    ),
    "dry run without a selector": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: nor one that asks for nothing",
        [destination("dry", DRY_RUN)],
        wanted={},
        unplaced="no Destination takes documents that ask for no label (1 Destination: 1 for dry runs only)",
    ),
    "dry run asked for": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: dry-run=true in the selector lets dry-run Destinations in",
        [destination("dry", {**DEV, **DRY_RUN}), DEV_1],
        wanted=DRY_RUN,
        want=[("dry", "Placed", "the only Destination with kratix.io/dry-run=true")],
    ),
    "a label that says no dry run": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: only the value true makes a dry-run Destination",
        [destination("wet", {**DEV, "kratix.io/dry-run": "false"})],
        want=[("wet", "Placed", "the only Destination with environment=dev")],
    ),
    "being deleted": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: a Destination with a deletionTimestamp takes nothing",
        [destination("dev-0", DEV, deleting=True), DEV_1],
        want=[("dev-1", "Placed", "the only Destination with environment=dev")],
    ),
    "a name too long for a label": Case(
        "scheduler.go, applyWorkplacementsForTargetDestinations: the name becomes a label's value, which has 63 characters at most",
        [destination("d" * 64, DEV), destination("e" * 63, DEV)],
        want=[("e" * 63, "Placed", "the only Destination with environment=dev")],
    ),
    # Kratix: no match.
    "no Destination": Case(
        "scheduler.go, reconcileWorkloadGroup: without a target the group is unscheduled, not failed",
        [],
        unplaced="there is no Destination; one with environment=dev is needed",
    ),
    "no Destination and no selector": Case(
        "scheduler.go, reconcileWorkloadGroup", [], wanted={}, unplaced="there is no Destination"
    ),
    "no match": Case(
        "scheduler.go, reconcileWorkloadGroup; the reason says which label nobody has",
        EVERYWHERE,
        wanted={"environment": "staging"},
        unplaced="no Destination has environment=staging (4 Destinations: 0 with it)",
    ),
    "no match of several labels": Case(
        "scheduler.go, reconcileWorkloadGroup; the rarest label first, then what comes nearest",
        EVERYWHERE,
        wanted={"environment": "dev", "zone": "eu"},
        unplaced="no Destination has environment=dev and zone=eu "
        "(4 Destinations: 1 with zone=eu, 3 with environment=dev; nearest is dev-1, without zone=eu)",
    ),
    "not one label matches": Case(
        "scheduler.go, reconcileWorkloadGroup; nothing is near",
        [DEV_1],
        wanted={"a": "1", "b": "2"},
        unplaced="no Destination has a=1 and b=2 (1 Destination: 0 with a=1, 0 with b=2)",
    ),
    "matches that take nothing": Case(
        "scheduler.go, getDestinationsForWorkloadGroup; the reason says why those that match do not count",
        [
            destination("dev-0", DEV, deleting=True),
            destination("dry", {**DEV, **DRY_RUN}),
            destination("d" * 64, DEV),
            PROD_1,
        ],
        unplaced="no Destination with environment=dev takes anything new "
        "(4 Destinations: 3 with it, 1 being deleted, 1 for dry runs only, 1 with a name over 63 characters)",
    ),
    # Kratix: sticky.
    "sticky": Case(
        "scheduler.go, reconcileWorkloadGroup: a request that has a placement gets no other",
        EVERYWHERE,
        previous=["dev-2"],
        want=[("dev-2", "Kept", "it was here and still matches")],
    ),
    "misplaced": Case(
        "scheduler.go, updateWorkPlacement: no longer matching is said, and nothing moves",
        EVERYWHERE,
        wanted={"environment": "prod", "zone": "eu"},
        previous=["dev-2"],
        want=[("dev-2", "Misplaced", "it no longer has environment=prod and zone=eu; kept as Kratix does")],
    ),
    "misplaced by one label": Case(
        "scheduler.go, updateWorkPlacement; only what is missing is named",
        [destination("prod-2", PROD), PROD_1],
        wanted={"environment": "prod", "zone": "eu"},
        previous=["prod-2"],
        want=[("prod-2", "Misplaced", "it no longer has zone=eu; kept as Kratix does")],
    ),
    "gone": Case(
        "scheduler.go, updateWorkPlacement: a Destination that is not there does not match; its placement stays",
        [DEV_1],
        previous=["dev-9"],
        want=[("dev-9", "Misplaced", "it is gone; kept as Kratix does")],
    ),
    "nothing left of the inventory": Case(
        "docs/rules.md, rule 1: an empty inventory removes nothing",
        [],
        previous=["dev-1"],
        want=[("dev-1", "Misplaced", "it is gone; kept as Kratix does")],
    ),
    "here and being deleted": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: one that is being deleted does not match any more",
        [destination("dev-1", DEV, deleting=True), DEV_2],
        previous=["dev-1"],
        want=[("dev-1", "Misplaced", "it is being deleted; kept as Kratix does")],
    ),
    "here and strict now": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: strictMatchLabels set later misplaces what asks for no label",
        [destination("dev-1", DEV, strict_match_labels=True)],
        wanted={},
        previous=["dev-1"],
        want=[("dev-1", "Misplaced", "it has strictMatchLabels, and no label is asked for; kept as Kratix does")],
    ),
    "here and for dry runs now": Case(
        "scheduler.go, getDestinationsForWorkloadGroup: so does the dry-run label",
        [destination("dev-1", {**DEV, **DRY_RUN})],
        previous=["dev-1"],
        want=[("dev-1", "Misplaced", "it is for dry runs only; kept as Kratix does")],
    ),
    "here under a long name": Case(
        "a placement that could never be made is not thrown away either",
        [destination("d" * 64, DEV)],
        previous=["d" * 64],
        want=[("d" * 64, "Misplaced", "its name has over 63 characters; kept as Kratix does")],
    ),
    "healed": Case(
        "scheduler.go, updateWorkPlacement: a misplaced Destination that matches again is no longer misplaced",
        EVERYWHERE,
        previous=["dev-1"],
        want=[("dev-1", "Kept", "it was here and still matches")],
    ),
    "several placements of a request": Case(
        "scheduler.go, reconcileWorkloadGroup: every existing placement is updated, and one that does not match is misplaced",
        EVERYWHERE,
        previous=["prod-1", "dev-3", "dev-1"],
        want=[
            ("dev-1", "Kept", "it was here and still matches"),
            ("dev-3", "Kept", "it was here and still matches"),
            ("prod-1", "Misplaced", "it no longer has environment=dev; kept as Kratix does"),
        ],
    ),
    # Kratix: dependencies.
    "all": Case(
        "scheduler.go, getTargetDestinationNames: a dependency goes to all that match",
        EVERYWHERE,
        policy={"placement": "All"},
        want=[(f"dev-{i}", "Placed", "one of all Destinations with environment=dev") for i in (1, 2, 3)],
    ),
    "all without a selector": Case(
        "scheduler.go, getTargetDestinationNames: and without a selector to all that are not strict",
        [*EVERYWHERE, destination("strict", PROD, strict_match_labels=True)],
        wanted={},
        policy={"placement": "All"},
        want=[(name, "Placed", "one of all Destinations") for name in ("dev-1", "dev-2", "dev-3", "prod-1")],
    ),
    "all and existing ones": Case(
        "scheduler.go, reconcileWorkloadGroup: a dependency's existing placements stay, misplaced where they do not match",
        EVERYWHERE,
        previous=["gone", "prod-1", "dev-1"],
        policy={"placement": "All"},
        want=[
            ("dev-1", "Kept", "it was here and still matches"),
            ("dev-2", "Placed", "one of all Destinations with environment=dev"),
            ("dev-3", "Placed", "one of all Destinations with environment=dev"),
            ("gone", "Misplaced", "it is gone; kept as Kratix does"),
            ("prod-1", "Misplaced", "it no longer has environment=dev; kept as Kratix does"),
        ],
    ),
    "all and no match": Case(
        "scheduler.go, reconcileWorkloadGroup: no target at all is unscheduled for a dependency too",
        [PROD_1],
        policy={"placement": "All"},
        unplaced="no Destination has environment=dev (1 Destination: 0 with it)",
    ),
    "all and only misplaced ones": Case(
        "scheduler.go, reconcileWorkloadGroup: what exists counts as a target, so the group is misplaced, not unscheduled",
        [PROD_1],
        previous=["prod-1"],
        policy={"placement": "All"},
        want=[("prod-1", "Misplaced", "it no longer has environment=dev; kept as Kratix does")],
    ),
    # Not in Kratix: moving.
    "drained": Case(
        "whenMisplaced Move: taking a label off a Destination drains it",
        [destination("dev-1", {}), DEV_2],
        previous=["dev-1"],
        policy={"when_misplaced": "Move"},
        want=[
            (
                "dev-2",
                "Moved",
                "moved off dev-1 (it no longer has environment=dev); the only Destination with environment=dev",
            )
        ],
    ),
    "moved from one that is gone": Case(
        "whenMisplaced Move: and so does deleting it",
        [DEV_2, DEV_3],
        previous=["dev-1"],
        policy={"when_misplaced": "Move"},
        want=[
            ("dev-3", "Moved", "moved off dev-1 (it is gone); chosen of 2 Destinations with environment=dev by hash")
        ],
    ),
    "nowhere to move": Case(
        "whenMisplaced Move never drops: without a better place it stays",
        [destination("dev-1", DEV, deleting=True), PROD_1],
        previous=["dev-1"],
        policy={"when_misplaced": "Move"},
        want=[("dev-1", "Misplaced", "it is being deleted; kept until a Destination with environment=dev takes it")],
    ),
    "moves only what is misplaced": Case(
        "whenMisplaced Move leaves what matches where it is",
        EVERYWHERE,
        previous=["dev-1"],
        policy={"when_misplaced": "Move"},
        want=[("dev-1", "Kept", "it was here and still matches")],
    ),
    "moved together": Case(
        "whenMisplaced Move: a placement of several that matches has it already, so nothing new is chosen",
        EVERYWHERE,
        previous=["dev-1", "prod-1"],
        policy={"when_misplaced": "Move"},
        want=[
            (
                "dev-1",
                "Kept",
                "moved off prod-1 (it no longer has environment=dev); it was here and still matches",
            )
        ],
    ),
    "all moved": Case(
        "whenMisplaced Move with All: what no longer matches is left once others match",
        [DEV_1, DEV_2, PROD_1],
        previous=["dev-1", "prod-1"],
        policy={"placement": "All", "when_misplaced": "Move"},
        want=[
            ("dev-1", "Kept", "it was here and still matches"),
            (
                "dev-2",
                "Moved",
                "moved off prod-1 (it no longer has environment=dev); one of all Destinations with environment=dev",
            ),
        ],
    ),
    "all and nowhere to move": Case(
        "whenMisplaced Move with All never drops the last ones",
        [PROD_1],
        previous=["gone", "prod-1"],
        policy={"placement": "All", "when_misplaced": "Move"},
        want=[
            ("gone", "Misplaced", "it is gone; kept until a Destination with environment=dev takes it"),
            (
                "prod-1",
                "Misplaced",
                "it no longer has environment=dev; kept until a Destination with environment=dev takes it",
            ),
        ],
    ),
    # Not in Kratix: preferring.
    "preferred": Case(
        "schedule.prefer: the highest score of those that match wins",
        [destination(f"dev-{i}", {**DEV, "free": str(i)}) for i in range(1, 5)] + [destination("big", {"free": "9"})],
        policy={"prefer": "double(destination.labels.free) * 1.5"},
        want=[("dev-4", "Placed", "score 6, the highest of 4 Destinations with environment=dev")],
    ),
    "preferred alike": Case(
        "schedule.prefer: ties fall back to the hash",
        EVERYWHERE,
        policy={"prefer": "destination.name == 'dev-1' ? 1 : 2"},
        want=[
            (
                "dev-3",
                "Placed",
                "score 2, the highest of 3 Destinations with environment=dev, which 2 have; chosen by hash",
            )
        ],
    ),
    "a better one turns up": Case(
        "scheduler.go, reconcileWorkloadGroup: sticky comes before preferred",
        EVERYWHERE,
        previous=["dev-1"],
        policy={"prefer": "destination.name == 'dev-2' ? 1 : 0"},
        want=[("dev-1", "Kept", "it was here and still matches")],
    ),
    "preferred when moved": Case(
        "schedule.prefer and whenMisplaced Move",
        EVERYWHERE,
        previous=["gone"],
        policy={"prefer": "destination.name == 'dev-2' ? -1 : -2", "when_misplaced": "Move"},
        want=[
            (
                "dev-2",
                "Moved",
                "moved off gone (it is gone); score -1, the highest of 3 Destinations with environment=dev",
            )
        ],
    ),
    "preferring what does not match": Case(
        "schedule.prefer is asked of those that match only, so it may count on their labels",
        [DEV_1, PROD_1],
        wanted=PROD,
        policy={"prefer": "destination.labels.zone == 'eu' ? 1 : 0"},
        want=[("prod-1", "Placed", "the only Destination with environment=prod")],
    ),
    "preferring by the request": Case(
        "schedule.prefer may read all that other expressions read",
        EVERYWHERE,
        policy={"prefer": "destination.name == request.spec.near ? 1 : 0"},
        want=[("dev-1", "Placed", "score 1, the highest of 3 Destinations with environment=dev")],
    ),
}


def root(wanted: Labels) -> Group:
    selectors = (Selector(wanted, "promise"),) if wanted else ()
    return Group(".", ROOT_ID, selectors, (document("a.yaml"),))


def scope() -> cel.Scope:
    return cel.Scope({"request": {"spec": {"near": "dev-1"}}, "promise": {}, "context": {}, "destinations": []})


@pytest.mark.parametrize("name", CASES)
def test_places(name: str) -> None:
    case = CASES[name]
    made = (root(case.wanted),)
    policy = Policy(**case.policy)
    got = schedule.place(made, case.destinations, {ROOT_ID: case.previous}, policy, IDENTITY, scope())
    assert [(p.destination, p.state, p.reason) for p in got.placements] == list(case.want), case.reason
    assert got.unplaced == (((".", case.unplaced),) if case.unplaced else ()), case.reason
    assert got.groups == made, "the groups are handed on"


SCORE_CASES: dict[str, tuple[str, str, str]] = {
    "a label that is not there": (
        "a score that cannot be evaluated names the first Destination by name",
        "double(destination.labels.free)",
        "schedule.prefer: cannot be evaluated for Destination dev-1: ",
    ),
    "a text": (
        "a score must be a number",
        "'high'",
        "schedule.prefer: must give a number, not 'high' as it does for Destination dev-1",
    ),
    "a bool": (
        "true is no number",
        "destination.name == 'dev-1'",
        "schedule.prefer: must give a number, not True as it does for Destination dev-1",
    ),
    "not a number": (
        "NaN has no order",
        "0.0 / 0.0",
        "schedule.prefer: cannot be evaluated for Destination dev-1: gives a number that JSON does not have",
    ),
    "infinite": (
        "nothing is infinitely good",
        "1.0 / 0.0",
        "schedule.prefer: cannot be evaluated for Destination dev-1: gives a number that JSON does not have",
    ),
}


@pytest.mark.parametrize("name", SCORE_CASES)
def test_scores_that_are_none(name: str) -> None:
    reason, prefer, want = SCORE_CASES[name]
    with pytest.raises(InvalidError) as error:
        schedule.place((root(DEV),), EVERYWHERE[::-1], {}, Policy(prefer=prefer), IDENTITY, scope())
    assert str(error.value).startswith(want), reason


def test_groups_are_placed_each_on_its_own() -> None:
    """scheduler.go, ReconcileWork: one group without a match does not keep the others back."""
    files = [document(name) for name in ("app.yaml", "infra/a.yaml", "web/a.yaml")]
    made = groups.of(files, [("infra", PROD), ("web", {"environment": "staging"})], [DEV])
    previous = {made[0].id: ["prod-1"], ROOT_ID: ["dev-1"], "of-a-group-that-is-no-more": ["dev-2"]}
    got = schedule.place(made, EVERYWHERE, previous, Policy(), IDENTITY, scope())
    assert [(p.directory, p.group_id, p.destination) for p in got.placements] == [
        ("infra", made[0].id, "prod-1"),
        (".", ROOT_ID, "dev-1"),
    ]
    assert got.unplaced == (("web", "no Destination has environment=staging (4 Destinations: 0 with it)"),)


def test_a_reason_is_bounded() -> None:
    """Whatever the number of labels, of Destinations and of characters, a reason stays a sentence."""
    wanted = {f"{'k' * 60}{i}": "v" * 63 for i in range(9)}
    near = [destination(f"d{i:04}", dict(list(wanted.items())[1:])) for i in range(5000)]
    got = schedule.place((root(wanted),), near, {}, Policy(), IDENTITY, scope())
    assert len(got.unplaced[0][1]) < 1000
    policy = Policy(placement="All", when_misplaced="Move")
    previous = {ROOT_ID: [d.name for d in near]}
    moved = schedule.place((root(wanted),), [*near, destination("new", wanted)], previous, policy, IDENTITY, scope())
    assert [p.destination for p in moved.placements] == ["new"]
    assert len(moved.placements[0].reason) < 1500
    assert "and 4997 more" in moved.placements[0].reason


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
