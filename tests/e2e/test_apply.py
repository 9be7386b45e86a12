"""Server-side apply on a real kube-apiserver: owners, conflicts, preconditions, drift and dry runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from applying import MANIFEST, OWNER, RESOURCE, World, manifest
from bridge.apply import Applier
from bridge.clusters import APPLY, Cluster
from bridge.errors import ApiError, ClusterError, ConflictError, ForeignError
from bridge.observed import Change, Owner, ref
from function.api.names import OWNER_ANNOTATION, OWNER_LABEL
from testbed.cluster import eventually
from testbed.controlplane import ControlPlane

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
SPEC = {
    "size": NUMBER,
    "colour": TEXT,
    "more": TEXT,
    "defaulted": {"type": "string", "default": "yes"},
    "list": {"type": "array", "items": {"type": "object", "properties": {"a": NUMBER, "b": {**NUMBER, "default": 7}}}},
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Cluster",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": SPEC},
                            "status": {"type": "object", "properties": {"phase": TEXT}},
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def cluster(apiserver: ControlPlane) -> Iterator[Cluster]:
    content = apiserver.kubeconfig.read_bytes()
    with Cluster.of_kubeconfig("eu", content, clock=time.monotonic) as cluster:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.org"
        cluster.request("PATCH", path, query={"fieldManager": "test"}, body=CRD, content_type=APPLY)
        eventually("Things are served", lambda: apiserver.cluster.serves("example.org/v1", "Thing"), timeout=30)
        yield cluster


@pytest.fixture
def world(cluster: Cluster) -> World:
    for item in cluster.request("GET", RESOURCE.path())["items"]:
        cluster.request("DELETE", RESOURCE.path(name=item["metadata"]["name"]))
    return World(cluster)


def version(world: World) -> str:
    return str(world.object()["metadata"]["resourceVersion"])


def test_nothing_is_applied_twice(world: World) -> None:
    desired = manifest(list=[{"a": 1}])
    assert world.apply(desired) == "created"
    first = version(world)
    assert world.object()["spec"] == {**desired["spec"], "defaulted": "yes", "list": [{"a": 1, "b": 7}]}
    assert world.apply(desired) == "unchanged", "what the server sets by default does not matter"
    assert world.restarted().apply(desired) == "unchanged"
    assert version(world) == first
    assert world.apply(manifest(size=2)) == "changed"
    assert world.object()["spec"] == {"size": 2, "colour": "blue", "defaulted": "yes"}
    assert world.object()["metadata"]["labels"] == {"mine": "yes", OWNER_LABEL: OWNER.label}
    assert world.object()["metadata"]["annotations"][OWNER_ANNOTATION] == OWNER.identity


def test_the_status_of_what_is_gone_makes_nothing(world: World) -> None:
    with pytest.raises(ApiError) as raised:
        world.tell({"phase": "Fine"})
    assert raised.value.status == 404
    assert world.look() is None


def test_status_is_not_ours(world: World) -> None:
    world.apply(MANIFEST)
    there = world.object()
    there["status"] = {"phase": "Fine"}
    world.cluster.request("PUT", RESOURCE.path(name="a", subresource="status"), body=there)
    assert world.apply(MANIFEST) == "unchanged"
    assert world.object()["status"] == {"phase": "Fine"}


def test_what_somebody_changed(world: World) -> None:
    world.apply(MANIFEST)
    world.others({"spec": {"more": "theirs"}})
    assert world.apply(MANIFEST) == "unchanged"
    world.edit(lambda there: there["spec"].pop("colour"))
    assert world.apply(MANIFEST) == "changed"
    assert world.object()["spec"]["colour"] == "blue"
    assert world.apply(manifest(colour=None)) == "changed"
    assert world.object()["spec"] == {"size": 1, "more": "theirs", "defaulted": "yes"}
    world.edit(lambda there: there["spec"].update(size=9))
    with pytest.raises(ConflictError) as raised:
        world.apply(MANIFEST)
    assert raised.value.conflicts == (("editor", ".spec.size"),)
    assert str(raised.value) == "cannot apply Thing a on cluster eu: editor owns .spec.size"
    assert world.object()["spec"]["size"] == 9


def test_what_is_not_ours(world: World) -> None:
    world.others({"spec": {"size": 1, "colour": "blue"}, "metadata": {"labels": {"mine": "yes"}}})
    first = version(world)
    for there in (None, world.look()):
        with pytest.raises(
            ForeignError, match="cannot apply Thing a on cluster eu: it is there, and no bridge made it"
        ):
            world.applier.apply(MANIFEST, there)
    with pytest.raises(ForeignError, match="cannot delete Thing a"):
        world.delete()
    assert version(world) == first


def test_two_bridges(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Applier(world.cluster, Owner("other/bridge")).apply(MANIFEST, None)
    with pytest.raises(ForeignError, match="it belongs to the bridge other/bridge"):
        world.applier.apply(MANIFEST, None)
    # Both at the same moment: the other one wrote after this one had looked.
    monkeypatch.setattr(world.applier, "_look", lambda *_: None)
    with pytest.raises(ForeignError, match="it belongs to another bridge"):
        world.applier.apply(MANIFEST, None)


def test_made_anew_in_the_meantime(world: World) -> None:
    world.apply(MANIFEST)
    before = world.look()
    assert before
    world.cluster.request("DELETE", RESOURCE.path(name="a"))
    with pytest.raises(ApiError, match="uid mismatch") as raised:
        world.applier.apply(manifest(size=2), before)
    assert raised.value.status == 409, "it is not made"
    assert world.look() is None
    world.others({"spec": {"more": "theirs"}})
    with pytest.raises(ApiError) as raised:
        world.applier.apply(manifest(size=2), before)
    assert raised.value.status in (409, 422), "nor is another one touched"
    with pytest.raises(ApiError) as raised:
        world.applier.delete(RESOURCE.api_version, ref(MANIFEST), before)
    assert raised.value.status == 409
    assert world.object()["spec"] == {"more": "theirs", "defaulted": "yes"}


def test_delete(world: World) -> None:
    world.apply(MANIFEST)
    before = world.look()
    assert before
    world.others({"spec": {"more": "theirs"}})
    with pytest.raises(ApiError) as raised:
        world.applier.delete(RESOURCE.api_version, ref(MANIFEST), before)
    assert raised.value.status == 409, "it has changed since it was looked at"
    assert world.dry().delete() == "deleted"
    assert world.look()
    assert world.delete() == "deleted"
    assert world.look() is None
    assert world.applier.delete(RESOURCE.api_version, ref(MANIFEST), before).action == "absent"


def test_an_object_that_is_being_deleted(world: World) -> None:
    def hold(there: dict[str, Any]) -> None:
        there["metadata"]["finalizers"] = ["example.org/held"]

    world.apply(MANIFEST)
    world.edit(hold)
    assert world.delete() == "deleted"
    assert (world.apply(manifest(size=2)), world.delete()) == ("deleting", "deleting")
    world.edit(lambda there: there["metadata"].pop("finalizers"))
    assert world.apply(manifest(size=2)) == "created"


def test_dry_run(world: World) -> None:
    dry = world.dry()
    assert dry.apply(MANIFEST) == "created"
    assert world.look() is None
    world.apply(MANIFEST)
    first = version(world)
    result = dry.applier.apply(manifest(size=2, colour=None, list=[{"a": 1}]), world.look())
    assert (result.action, result.changes) == (
        "changed",
        (
            Change("spec.colour", "blue", None),
            Change("spec.list", None, [{"a": 1, "b": 7}]),
            Change("spec.size", 1, 2),
        ),
    )
    assert version(world) == first


def test_what_the_server_refuses(world: World) -> None:
    with pytest.raises(ApiError, match=r"cannot apply Thing a on cluster eu: .*\.spec\.szie"):
        world.apply(manifest(szie=1))
    with pytest.raises(ApiError, match=r"cannot apply Thing a on cluster eu: .*spec\.size"):
        world.apply(manifest(size="many"))
    with pytest.raises(ClusterError, match=r"Missing of example\.org/v1 is not served there"):
        world.applier.apply({**MANIFEST, "kind": "Missing"}, None)
    assert world.look() is None
    outcome = world.applier.apply_all([manifest(szie=1), manifest("b")], world.look_up)
    assert ([result.action for result in outcome.results], len(outcome.errors)) == (["created"], 1)
