"""Roll-outs in waves: who is moved when, what stops them, and what is never moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.translate.waves import ANNOTATION, Member, Plan, Rollout, plan, read
from function.api.errors import InvalidError

DEV, PROD = {"env": "dev"}, {"env": "prod"}
TWO = Rollout("v2", (DEV, PROD))


def at(name: str, labels: dict[str, str], version: str = "v1", **more: str) -> Member:
    return Member(name, labels, **{"selected": version, "applied": version, "state": "good", **more})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    rollout: Rollout | None
    members: list[Member]
    plan: Plan
    reason: str


CASES = {
    "none": Case(
        None,
        [at("a", DEV), at("b", DEV, pinned="v1")],
        Plan({"a": "", "b": "v1"}),
        "without a roll-out all but pinned ones follow the newest",
    ),
    "first wave": Case(
        TWO,
        [at("a", DEV), at("b", PROD, version="", applied="v1")],
        Plan({"a": "v2", "b": "v1"}, "", "wave 1 of 2 to v2 is under way: 1 XR"),
        "who waits stays on what was applied, though a newer one is published",
    ),
    "second wave": Case(
        TWO,
        [at("a", DEV, "v2"), at("b", PROD)],
        Plan({"a": "v2", "b": "v2"}, "", "wave 2 of 2 to v2 is under way: 1 XR"),
        "the first is through",
    ),
    "not yet ready": Case(
        TWO,
        [at("a", DEV, "v2", state="moving"), at("b", PROD)],
        Plan({"a": "v2", "b": "v1"}, "", "wave 1 of 2 to v2 is under way: 1 XR"),
        "applied is not enough",
    ),
    "lost cluster": Case(
        TWO,
        [at("a", DEV, "v2", state="unknown", said="its cluster is not reached"), at("b", PROD), at("c", DEV)],
        Plan(
            {"a": "v2", "b": "v1", "c": "v2"},
            "",
            "wave 1 of 2 to v2 is under way: 2 XRs; it waits for a: its cluster is not reached",
        ),
        "what is not known is not good",
    ),
    "not reached yet": Case(
        TWO,
        [at("a", DEV, "v2", state="unknown"), at("b", PROD)],
        Plan({"a": "v2", "b": "v1"}, "", "wave 1 of 2 to v2 is under way: 1 XR"),
        "a cluster that is only not reached yet is no news",
    ),
    "stop": Case(
        TWO,
        [at("a", DEV, "v2", state="failing", said="pipeline x failed"), at("b", PROD), at("c", DEV)],
        Plan(
            {"a": "v2", "b": "v1", "c": "v2"},
            "wave 1 of 2 to v2 has stopped: a: pipeline x failed",
            "wave 1 of 2 to v2 has stopped: a: pipeline x failed",
        ),
        "a failure stops later waves",
    ),
    "failing before": Case(
        TWO,
        [at("a", DEV, state="failing"), at("b", PROD)],
        Plan({"a": "v2", "b": "v1"}, "", "wave 1 of 2 to v2 is under way: 1 XR"),
        "what failed on the old version may be mended by the new",
    ),
    "roll back": Case(
        Rollout("v1", (DEV, PROD)),
        [at("a", DEV, "v2", state="failing"), at("b", PROD)],
        Plan({"a": "v1", "b": "v1"}, "", "wave 1 of 2 to v1 is under way: 1 XR"),
        "rolling back is a roll-out of the earlier version",
    ),
    "through": Case(
        TWO,
        [at("a", DEV, "v2"), at("b", PROD, "v2"), at("c", {}), at("d", DEV, pinned="v1")],
        Plan({"a": "v2", "b": "v2", "c": "v1", "d": "v1"}, "", "the roll-out to v2 is through"),
        "pinned ones and those in no wave stay",
    ),
    "nobody": Case(TWO, [], Plan({}, "", "the roll-out to v2 is through"), "a Promise without requests"),
}


@pytest.mark.parametrize("name", CASES)
def test_plans(name: str) -> None:
    case = CASES[name]
    assert plan(case.rollout, case.members) == case.plan, case.reason
    assert plan(case.rollout, case.members[::-1]) == case.plan, "in any order"


MEMBERS = st.lists(
    st.builds(
        Member,
        name=st.text("abcdef", min_size=1, max_size=3),
        labels=st.sampled_from([DEV, PROD, {}]),
        pinned=st.sampled_from(["", "", "v1"]),
        selected=st.sampled_from(["", "v1", "v2"]),
        applied=st.sampled_from(["v1", "v2"]),
        state=st.sampled_from(["good", "moving", "failing", "unknown"]),
    ),
    max_size=8,
    unique_by=lambda m: m.name,
)


@given(MEMBERS)
def test_nobody_is_moved_before_all_earlier_ones_are_good(members: list[Member]) -> None:
    found = plan(TWO, members)
    earlier = [m for m in members if m.labels == DEV and not m.pinned]
    moved = [
        m for m in members if m.labels == PROD and not m.pinned and found.wanted[m.name] != (m.selected or m.applied)
    ]
    assert not moved or all(m.selected == m.applied == "v2" and m.state == "good" for m in earlier)
    assert all(found.wanted[m.name] == "v1" for m in members if m.pinned)


@given(MEMBERS)
def test_it_comes_to_an_end_where_nothing_fails(members: list[Member]) -> None:
    for _ in range(3):
        wanted = plan(TWO, members).wanted
        members = [
            replace(m, selected=wanted[m.name], applied=wanted[m.name] or m.applied, state="good") for m in members
        ]
    free = [m for m in members if m.labels and not m.pinned]
    assert all(m.applied == "v2" for m in free)
    assert plan(TWO, members).message == "the roll-out to v2 is through"


WRONG = {
    "text": ("v2", 'is not JSON such as {"version": "v2.0.0", "waves": [{"env": "dev"}]}'),
    "unknown": (
        '{"version": "v2", "wave": []}',
        'must be an object with version and waves such as {"version": "v2.0.0", "waves": [{"env": "dev"}]}',
    ),
    "no version": ('{"waves": [{}]}', ".version: must be a version of the Promise, such as v2.0.0"),
    "latest": ('{"version": "latest"}', ".version: must be a version of the Promise, such as v2.0.0"),
    "no label": ('{"version": "a b"}', ".version: must be a version of the Promise, such as v2.0.0"),
    "no waves": ('{"version": "v2", "waves": []}', ".waves: must be a list of 1 to 32 waves"),
    "wave": (
        '{"version": "v2", "waves": ["env=dev"]}',
        '.waves[0]: must be an object of labels, such as {"env": "dev"}',
    ),
    "value": (
        '{"version": "v2", "waves": [{"env": 1}]}',
        ".waves[0][env]: must be a label's value under a label's key",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_named(name: str) -> None:
    text, said = WRONG[name]
    with pytest.raises(InvalidError) as error:
        read({ANNOTATION: text})
    assert str(error.value).startswith(f"metadata.annotations[{ANNOTATION}]")
    assert str(error.value).endswith(said)


def test_without_waves_all_go_at_once() -> None:
    assert read({ANNOTATION: '{"version": "v2"}'}) == Rollout("v2", ({},))
    assert read({}) is None
