"""What is decided of mirrored requests, without a cluster: whether, where, and what the XR is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrorworld import mirrored

from bridge.api import names as own
from bridge.sync import mirror
from bridge.sync.mirror import Offer
from function.api import names
from function.api.errors import InvalidError
from function.api.placing import Decision

Manifest = dict[str, Any]


def request(name: str = "orders", *, namespace: str = "team-a", **metadata: Any) -> Manifest:
    whole = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "caches.example.org/v1alpha1", "kind": "Cache", "metadata": whole, "spec": {"size": "s"}}


@dataclass(frozen=True)
class Refused:
    reason: str
    error: str
    annotations: Manifest = field(default_factory=dict)
    spec: Manifest = field(default_factory=dict)


REFUSED = {
    "when-misplaced": Refused(
        "the words are the function's",
        "metadata.annotations[bridge.kratix.io/when-misplaced]: must be Keep or Move, not 'move'",
        {own.MISPLACED_ANNOTATION: "move"},
    ),
    "no value": Refused(
        "a selector is made of pairs",
        "metadata.annotations[bridge.kratix.io/clusters]: must be labels such as zone=eu,tier=prod, not 'zone'",
        {own.CLUSTERS_ANNOTATION: "zone"},
    ),
    "no label": Refused(
        "no CrossplaneCluster can have it",
        "metadata.annotations[bridge.kratix.io/clusters]: must be labels such as zone=eu,tier=prod, not 'zone=a b'",
        {own.CLUSTERS_ANNOTATION: "zone=a b"},
    ),
    "twice": Refused(
        "both cannot be had",
        "metadata.annotations[bridge.kratix.io/clusters]: asks for zone twice: a and b",
        {own.CLUSTERS_ANNOTATION: "zone=a,zone=b"},
    ),
    "no API": Refused(
        "it takes no requests",
        "spec.api: is missing: a Promise without an API has no requests to mirror",
        spec={"api": None},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_promise_that_cannot_be_mirrored_says_why(name: str):
    case = REFUSED[name]
    with pytest.raises(InvalidError) as error:
        mirror.read(mirrored(annotations=case.annotations, **case.spec))
    assert str(error.value) == case.error, case.reason


@dataclass(frozen=True)
class Labelled:
    reason: str
    chosen: str | None
    kept: set[str]


LABELS = {
    "by default": Labelled("all that belong to nobody", None, {"team", "example.org/cost-centre"}),
    "chosen": Labelled("only what the platform team names", "team, absent", {"team"}),
    "none": Labelled("an empty list is a list", "", set()),
    "not Kratix's": Labelled("its workflow engine would take the XR for a request", "kratix.io/paused", set()),
    "not ours": Labelled("who makes requests cannot say whose an XR is", names.REQUEST_NAME_LABEL, set()),
}


@pytest.mark.parametrize("name", LABELS)
def test_which_labels_follow(name: str):
    case = LABELS[name]
    annotations = {} if case.chosen is None else {own.LABELS_ANNOTATION: case.chosen}
    read = mirror.read(mirrored(annotations=annotations))
    given_ = {
        "team": "a",
        "example.org/cost-centre": "7",
        "kratix.io/paused": "true",
        names.REQUEST_NAME_LABEL: "other",
    }
    made = mirror.xr(read, request(labels=given_, annotations={"a": "b"}), read.target(namespaced=True))
    ours = {
        names.MIRRORS_LABEL: "true",
        names.REQUEST_PROMISE_LABEL: "cache",
        names.REQUEST_NAMESPACE_LABEL: "team-a",
        names.REQUEST_NAME_LABEL: "orders",
    }
    kept = {key: value for key, value in made["metadata"]["labels"].items() if key not in ours}
    assert {key: made["metadata"]["labels"][key] for key in ours} == ours, case.reason
    assert set(kept) == case.kept, case.reason
    assert "annotations" not in made["metadata"]


NAMES = st.text("ab-", min_size=1, max_size=8).filter(lambda text: text[0] != "-" and text[-1] != "-")


@given(one=st.tuples(NAMES, NAMES), other=st.tuples(NAMES, NAMES), namespaced=st.booleans())
def test_two_requests_are_never_one_xr(one: tuple[str, str], other: tuple[str, str], namespaced: bool):
    read = mirror.read(mirrored())
    target = read.target(namespaced=namespaced)
    made = [mirror.xr(read, request(name, namespace=place), target)["metadata"] for place, name in (one, other)]
    same = made[0]["name"] == made[1]["name"] and made[0].get("namespace") == made[1].get("namespace")
    assert same == (one == other)


CLUSTERS = st.sets(st.sampled_from([f"c{i}" for i in range(6)]), min_size=1)


@given(clusters=CLUSTERS, name=NAMES, draining=CLUSTERS)
def test_a_request_stays_until_its_cluster_drains_and_another_takes_it(
    clusters: set[str], name: str, draining: set[str]
):
    read = mirror.read(mirrored())
    offers = [Offer(each, {}) for each in sorted(clusters)]
    ((first,), _) = mirror.choose(read, request(name), offers, [])
    assert first.state == "Placed"
    ((again,), _) = mirror.choose(read, request(name), offers, [first.name])
    assert again == Decision(first.name, "Kept", "it was here and still matches")
    left = [Offer(each, {}, draining=each in draining) for each in sorted(clusters)]
    ((after,), _) = mirror.choose(read, request(name), left, [first.name])
    free = clusters - draining
    if first.name not in draining:
        assert after.name == first.name
    elif free:
        assert (after.name in free, after.state) == (True, "Moved")
    else:
        assert (after.name, after.state) == (first.name, "Misplaced"), "nothing that was delivered is lost"


def test_a_decision_says_why_it_was_made_and_not_that_it_was_kept():
    kept = Decision("eu-1", "Kept", "it was here and still matches")
    assert mirror.remembered(kept, "eu-1", ("Placed", "by hash")) == Decision("eu-1", "Placed", "by hash")
    assert mirror.remembered(kept, "eu-2", ("Placed", "by hash")) == kept, "that was of another cluster"
    assert mirror.remembered(kept, "eu-1", ("Misplaced", "it is gone")) == kept, "that is so no longer"


def test_what_was_known_of_a_lost_cluster_stays_and_the_time_is_that_of_the_loss():
    at = Decision("eu-1", "Placed", "by hash")
    before = {
        "endpoint": "e",
        "conditions": ["Kratix's"],
        "crossplane": {"cluster": "eu-1", "ready": "True", "name": "x"},
    }
    first = mirror.unseen(before, at, "lost", "12:00")
    assert first == {
        "endpoint": "e",
        "crossplane": {
            "cluster": "eu-1",
            "name": "x",
            "ready": "Unknown",
            "message": "lost",
            "unknownSince": "12:00",
            "placement": {"state": "Placed", "reason": "by hash"},
        },
    }
    assert mirror.unseen({**before, **first}, at, "lost", "13:00") == first
    elsewhere = {**before, "crossplane": {"cluster": "eu-2", "name": "x"}}
    assert "endpoint" not in mirror.unseen(elsewhere, at, "lost", "12:00"), "that was of another XR"
