"""What a CrossplaneCluster says of itself: conditions that are stable, and lists that are bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.api.crossplanecluster import MAX_LISTED, MAX_REASON, Status
from bridge.sync.board import Outcome
from bridge.sync.report import Found, Reach, status

NOW = datetime(2026, 11, 25, 12, 30, 15, tzinfo=UTC)
REACHED = Reach("True", "Connected", "connected to https://eu-1", "v2.3.4")
LOST = Reach("False", "Unreachable", "cannot read the version on cluster eu-1: connection refused", "v2.3.4")
BY_GIT = Reach("Unknown", "GitOps", "a GitOps agent brings it in step")


def found(reach: Reach = REACHED, **more: Any) -> Found:
    values: dict[str, Any] = {
        "generation": 3,
        "reach": reach,
        "obstacle": None,
        "promises": {},
        "selected": frozenset(),
        "destinations": {},
        "inventory": frozenset(),
    }
    return Found(**{**values, **more})


@dataclass(frozen=True)
class Case:
    found: Found
    synced: tuple[str, str, str]
    reason: str
    counts: dict[str, int] = field(default_factory=dict)


CASES = {
    "nothing": Case(found(), ("True", "Synced", "0 Promises and 0 Destinations are there"), "nothing is to be there"),
    "one": Case(
        found(promises={"a": Outcome("as.x", "v1")}, selected=frozenset("a")),
        ("True", "Synced", "1 Promise and 0 Destinations are there"),
        "it is there",
        {"promises": 1, "published": 1},
    ),
    "not looked at": Case(
        found(promises={"a": Outcome("as.x")}, selected=frozenset("abcdef")),
        ("False", "Syncing", "not looked at yet: Promise b, Promise c, Promise d, and 2 more"),
        "after a start nothing is known yet",
        {"promises": 6, "published": 1},
    ),
    "a Destination not looked at": Case(
        found(inventory=frozenset({"dev"})), ("False", "Syncing", "not looked at yet: Destination dev"), "so too"
    ),
    "refused": Case(
        found(promises={"a": Outcome("as.x", refused="no API"), "b": Outcome()}, selected=frozenset("ab")),
        ("False", "Refused", "refused: Promise a"),
        "what was published of it before is still there",
        {"promises": 2, "published": 1, "refused": 1},
    ),
    "failed": Case(
        found(promises={"a": Outcome(failed="cannot apply"), "b": Outcome(refused="no")}, selected=frozenset("ab")),
        ("False", "Failed", "cannot apply"),
        "what is tried again comes first",
        {"promises": 2, "refused": 1},
    ),
    "kept": Case(
        found(promises={"gone": Outcome(kept=("the XRD x stays: 1 XR exists",))}),
        ("True", "Synced", "0 Promises and 0 Destinations are there; 1 XRDs are kept for their XRs"),
        "nothing is wrong with that",
        {"kept": 1},
    ),
    "deleting": Case(
        found(destinations={"dev": Outcome(xrd="destination-dev", kept=("held",))}),
        ("True", "Synced", "0 Promises and 1 Destination are there"),
        "it is there",
        {"destinations": 1, "deleting": 1},
    ),
    "lost": Case(
        found(LOST, obstacle=("Syncing", "not read yet"), selected=frozenset("a")),
        ("Unknown", "Unreachable", "the cluster is not reached, so what is there is not known"),
        "whether it was read before does not matter then",
        {"promises": 1},
    ),
    "without Crossplane": Case(
        found(obstacle=("CrossplaneMissing", "it serves no XRDs"), selected=frozenset("a")),
        ("False", "CrossplaneMissing", "it serves no XRDs"),
        "it is reached",
        {"promises": 1},
    ),
    "by GitOps": Case(
        found(BY_GIT, promises={"a": Outcome("as.x")}, selected=frozenset("a")),
        ("True", "Synced", "1 Promise and 0 Destinations are there"),
        "the Works are, and nobody asks for more",
        {"promises": 1, "published": 1},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_status(case: Case):
    made = status(case.found, {}, NOW)
    reachable, synced = made["conditions"]
    assert (synced["status"], synced["reason"], synced["message"]) == case.synced, case.reason
    assert (reachable["status"], reachable["message"]) == (case.found.reach.status, case.found.reach.message)
    assert {name: count for name, count in made["counts"].items() if count} == case.counts
    assert {c["observedGeneration"] for c in made["conditions"]} == {3} == {made["observedGeneration"]}
    Status.model_validate(made)


def test_it_says_since_when():
    before = status(found(), {}, NOW)
    later = NOW.replace(hour=13)
    assert status(found(), before, later) == before, "nothing changed, so nothing is written"
    lost = status(found(LOST), before, later)
    assert [c["lastTransitionTime"] for c in lost["conditions"]] == ["2026-11-25T13:30:15Z"] * 2
    refused = found(promises={"a": Outcome(refused="no")}, selected=frozenset("a"))
    once = status(refused, before, later)
    again = status(
        found(promises={"a": Outcome(refused="another")}, selected=frozenset("a")), once, later.replace(hour=14)
    )
    assert once["conditions"] == again["conditions"], "the status is the same, and since then"


def test_it_is_bounded():
    names = [f"p{number:04d}" for number in range(1000)]
    outcomes = {name: Outcome("x", refused="r" * 5000, kept=("k" * 5000,)) for name in names}
    made = status(found(promises=outcomes, selected=frozenset(names)), {}, NOW)
    assert made["counts"] == {
        "promises": 1000,
        "published": 1000,
        "refused": 1000,
        "kept": 1000,
        "destinations": 0,
        "deleting": 0,
    }
    for part in ("published", "refused", "kept"):
        assert len(made[part]) == MAX_LISTED
    assert max(len(each["reason"]) for each in (*made["refused"], *made["kept"])) == MAX_REASON
    assert made["refused"][0]["name"] == "p0000", "the first by name"
