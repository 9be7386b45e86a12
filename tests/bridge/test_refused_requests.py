"""Requests that are refused, and what of others is left alone: each says why, where its requester sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bridgeworld import CACHES, failing
from fakehttp import Fault
from mirrorworld import CREATING, READY, REQUESTS, SYNCED, TEAM, Mirrored, mirrored, mirrored_world

from bridge.clusters import APPLY
from bridge.errors import ApiError, ClusterError, ForeignError, UnreachableError
from bridge.store import Key
from bridge.sync import kinds, requests
from bridge.sync.intake import Of
from bridge.sync.requests import Requests
from bridge.sync.site import Site
from function.api import names

Manifest = dict[str, Any]


@pytest.fixture
def one() -> Iterator[Mirrored]:
    with mirrored_world("eu-1") as world:
        yield world


def test_requests_that_may_not_be_read_are_said(one: Mirrored):
    api = one.platform
    original = api.fault
    forbidden = Fault("any", status=403)
    path = REQUESTS.path()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "fault", lambda asked: forbidden if asked.path == path else original(asked))
        one.put(mirrored(annotations={"bridge.kratix.io/clusters": "zone=eu"}))  # its watch begins anew
        one.until("it is said", lambda: verdicts(one))
        [(name, reason)] = verdicts(one)
        assert name == "of Promise cache"
        said = "its requests are not mirrored: cannot list caches.caches.example.org on cluster platform: "
        assert reason.startswith(said)
        assert reason.endswith("(HTTP 403); package/deploy/bridge/replies.yaml grants it")
    one.until("it is well again", lambda: not verdicts(one))


PIPELINES = {
    "resource": {
        "configure": [{"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"}}]
    }
}
MARK = {names.BRIDGE_WORKFLOW_LABEL: "function"}
WORKFLOWS: dict[str, tuple[Manifest, Manifest, str]] = {
    "pipelines": (
        {},
        PIPELINES,
        "spec.workflows.resource: would run twice for each mirrored request, by Kratix here and by the function there; "
        "if it is the function's alone, label the Promise bridge.kratix.io/workflow=function",
    ),
    "delete pipelines": (
        {},
        {"resource": {"delete": PIPELINES["resource"]["configure"]}},
        "spec.workflows.resource: would run twice",
    ),
    "marked, and Kratix runs them": (MARK, PIPELINES, "metadata.labels[kratix.io/paused]: must be true"),
    "marked otherwise": (
        {names.BRIDGE_WORKFLOW_LABEL: "kratix"},
        PIPELINES,
        "spec.workflows.resource: would run twice",
    ),
    "marked, and Kratix keeps off": ({**MARK, "kratix.io/paused": "true"}, PIPELINES, ""),
    "a workflow of the Promise itself": ({}, {"promise": PIPELINES["resource"]}, ""),
}


def verdicts(world: Mirrored, cluster: str = "eu-1") -> list[tuple[str, str]]:
    return [(each["name"], each["reason"]) for each in world.status(cluster).get("refused", ())]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_never_runs_twice(one: Mirrored, name: str):
    labels, workflows, refused = WORKFLOWS[name]
    one.put(mirrored(labels=labels, workflows=workflows))
    one.settled()
    one.request()
    if not refused:
        assert one.placed() == "eu-1"
        return
    one.until("it is refused", lambda: any(reason.startswith(refused) for _, reason in verdicts(one)))
    assert [about for about, _ in verdicts(one)] == ["of Promise cache"]
    [(_, why)] = verdicts(one)
    news = ("Refused", f"Its requests are not mirrored: {why}")
    one.until("it is told on the Promise", lambda: news in one.events())
    one.settled()
    assert one.where() == []
    one.put(mirrored())
    one.placed()
    one.until("nothing is refused", lambda: not verdicts(one))


def test_an_xr_that_somebody_made_is_left_alone(one: Mirrored):
    one.clusters["eu-1"].put(CACHES, "orders", TEAM, spec={"size": "theirs"})
    one.request(size="mine")
    why = "apply Cache team-a/orders: it is there, and no bridge made it"
    one.until("it is told", lambda: one.said().get("message") == why)
    one.until("it is reported", lambda: verdicts(one) == [("cache/team-a/orders", why)])
    one.unrequest()
    one.until("nothing is refused", lambda: not verdicts(one))
    one.settled()
    assert (one.xr("eu-1") or {})["spec"] == {"size": "theirs"}


def test_what_was_refused_of_a_promise_that_is_gone_is_not_said(one: Mirrored):
    one.clusters["eu-1"].put(CACHES, "orders", TEAM, spec={"size": "theirs"})
    one.request(size="mine")
    one.until("it is reported", lambda: verdicts(one))
    one.platform.delete(kinds.PROMISE, "cache")
    one.until("nothing is refused", lambda: not verdicts(one))


def test_a_field_that_another_manager_owns_is_a_conflict_that_the_requester_sees(one: Mirrored):
    one.request(size="small")
    one.placed()
    path = CACHES.path(TEAM, "orders")
    body = {"apiVersion": CACHES.api_version, "kind": "Cache", "metadata": {"name": "orders", "namespace": TEAM}}
    cluster = one.bridge.fleet.sites["eu-1"].cluster
    query = {"fieldManager": "somebody", "force": "true"}
    cluster.request("PATCH", path, query=query, body={**body, "spec": {"size": "huge"}}, content_type=APPLY)
    one.request(size="large")
    why = "nothing is known of it yet; apply Cache team-a/orders: somebody owns .spec.size"
    one.until("it is told", lambda: one.said().get("message") == why)
    assert (one.xr("eu-1") or {})["spec"] == {"size": "huge"}


def test_what_the_cluster_does_not_take_is_told_and_tried_again(one: Mirrored):
    one.clusters["eu-1"].schemas["Cache"] = {"size"}
    one.request(colour="red")
    why = 'apply Cache team-a/orders: strict decoding error: unknown field "spec.colour" (HTTP 400)'
    one.until("it is told", lambda: one.said().get("message") == why)
    one.clusters["eu-1"].schemas["Cache"] = {"size", "colour"}
    one.until("it is tried again", lambda: one.xr("eu-1"))


def test_a_name_that_no_xr_can_have(one: Mirrored):
    one.request("n" * 64)
    why = "metadata.name: must have at most 63 characters"
    one.until("it is told", lambda: one.said("n" * 64).get("message") == why)
    one.until("it is reported", lambda: verdicts(one) == [(f"cache/team-a/{'n' * 64}", why)])
    one.unrequest("n" * 64)
    one.until("nothing is refused", lambda: not verdicts(one))
    one.settled()
    assert one.bridge.mirrors._ledger.holding(Of("cache", TEAM, "n" * 64)) == frozenset()


def test_a_secret_of_another_request_is_left_alone():
    with mirrored_world("eu-1", eu_1={"replies": {"connectionSecrets": True}}) as one:
        labels = {names.REQUEST_PROMISE_LABEL: "postgres", names.REQUEST_NAME_LABEL: "orders"}
        one.platform.put(kinds.SECRET, "orders-connection", TEAM, labels=labels, data={"uri": "dGhlaXJz"})
        one.request()
        one.placed()
        one.secret_of("eu-1")
        one.becomes("eu-1", SYNCED, READY)
        why = (
            "it is ready; Secret team-a/orders-connection: is that of request orders of Promise postgres already, "
            "so that of this one does not come back"
        )
        one.until("it is told", lambda: one.said().get("message") == why)
        assert one.platform.there(kinds.SECRET)[Key(TEAM, "orders-connection")]["data"] == {"uri": "dGhlaXJz"}


def test_a_copied_secret_that_somebody_edits_holds_up_no_status():
    with mirrored_world("eu-1", eu_1={"replies": {"connectionSecrets": True}}) as one:
        for name in ("orders", "other"):
            one.request(name)
            one.placed(name)
        one.secret_of("eu-1")
        one.becomes("eu-1", SYNCED, READY)
        one.until("it is there", lambda: one.said().get("connectionSecret"))
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-connection", "namespace": TEAM}}
        one.bridge.platform.cluster.request(
            "PATCH",
            kinds.SECRET.path(TEAM, "orders-connection"),
            query={"fieldManager": "somebody", "force": "true"},
            body={**body, "data": {"uri": "dGhlaXJz"}},
            content_type=APPLY,
        )
        one.becomes("eu-1", SYNCED, CREATING)
        why = "cannot apply Secret team-a/orders-connection on cluster platform: somebody owns .data.uri"
        one.until("it is told", lambda: one.said()["ready"] == "False")
        assert one.said()["message"].endswith(why)
        one.settled()
        one.becomes("eu-1", SYNCED, READY, name="other", lit=False)
        one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
        one.until("the other is told", lambda: one.said("other").get("ready") == "True")


def test_a_connection_secret_that_may_not_be_read_holds_up_no_status():
    with mirrored_world("eu-1", eu_1={"replies": {"connectionSecrets": True}}) as one:
        with failing(one.clusters["eu-1"], kinds.SECRET.path(TEAM, "orders-connection"), status=403):
            one.request()
            one.placed()
            one.becomes("eu-1", SYNCED, READY)
            one.until("it is told", lambda: one.said().get("ready") == "True")
        assert one.said()["message"].startswith(
            "it is ready; cannot read Secret team-a/orders-connection on cluster eu-1"
        )


ERRORS: dict[str, tuple[ClusterError, bool]] = {
    "it is somebody else's": (ForeignError("eu-1", "apply it", "why"), False),
    "refused": (ApiError("eu-1", "apply it", 403, {}), False),
    "a webhook fails": (ApiError("eu-1", "apply it", 500, {}), False),
    "too many requests": (ApiError("eu-1", "apply it", 429, {}), True),
    "no answer": (UnreachableError("eu-1", "apply it", "why"), True),
}


@pytest.mark.parametrize(("error", "is_over"), ERRORS.values(), ids=ERRORS)
def test_a_sweep_goes_on_unless_the_next_one_would_fail_too(
    one: Mirrored, error: ClusterError, is_over: bool, monkeypatch: pytest.MonkeyPatch
):
    for name in ("orders", "other"):
        one.request(name)
        one.placed(name)
    one.settled()
    swept: list[str] = []

    def carry(_: Requests, __: Site, of: Of, listed: Any = None) -> float | None:
        if listed is not None:
            swept.append(of.name)
        if of.name == "orders":
            raise error
        return None

    monkeypatch.setattr(Requests, "carry", carry)
    one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
    one.until("it was swept, and again where it did not end", lambda: len(swept) == 2)
    assert swept == (["orders", "orders"] if is_over else ["orders", "other"])


def test_who_writes_xrs_cannot_write_into_a_request(one: Mirrored):
    """An XR with every mark of a mirrored one, but another name, is neither answered nor deleted."""
    one.request()
    one.placed()
    one.settled()
    mine = (one.xr("eu-1") or {})["metadata"]
    status = {"conditions": [SYNCED, READY], "endpoint": "evil.example.org"}
    one.clusters["eu-1"].put(
        CACHES, "evil", TEAM, labels=mine["labels"], annotations=mine["annotations"], spec={}, status=status
    )
    one.bridge.fleet.sites["eu-1"].add(requests.SWEEP, ["cache"])
    one.settled()
    assert "endpoint" not in one.told()
    assert one.xr("eu-1", "evil") and one.xr("eu-1")
