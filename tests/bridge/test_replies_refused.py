"""Replies where one of them cannot be given: all others are, and the CrossplaneCluster says which one is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakeapi import FakeApi, Fault
from replyworld import GROUP, READY, RECORD, REQUEST, SYNCED, XR, XRD, World, spec, two_servers

from bridge.apply import Applier
from bridge.errors import ApiError
from bridge.sync import kinds, replies
from bridge.sync.board import Outcome
from bridge.sync.site import owner

OTHER = replace(XR, kind="Aaa", plural="aaas")


@pytest.fixture
def world() -> Iterator[World]:
    with two_servers() as made:
        yield made


def refuse(api: FakeApi, status: int, path: str, method: str = "") -> None:
    """Have requests whose path begins like this answered with an error, from now on."""

    def fault(request: Any) -> Fault:
        same = request.path.startswith(path) and request.method.startswith(method)
        return Fault(status=status) if same else Fault()

    api.fault = fault  # type: ignore[method-assign]


def noted(world: World) -> dict[str, Outcome]:
    return dict(world.site.board.read("Request"))


def two(world: World) -> None:
    for name in ("a", "b"):
        world.request(name)
        world.xr(SYNCED, READY, name=name)


def test_a_record_of_another_cluster_holds_up_no_other_reply(world: World):
    """A CrossplaneCluster that has another name now is another owner: what it wrote before is not its own any more."""
    world.request("a")
    world.xr(SYNCED, READY, name="a")
    world.reply()
    world.request("b")
    world.xr(SYNCED, READY, name="b")
    world.request("c")
    world.xr(SYNCED, READY, name="c")
    world.site.name = "europe"
    world.site.applier = Applier(world.site.cluster, owner("id", "europe"))
    world.reply()
    assert world.status("b")["crossplane"]["message"] == "it is ready"
    assert world.status("c")["crossplane"]["cluster"] == "europe"
    [(name, outcome)] = noted(world).items()
    assert name == "team-a/a"
    assert outcome.refused.endswith("it belongs to the bridge id/eu")
    [body] = [each for each in world.platform.there(RECORD).values() if each["data"]["resourceRef"]["name"] == "a"]
    world.platform.delete(RECORD, body["metadata"]["name"], "team-a")
    world.reply()
    assert noted(world) == {}, "what is mended is not said any more"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_request_that_may_not_be_read_or_written_holds_up_no_other_reply(world: World, method: str):
    two(world)
    world.request("lost")
    world.xr(SYNCED, READY, name="lost")
    world.reply()
    world.cloud.delete(XR, "lost", "team-a")
    for name in ("a", "b"):
        world.xr(SYNCED, READY, name=name, endpoint="new")
    refuse(world.platform, 403, REQUEST.path("team-a", "a"), method)
    world.reply()
    assert world.status("b")["endpoint"] == "new"
    [(name, outcome)] = noted(world).items()
    assert (name, outcome.refused) == ("team-a/a", "")
    assert "HTTP 403" in outcome.failed
    states = {record["resourceRef"]["name"]: record["state"] for record in world.records()}
    assert states == {"a": "healthy", "b": "healthy", "lost": "unknown"}, "and what is lost is said"


def test_a_connection_secret_that_may_not_be_read_holds_up_no_status(world: World):
    world.site.spec = spec(replies={"connectionSecrets": True})
    world.request("a")
    world.xr(SYNCED, READY, name="a")
    refuse(world.cloud, 403, kinds.SECRET.path("team-a", "a-connection"))
    world.reply()
    assert world.status("a")["crossplane"]["message"] == "it is ready"
    assert [record["state"] for record in world.records()] == ["healthy"]
    [(name, outcome)] = noted(world).items()
    assert name == "team-a/a"
    assert outcome.refused.startswith("cannot read Secret team-a/a-connection on cluster eu")
    assert "HTTP 403" in outcome.refused


def test_a_webhook_that_fails_for_one_holds_up_no_other_reply_and_is_tried_again(world: World):
    two(world)
    world.look()
    refuse(world.platform, 500, REQUEST.path("team-a", "a", "status"))
    with pytest.raises(ApiError):
        replies.reconcile(world.site, world.view, world.memory, world.now)
    assert world.status("b")["crossplane"]["message"] == "it is ready"


def test_a_kind_that_may_not_be_listed_holds_up_no_other_and_nothing_of_it_is_lost(world: World):
    names = {"kind": "Aaa", "plural": "aaas"}
    more = {**XRD, "metadata": {**XRD["metadata"], "name": f"aaas.{GROUP}"}, "spec": {**XRD["spec"], "names": names}}
    world.xrds = [more, XRD]
    two(world)
    refuse(world.cloud, 403, OTHER.path())
    world.reply()
    assert world.status("b")["crossplane"]["message"] == "it is ready"
    [(name, outcome)] = noted(world).items()
    assert (name, "HTTP 403" in outcome.failed) == (f"of XRD aaas.{GROUP}", True)
    refuse(world.cloud, 403, XR.path())
    world.now = 300
    world.reply()
    assert [record["state"] for record in world.records()] == ["healthy", "healthy"]


def test_what_was_said_in_a_round_that_broke_off_is_taken_back(world: World):
    two(world)
    whole = world.platform.fault
    refuse(world.platform, 403, REQUEST.path("team-a", "a", "status"))
    world.look()
    original = world.platform.fault
    world.platform.fault = (  # type: ignore[method-assign]
        lambda request: (
            Fault(status=429) if request.path == REQUEST.path("team-a", "b", "status") else original(request)
        )
    )
    with pytest.raises(ApiError):
        replies.reconcile(world.site, world.view, world.memory, world.now)
    assert list(noted(world)) == ["team-a/a"]
    world.platform.fault = whole  # type: ignore[method-assign]
    world.reply()
    assert noted(world) == {}


def test_what_is_refused_of_a_request_that_is_gone_is_not_said_for_ever(world: World):
    world.request("a")
    world.xr(SYNCED, READY, name="a")
    refuse(world.platform, 403, REQUEST.path("team-a", "a", "status"))
    world.reply()
    assert list(noted(world)) == ["team-a/a"]
    world.site.board.write("Request", "of Promise cache", Outcome(refused="it is another's"))
    world.platform.delete(REQUEST, "a", "team-a")
    world.cloud.delete(XR, "a", "team-a")
    world.reply()
    assert list(noted(world)) == ["of Promise cache"], "and what others said stays"
