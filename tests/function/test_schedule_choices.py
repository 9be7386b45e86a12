"""Scheduling: what Kratix does not have, which is moving what is misplaced and preferring by a score."""

from __future__ import annotations

import pytest
from scheduling import (
    DEV,
    DEV_1,
    DEV_2,
    DEV_3,
    EVERYWHERE,
    IDENTITY,
    PROD,
    PROD_1,
    ROOT_ID,
    Case,
    check,
    destination,
    root,
    scope,
)

from function import schedule
from function.api.errors import InvalidError
from function.api.input import Schedule as Policy

CASES: dict[str, Case] = {
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


@pytest.mark.parametrize("name", CASES)
def test_places(name: str) -> None:
    check(CASES[name])


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
