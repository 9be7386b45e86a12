"""Scheduling: the table of Kratix's behaviours, each with the place in its source that it comes from."""

from __future__ import annotations

import pytest
from scheduling import (
    DEV,
    DEV_1,
    DEV_2,
    DRY_RUN,
    EVERYWHERE,
    IDENTITY,
    PROD,
    PROD_1,
    ROOT_ID,
    Case,
    check,
    destination,
    scope,
)

from build import document
from function import groups, schedule
from function.api.input import Schedule as Policy

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
}


@pytest.mark.parametrize("name", CASES)
def test_places(name: str) -> None:
    check(CASES[name])


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
