"""Destinations, and one root group that is placed on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from build import document
from function import cel, schedule
from function.api.destination import Destination
from function.api.input import Schedule
from function.model import Group, Selector

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


def root(wanted: Labels) -> Group:
    selectors = (Selector(wanted, "promise"),) if wanted else ()
    return Group(".", ROOT_ID, selectors, (document("a.yaml"),))


def check(case: Case) -> None:
    """Place the group of a case, and hold the placements to what it wants."""
    made = (root(case.wanted),)
    got = schedule.place(made, case.destinations, {ROOT_ID: case.previous}, Schedule(**case.policy), IDENTITY, scope())
    assert [(p.destination, p.state, p.reason) for p in got.placements] == list(case.want), case.reason
    assert got.unplaced == (((".", case.unplaced),) if case.unplaced else ()), case.reason
    assert got.groups == made, "the groups are handed on"


def scope() -> cel.Scope:
    return cel.Scope({"request": {"spec": {"near": "dev-1"}}, "promise": {}, "context": {}, "destinations": []})
