"""Laws of scheduling: balance, least movement, order means nothing, what is placed stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function import cel, schedule
from function import groups as workload_groups
from function.api.destination import Destination
from function.api.input import Schedule as Policy
from function.model import Document, Schedule

REQUESTS = 10_000
DESTINATIONS = 50
SCOPE = cel.Scope({"request": {}, "promise": {}, "context": {}, "destinations": []})
KEYS = ("environment", "zone", "kratix.io/dry-run")
DIRECTORIES = ("", "infra", "web")

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(("true", "dev", "eu")), max_size=3)
destinations = st.lists(
    st.builds(
        Destination,
        st.one_of(st.sampled_from([f"d-{i}" for i in range(8)]), st.just("d" * 64)),
        labels,
        strict_match_labels=st.booleans(),
        deleting=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda d: d.name,
)
documents = st.lists(
    st.builds(lambda d, f: Document(f"{d}/{f}", d, f, {}, ""), st.sampled_from(DIRECTORIES), st.sampled_from("abcd")),
    max_size=8,
    unique_by=lambda d: d.filepath,
)
selectors = st.lists(
    st.tuples(st.sampled_from(DIRECTORIES), labels.filter(bool)), max_size=3, unique_by=lambda selector: selector[0]
)
promise = st.lists(labels, max_size=2)
policies = st.builds(
    Policy, placement=st.sampled_from(("One", "All")), when_misplaced=st.sampled_from(("Keep", "Move"))
)
previous_names = st.lists(st.sampled_from([*(f"d-{i}" for i in range(8)), "gone"]), max_size=3)
shuffles = st.randoms(use_true_random=False)


def on(answer: Schedule) -> dict[str, tuple[str, ...]]:
    """Group id to Destinations: what `previous` is after this answer was applied."""
    found: dict[str, list[str]] = {}
    for placement in answer.placements:
        found.setdefault(placement.group_id, []).append(placement.destination)
    return {group: tuple(sorted(names)) for group, names in found.items()}


def place(
    groups: Sequence[Any],
    inventory: Sequence[Destination],
    policy: Policy,
    previous: Mapping[str, Sequence[str]] | None = None,
) -> Schedule:
    return schedule.place(groups, inventory, previous or {}, policy, ("p", "g", "K", "ns", "name"), SCOPE)


# --- laws ----------------------------------------------------------------------------------------------------------


@settings(max_examples=75, deadline=None)
@given(documents, selectors, promise, destinations, policies, previous_names, shuffles)
def test_order_means_nothing(made, asked, promised, inventory, policy, before, shuffle) -> None:
    def answer() -> Schedule:
        groups = workload_groups.of(made, asked, promised)
        return place(groups, inventory, policy, {group.id: before for group in groups})

    first = answer()
    for items in (made, asked, inventory, before):
        shuffle.shuffle(items)
    assert answer() == first


@settings(max_examples=75, deadline=None)
@given(documents, selectors, promise, destinations, policies, previous_names)
def test_fed_back_it_stays(made, asked, promised, inventory, policy, before) -> None:
    groups = workload_groups.of(made, asked, promised)
    once = place(groups, inventory, policy, {group.id: before for group in groups})
    twice = place(groups, inventory, policy, on(once))
    assert on(twice) == on(once)
    assert twice.unplaced == once.unplaced
    assert not {p.state for p in twice.placements} & {"Placed", "Moved"}
    assert place(groups, inventory, policy, on(twice)) == twice, "and the words stay too"


@settings(max_examples=75, deadline=None)
@given(documents, selectors, promise, destinations, policies, previous_names)
def test_nothing_placed_is_lost(made, asked, promised, inventory, policy, before) -> None:
    groups = workload_groups.of(made, asked, promised)
    got = on(place(groups, inventory, policy, {group.id: before for group in groups}))
    for group in groups:
        if policy.when_misplaced == "Keep":
            assert set(before) <= set(got.get(group.id, ())), "Keep leaves no Destination"
        assert not before or got[group.id], "nor is a group dropped when it moves"


@settings(max_examples=75, deadline=None)
@given(documents, selectors, promise, destinations, policies, previous_names)
def test_every_group_has_an_answer(made, asked, promised, inventory, policy, before) -> None:
    groups = workload_groups.of(made, asked, promised)
    assert sorted(d.filepath for g in groups for d in g.documents) == sorted(d.filepath for d in made)
    answer = place(groups, inventory, policy, {group.id: before for group in groups})
    placed = {p.directory for p in answer.placements}
    unplaced = {directory for directory, _ in answer.unplaced}
    assert placed | unplaced == {group.directory for group in groups}
    assert not placed & unplaced
    matching = {d.name: d for d in inventory}
    for placement in answer.placements:
        group = next(g for g in groups if g.id == placement.group_id)
        wanted = workload_groups.match_labels(group.selectors)
        if placement.state != "Misplaced":
            target = matching[placement.destination]
            assert wanted.items() <= target.labels.items()
            assert not target.deleting
            assert len(target.name) <= 63
        assert placement.reason
        assert "\n" not in placement.reason
    assert all(reason and len(reason) < 1000 for _, reason in answer.unplaced)


# --- large ones ----------------------------------------------------------------------------------------------------


def spread(names: Sequence[str], seed: str) -> list[str]:
    """The Destination of each of 10,000 requests."""
    inventory = [Destination(name, {"environment": "dev"}) for name in names]
    groups = workload_groups.of([Document("a", "", "a.yaml", {}, "")], [], [{"environment": "dev"}])
    return [
        schedule.place(groups, inventory, {}, Policy(), ("p", "g", "K", seed, f"r-{i}"), SCOPE)
        .placements[0]
        .destination
        for i in range(REQUESTS)
    ]


@pytest.fixture(scope="module")
def base() -> list[str]:
    return spread([f"worker-{i}" for i in range(DESTINATIONS)], "team")


def test_balance(base: list[str]) -> None:
    found = Counter(base)
    assert len(found) == DESTINATIONS
    assert max(found.values()) <= 1.25 * REQUESTS / DESTINATIONS


@pytest.mark.parametrize("change", ["joins", "leaves"])
def test_least_movement(base: list[str], change: str) -> None:
    size = DESTINATIONS + 1 if change == "joins" else DESTINATIONS - 1
    after = spread([f"worker-{i}" for i in range(size)], "team")
    moved = [(old, new) for old, new in zip(base, after, strict=True) if old != new]
    share = 1 / max(size, DESTINATIONS)
    assert 0 < len(moved) <= (share + 0.02) * REQUESTS
    one = {new for _, new in moved} if change == "joins" else {old for old, _ in moved}
    assert one == {f"worker-{DESTINATIONS if change == 'joins' else DESTINATIONS - 1}"}, (
        "nothing moves between the others"
    )


def test_groups_of_one_request_spread() -> None:
    """The hash takes the group in, so a request's directories do not all go one way."""
    inventory = [Destination(f"worker-{i}", {"a": "b"}) for i in range(DESTINATIONS)]
    directories = [f"dir-{i}" for i in range(100)]
    files = [Document(d, d, "a.yaml", {}, "") for d in directories]
    groups = workload_groups.of(files, [(d, {"a": "b"}) for d in directories], [])
    assert len({p.destination for p in place(groups, inventory, Policy()).placements}) > DESTINATIONS / 2


def test_the_hash_is_the_same_for_ever() -> None:
    """A change here would move every new request; the values are those of the first release."""
    inventory = [Destination(f"worker-{i}", {}) for i in range(DESTINATIONS)]
    groups = workload_groups.of([Document("a", "", "a.yaml", {}, "")], [], [])
    got = [
        schedule.place(groups, inventory, {}, Policy(), ("p", "g", "K", "ns", name), SCOPE).placements[0].destination
        for name in ("orders", "billing", "é")
    ]
    assert got == ["worker-43", "worker-36", "worker-13"]
