"""What comes back of XRs to requests: two API servers, with what the bridge keeps of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from fakeapi import FakeApi, Fault
from replyworld import (
    CREATING,
    GROUP,
    READY,
    RECORD,
    REQUEST,
    SYNCED,
    TARGET,
    XR,
    XRD,
    Manifest,
    World,
    spec,
    two_servers,
)

from bridge.clusters import Cluster
from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kinds, replies
from bridge.translate import delegate


@pytest.fixture
def world() -> Iterator[World]:
    with two_servers() as made:
        yield made


def test_status_and_health_come_back(world: World):
    uid = world.request(checks={"reason": "Passed"})["metadata"]["uid"]
    world.xr(SYNCED, READY, endpoint="db.example.org")
    world.reply()
    status = world.status()
    assert status["endpoint"] == "db.example.org"
    assert status["checks"] == {"reason": "Passed"}, "what Kratix wrote stays"
    assert (status["crossplane"]["cluster"], status["crossplane"]["message"]) == ("eu", "it is ready")
    assert status["crossplane"]["conditions"] == [SYNCED, READY]
    [record] = world.records()
    assert (record["state"], record["lastRun"]) == ("healthy", 100)
    [body] = world.platform.there(RECORD).values()
    assert body["metadata"]["ownerReferences"][0]["uid"] == uid


def test_nothing_is_written_twice(world: World):
    world.request()
    world.xr(SYNCED, READY)
    world.reply()
    world.now = 200
    written = len(world.platform.asked("write"))
    world.reply()
    assert len(world.platform.asked("write")) == written


@pytest.mark.parametrize("round_between", [False, True])
def test_a_request_that_is_made_again_under_its_name_is_told(world: World, round_between: bool):
    """Its XR may be the same, and its generation is 1 again."""
    world.request()
    world.xr(SYNCED, READY)
    world.reply()
    assert len(world.memory.told) == 1
    [record] = world.platform.there(RECORD)
    world.platform.delete(REQUEST, "orders", "team-a")
    world.platform.delete(RECORD, record.name, "team-a")
    if round_between:
        world.reply()
        assert world.memory.told == {}, "what is gone is not remembered"
    world.request()
    world.reply()
    assert world.status()["crossplane"]["message"] == "it is ready"
    assert [each["state"] for each in world.records()] == ["healthy"]


def test_what_an_xr_no_longer_says_goes(world: World):
    world.request()
    world.xr(SYNCED, READY, endpoint="db.example.org")
    world.reply()
    world.xr(SYNCED, READY)
    world.reply()
    assert "endpoint" not in world.status()


def test_what_was_ready_is_unhealthy_and_what_never_was_is_being_made(world: World):
    world.request()
    states = []
    for condition in (CREATING, READY, CREATING):
        world.xr(SYNCED, condition)
        world.reply()
        states += [record["state"] for record in world.records()]
    assert states == ["unknown", "healthy", "unhealthy"]


def test_an_xr_that_is_lost_is_said(world: World):
    world.request()
    world.xr(SYNCED, READY)
    world.reply()
    world.cloud.delete(XR, "orders", "team-a")
    world.now = 300
    world.reply()
    [record] = world.records()
    assert (record["state"], record["lastRun"]) == ("unknown", 300)
    assert record["details"]["message"] == "it is not on its cluster"


def test_who_writes_xrs_cannot_write_into_any_request(world: World):
    """The labels name a request whose own status names another XR."""
    request = world.request()
    forged = {**request["status"]["crossplane"], "name": "another"}
    world.platform.put(REQUEST, "orders", "team-a", spec={}, status={"crossplane": forged})
    world.xr(SYNCED, READY, endpoint="evil.example.org")
    world.reply()
    assert world.status() == {"crossplane": forged}
    assert world.records() == []


def test_who_writes_xrs_cannot_have_another_one_counted_as_lost(world: World):
    world.request()
    world.xr(SYNCED, READY)
    [labels] = [xr["metadata"]["labels"] for xr in world.cloud.there(XR).values()]
    world.cloud.put(XR, "z-forged", "team-a", labels=labels, spec={}, status={"conditions": [SYNCED]})
    world.reply()
    assert [record["state"] for record in world.records()] == ["healthy"]


def test_xrs_without_a_request_are_left_alone(world: World):
    world.xr(SYNCED, READY)
    world.cloud.put(XR, "own", "team-a", spec={}, status={"conditions": [SYNCED]})
    world.reply()
    world.promises.clear()
    world.request()
    world.reply()
    assert world.platform.asked("write") == []


def test_a_kratix_without_health_records(world: World):
    with FakeApi(kinds.PROMISE, REQUEST, kinds.SECRET) as older:
        world.platform = older
        world.request()
        world.xr(SYNCED, READY)
        world.reply()
        assert world.status()["crossplane"]["message"] == "it is ready"


def a_secret(world: World, type_: str) -> None:
    world.cloud.put(kinds.SECRET, "orders-connection", "team-a", type=type_, data={"uri": "c2VjcmV0"})


def test_connection_secrets_come_back_where_that_is_wanted(world: World):
    world.request()
    world.xr(SYNCED, READY)
    a_secret(world, "connection.crossplane.io/v1alpha1")
    world.reply()
    assert world.platform.there(kinds.SECRET) == {}, "not by default"
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.reply()
    [secret] = world.platform.there(kinds.SECRET).values()
    assert (secret["data"], secret["type"]) == ({"uri": "c2VjcmV0"}, "Opaque")
    assert world.status()["crossplane"]["connectionSecret"] == "orders-connection"


def test_other_secrets_do_not_come_back(world: World):
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.request()
    world.xr(SYNCED, READY)
    a_secret(world, "Opaque")
    world.reply()
    assert world.platform.there(kinds.SECRET) == {}
    refused = world.site.board.read_one("Request", "team-a/orders").refused
    assert refused.startswith("Secret team-a/orders-connection: is neither of the type")
    assert "c2VjcmV0" not in refused
    assert world.status()["crossplane"]["message"] == "it is ready", "all else comes back"


def test_a_secret_that_somebody_made_is_not_overwritten(world: World):
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.request()
    world.xr(SYNCED, READY)
    a_secret(world, "connection.crossplane.io/v1alpha1")
    world.platform.put(kinds.SECRET, "orders-connection", "team-a", data={"own": "eA=="})
    world.reply()
    [secret] = world.platform.there(kinds.SECRET).values()
    assert secret["data"] == {"own": "eA=="}
    assert "no bridge made it" in world.site.board.read_one("Request", "team-a/orders").refused


def test_a_platform_that_fails_is_tried_again(world: World):
    world.request()
    world.xr(SYNCED, READY)
    world.look()
    world.platform.fail(Fault(on="write", status=500))
    with pytest.raises(ApiError):
        replies.reconcile(world.site, world.view, world.memory, world.now)
    world.reply()
    assert world.status()["crossplane"]["message"] == "it is ready"


def test_without_replies_nothing_is_asked(world: World):
    world.site.spec = spec(replies=None)
    world.look()
    assert replies.reconcile(world.site, world.view, world.memory, 1) is None
    assert world.cloud.requests == world.platform.requests == []


@dataclass(frozen=True)
class Shape:
    """How people create XRs of an XRD, what of it is asked for on its cluster, and where its connection Secret is."""

    spec: Manifest
    resource: Resource
    target: delegate.Target
    secret: tuple[str, str]
    reason: str


_MADE = "team-a-orders-7243e3d0f3"
SHAPES = {
    "claims": Shape(
        {"scope": "LegacyCluster", "claimNames": {"kind": "Database", "plural": "databases"}},
        Resource(GROUP, "v1", "Database", "databases", namespaced=True),
        replace(TARGET, kind="Database", connection_secret=True),
        ("team-a", "orders-connection"),
        "a request became a claim, so the claim is asked for",
    ),
    "XRs of Crossplane 1": Shape(
        {"scope": "LegacyCluster"},
        replace(XR, namespaced=False),
        replace(TARGET, namespaced=False, connection_secret=True),
        ("crossplane-system", f"{_MADE}-connection"),
        "it has no namespace, and its Secret is where delegation asked for it",
    ),
    "in one namespace": Shape(
        {"scope": "Namespaced"},
        XR,
        replace(TARGET, namespace="databases"),
        ("databases", f"{_MADE}-connection"),
        "a name that was made is not the request's, and the Secret goes to the request's namespace all the same",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_an_xr_comes_back(name: str, world: World):
    shape = SHAPES[name]
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.xrds = [{**XRD, "spec": {**XRD["spec"], **shape.spec}}]
    metadata = {"name": "orders", "namespace": "team-a"}
    body = {"apiVersion": REQUEST.api_version, "kind": "Postgres", "metadata": metadata, "spec": {}}
    made = delegate.xr(body, shape.target)
    world.platform.put(REQUEST, "orders", "team-a", spec={}, status=delegate.status(made))
    with FakeApi(shape.resource, kinds.SECRET) as cloud:
        world.site.cluster = Cluster.of_kubeconfig("eu", cloud.kubeconfig(), clock=time.monotonic)
        where = (made["metadata"]["name"], made["metadata"].get("namespace", ""))
        given = {"labels": made["metadata"]["labels"], "spec": made["spec"]}
        seen = cloud.put(shape.resource, *where, **given, status={"conditions": [SYNCED, READY], "endpoint": "db"})
        namespace, secret = shape.secret
        owner = {"kind": shape.resource.kind, "name": where[0], "uid": seen["metadata"]["uid"], "controller": True}
        details = {"type": "connection.crossplane.io/v1alpha1", "data": {"uri": "eA=="}}
        cloud.put(kinds.SECRET, secret, namespace, ownerReferences=[owner], **details)
        world.reply()
    status = world.status()
    assert (status["endpoint"], status["crossplane"]["message"]) == ("db", "it is ready"), shape.reason
    assert status["crossplane"]["connectionSecret"] == secret, shape.reason
    assert list(world.platform.there(kinds.SECRET)) == [Key("team-a", secret)], shape.reason
    assert [record["state"] for record in world.records()] == ["healthy"], shape.reason
