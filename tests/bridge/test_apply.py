"""What is applied and deleted, and what is not: nothing twice, nothing of others, nothing by force."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from fakeapi import FakeApi, Fault
from hypothesis import given
from hypothesis import strategies as st

from applying import MANIFEST, OWNER, RESOURCE, World, manifest
from bridge.apply import Applier, stale
from bridge.clusters import Cluster
from bridge.errors import ApiError, ClusterError, ConflictError, ForeignError, UnreachableError
from bridge.observed import Change, Owner, Ref, carries, changes, ref, seen
from function.api.names import APPLIED_ANNOTATION, OWNER_ANNOTATION, OWNER_LABEL


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi(RESOURCE) as api:
        yield api


@pytest.fixture
def cluster(api: FakeApi) -> Iterator[Cluster]:
    with Cluster.of_kubeconfig("eu", api.kubeconfig(), clock=time.monotonic) as cluster:
        yield cluster


@pytest.fixture
def world(cluster: Cluster) -> World:
    return World(cluster)


def writes(api: FakeApi) -> int:
    return len(api.asked("write"))


def test_nothing_is_applied_twice(api: FakeApi, world: World) -> None:
    assert world.apply(MANIFEST) == "created"
    assert world.apply(MANIFEST) == "unchanged"
    assert world.restarted().apply(MANIFEST) == "unchanged", "the digest is on the object"
    assert writes(api) == 1
    assert world.apply(manifest(size=2)) == "changed"
    assert world.object()["spec"] == {"size": 2, "colour": "blue"}
    assert world.apply(manifest(size=2)) == "unchanged"
    assert writes(api) == 2


def test_the_status_of_what_is_gone_makes_nothing(world: World) -> None:
    with pytest.raises(ApiError) as raised:
        world.tell({"phase": "Fine"})
    assert raised.value.status == 404
    assert world.look() is None


def test_before_the_watch_has_seen_it(api: FakeApi, world: World) -> None:
    first = world.look()
    world.apply(MANIFEST)
    seen_first = world.look()
    world.apply(manifest(size=2))
    assert first is None
    assert world.applier.apply(manifest(size=2), seen_first).action == "unchanged", (
        "what is seen is older than what was done"
    )
    assert world.applier.apply(manifest(size=2), None).action == "unchanged"
    assert writes(api) == 2
    assert world.applier.apply(MANIFEST, seen_first).action == "changed", "what is seen was so before, and is not now"
    assert world.object()["spec"]["size"] == 1
    api.delete(RESOURCE, "a")
    assert world.applier.apply(manifest(size=2), None).action == "created", "it may be gone again"


def test_what_was_written_is_not_kept_once_it_was_seen(world: World) -> None:
    world.apply(MANIFEST)
    which = ref(MANIFEST)
    assert world.applier._applied[which].written is not None
    assert world.apply(MANIFEST) == "unchanged"
    assert world.applier._applied[which].written is None, "it may be a Secret, and there are thousands"


def test_what_somebody_changed_is_applied_again_or_told(world: World) -> None:
    world.apply(MANIFEST)
    world.others({"spec": {"more": "theirs"}})
    assert world.apply(MANIFEST) == "unchanged", "what others add does not matter"
    world.edit(lambda there: there["spec"].pop("colour"))
    assert world.apply(MANIFEST) == "changed"
    assert world.object()["spec"] == {"size": 1, "colour": "blue", "more": "theirs"}
    assert world.apply(manifest(colour=None)) == "changed"
    assert world.object()["spec"] == {"size": 1, "more": "theirs"}, "what is no longer said goes"


def test_a_field_of_another_manager(world: World) -> None:
    world.apply(MANIFEST)
    world.others({"spec": {"size": 9}, "data": {"a": "b"}}, force=True)
    with pytest.raises(ConflictError) as raised:
        world.apply(manifest(size=2))
    assert raised.value.conflicts == (("somebody", ".spec.size"),)
    assert str(raised.value) == "cannot apply Thing a on cluster eu: somebody owns .spec.size"
    assert world.object()["spec"]["size"] == 9, "nothing is forced"


def test_what_the_server_writes_in_its_own_way(api: FakeApi, world: World) -> None:
    # A webhook, say, that turns blue into BLUE each time.
    with api.changed:
        store = api.store
        api.store = lambda resource, there: store(resource, louder(there))  # type: ignore[method-assign]
    assert world.apply(MANIFEST) == "created"
    assert world.object()["spec"]["colour"] == "BLUE"
    assert world.apply(MANIFEST) == "unchanged", "it is what the server made of what was applied"
    assert writes(api) == 1


def louder(there: dict[str, Any]) -> dict[str, Any]:
    return {**there, "spec": {**there["spec"], "colour": there["spec"]["colour"].upper()}}


def test_marks(world: World) -> None:
    world.apply(MANIFEST)
    metadata = world.object()["metadata"]
    assert metadata["labels"] == {"mine": "yes", OWNER_LABEL: OWNER.label}
    assert metadata["annotations"][OWNER_ANNOTATION] == "platform/bridge"
    assert f"{OWNER_LABEL}={metadata['labels'][OWNER_LABEL]}" == OWNER.selector
    assert manifest() == MANIFEST, "what is given is not changed"
    other = Owner("x" * 300)
    assert len(other.label) <= 63


FOREIGN = {
    "a person's": ({}, "it is there, and no bridge made it"),
    "another bridge's": ({OWNER_ANNOTATION: "other/bridge"}, "it belongs to the bridge other/bridge"),
    "a copied label": ({APPLIED_ANNOTATION: "x"}, "it is there, and no bridge made it"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_ours(api: FakeApi, world: World, name: str) -> None:
    annotations, cause = FOREIGN[name]
    before = api.put(RESOURCE, "a", spec={"size": 7}, annotations=annotations)
    for refuse in (lambda: world.apply(MANIFEST), world.delete):
        with pytest.raises(ForeignError) as raised:
            refuse()
        assert str(raised.value).endswith(f" Thing a on cluster eu: {cause}")
    assert world.object()["spec"] == before["spec"]
    assert writes(api) == 0


def test_what_the_watch_has_not_seen(api: FakeApi, world: World) -> None:
    before = api.put(RESOURCE, "a", spec={"size": 1, "colour": "blue"}, labels={"mine": "yes"})
    with pytest.raises(ForeignError, match="no bridge made it"):
        world.applier.apply(MANIFEST, None)
    assert world.object()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_two_bridges(api: FakeApi, world: World) -> None:
    Applier(world.cluster, Owner("other/bridge")).apply(MANIFEST, None)
    with pytest.raises(ForeignError, match="it belongs to the bridge other/bridge"):
        world.applier.apply(MANIFEST, None)
    # Both at the same moment: the other one wrote after this one had looked.
    api.fail(Fault("list", 404))
    with pytest.raises(ForeignError, match="it belongs to another bridge"):
        world.applier.apply(manifest(size=2), None)
    assert world.object()["spec"] == MANIFEST["spec"]


def test_what_was_made_anew_in_the_meantime(api: FakeApi, world: World) -> None:
    world.apply(MANIFEST)
    before = world.look()
    assert before
    api.delete(RESOURCE, "a")
    with pytest.raises(ApiError) as raised:
        world.applier.apply(manifest(size=2), before)
    assert raised.value.status == 409, "gone, though it was seen"
    api.put(RESOURCE, "a", spec={"size": 7})
    with pytest.raises(ApiError):
        world.applier.apply(manifest(size=2), before)
    with pytest.raises(ApiError) as raised:
        world.applier.delete(RESOURCE.api_version, ref(MANIFEST), before)
    assert raised.value.status == 409
    assert world.object()["spec"] == {"size": 7}


def test_delete(api: FakeApi, world: World) -> None:
    world.apply(MANIFEST)
    before = world.look()
    assert before
    world.others({"spec": {"more": "theirs"}})
    with pytest.raises(ApiError, match=r"cannot delete Thing a on cluster eu: .*resourceVersion") as raised:
        world.applier.delete(RESOURCE.api_version, ref(MANIFEST), before)
    assert raised.value.status == 409, "it has changed since it was looked at"
    assert world.delete() == "deleted"
    assert world.look() is None
    assert world.applier.delete(RESOURCE.api_version, ref(MANIFEST), before).action == "absent"
    assert world.apply(MANIFEST) == "created", "and again"


def test_an_object_that_is_being_deleted_is_left_alone(api: FakeApi, world: World) -> None:
    world.apply(MANIFEST)
    world.edit(lambda there: there["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"))
    asked = writes(api)
    assert (world.apply(manifest(size=2)), world.delete()) == ("deleting", "deleting")
    assert writes(api) == asked


def test_dry_run(api: FakeApi, world: World) -> None:
    dry = world.dry()
    assert dry.apply(MANIFEST) == "created"
    assert world.look() is None
    world.apply(MANIFEST)
    assert dry.apply(MANIFEST) == "unchanged"
    result = dry.applier.apply(manifest(size=2, colour=None, list=[{"a": 1}]), world.look())
    assert result.action == "changed"
    assert result.changes == (
        Change("spec.colour", "blue", None),
        Change("spec.list", None, [{"a": 1}]),
        Change("spec.size", 1, 2),
    )
    assert dry.delete() == "deleted"
    assert world.object()["spec"] == MANIFEST["spec"], "nothing has changed"
    assert dry.restarted().apply(MANIFEST) == "unchanged"


def test_unknown_fields_are_an_error(api: FakeApi, world: World) -> None:
    api.schemas["Thing"] = {"size", "colour"}
    with pytest.raises(
        ApiError, match=r'cannot apply Thing a on cluster eu: strict decoding error: unknown field "spec\.szie"'
    ):
        world.apply(manifest(szie=1))


def test_a_kind_that_is_not_served(world: World) -> None:
    missing = {**manifest(), "kind": "Missing"}
    with pytest.raises(
        ClusterError, match=r"cannot apply Missing a on cluster eu: Missing of example\.org/v1 is not served there"
    ):
        world.applier.apply(missing, None)


def test_a_kind_that_was_made_anew(api: FakeApi, world: World) -> None:
    world.apply(MANIFEST)
    api.resources = (replace(RESOURCE, plural="thingies"),)
    api.objects[api.resources[0]] = {}
    api.history[api.resources[0]] = []
    with pytest.raises(ApiError) as raised:
        world.applier.apply(manifest(size=2), None)
    assert raised.value.status == 404
    assert world.applier.apply(manifest(size=2), None).action == "created", "its new path was looked up"


def test_one_error_keeps_nothing_else_from_being_applied(api: FakeApi, world: World) -> None:
    api.put(RESOURCE, "b", spec={})
    many = [manifest(name=name) for name in "abc"]
    outcome = world.applier.apply_all(many, world.look_up)
    assert [(str(result.ref), result.action) for result in outcome.results] == [
        ("Thing a", "created"),
        ("Thing c", "created"),
    ]
    assert [str(error) for error in outcome.errors] == [
        "cannot apply Thing b on cluster eu: it is there, and no bridge made it"
    ]
    assert outcome.writes == 2
    api.fail(Fault("write", cut=0))
    outcome = world.applier.apply_all([manifest(name=name, size=3) for name in "ac"], world.look_up)
    assert (outcome.results, [type(error) for error in outcome.errors]) == ((), [UnreachableError]), (
        "the others would fail too"
    )
    outcome = world.applier.apply_all([manifest(name=name, size=3) for name in "ac"], world.look_up)
    assert [result.action for result in outcome.results] == ["unchanged", "changed"], "only the answer was lost"


def test_a_write_whose_answer_was_lost(api: FakeApi, world: World) -> None:
    api.fail(Fault("write", cut=40))
    with pytest.raises(UnreachableError):
        world.apply(MANIFEST)
    assert world.apply(MANIFEST) == "unchanged", "it was done"
    api.fail(Fault("write", cut=40))
    with pytest.raises(UnreachableError):
        world.apply(manifest(size=2))
    assert world.apply(manifest(size=2)) == "unchanged"
    assert writes(api) == 2


def test_pruning_spares_survivors() -> None:
    def at(name: str, group: str = "example.org") -> Ref:
        return Ref(group, "Thing", "", name)

    there = [at("c"), at("a"), at("b"), at("d"), at("a", "other.org")]
    assert stale(there, desired=[at("a"), at("new")], survivors=[at("b")]) == [at("c"), at("d"), at("a", "other.org")]
    v2 = {**manifest(), "apiVersion": "example.org/v2"}
    assert stale([ref(MANIFEST)], desired=[ref(v2)]) == [], "another version of its group is the same object"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b.c", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c.d"]), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3)


@given(OBJECTS)
def test_an_object_carries_itself_and_does_not_differ_from_itself(value: dict[str, Any]) -> None:
    assert carries(value, copy.deepcopy(value))
    assert changes(value, copy.deepcopy(value)) == ()


@given(OBJECTS, OBJECTS)
def test_what_differs_is_told(before: dict[str, Any], after: dict[str, Any]) -> None:
    told = changes(before, after)
    assert (json.dumps(without(before), sort_keys=True) == json.dumps(without(after), sort_keys=True)) == (not told)
    assert [change.path for change in told] == sorted(
        {change.path for change in told}, key=[change.path for change in told].index
    )


def without(value: Any) -> Any:
    """Without fields that are null: as good as not there."""
    if isinstance(value, dict):
        return {field: without(part) for field, part in value.items() if part is not None}
    return [without(part) for part in value] if isinstance(value, list) else value


@given(OBJECTS, OBJECTS)
def test_what_others_add_is_carried_too(desired: dict[str, Any], more: dict[str, Any]) -> None:
    observed = {**{f"x-{field}": value for field, value in more.items()}, **desired}
    assert carries(observed, desired)


CARRIED: dict[str, tuple[Any, Any, bool]] = {
    "an empty mapping may be left out": ({}, {"a": {}}, True),
    "an empty list may be left out": ({}, {"a": []}, True),
    "null may be left out": ({}, {"a": None}, True),
    "another value": ({"a": 1}, {"a": 2}, False),
    "missing": ({}, {"a": 1}, False),
    "true is not 1": ({"a": 1}, {"a": True}, False),
    "1.0 is 1": ({"a": 1.0}, {"a": 1}, True),
    "an item more": ({"a": [1, 2]}, {"a": [1]}, False),
    "an item with defaults": ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
    "items in another order": ({"a": [1, 2]}, {"a": [2, 1]}, False),
    "a mapping where a value was": ({"a": 1}, {"a": {"b": 1}}, False),
}


@pytest.mark.parametrize("reason", CARRIED)
def test_carries(reason: str) -> None:
    observed, desired, expected = CARRIED[reason]
    assert carries(observed, desired) is expected, reason


def test_what_is_kept_of_an_object_is_small_and_whole() -> None:
    there: Mapping[str, Any] = {
        **OWNER.marked(manifest(list=[{"field": f"value {i}"} for i in range(300)])),
        "status": {"conditions": [{"type": "Ready"}]},
    }
    metadata = {
        **there["metadata"],
        "uid": "u",
        "resourceVersion": "7",
        "managedFields": [{"manager": "x"}],
        "generation": 3,
    }
    kept = seen({**there, "metadata": metadata})
    assert (kept.uid, kept.version, kept.owner, kept.deleting) == ("u", "7", "platform/bridge", False)
    assert kept.manifest == {field: value for field, value in there.items() if field != "status"}
    assert len(kept.packed) < 2000
    again = {**there, "metadata": {**metadata, "resourceVersion": "8"}, "status": {}}
    assert seen(again).packed == kept.packed, "the status is not the bridge's"
