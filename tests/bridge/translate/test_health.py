"""How an XR or an installation is, as a HealthRecord; and what of an XR comes back to its request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.translate import delegate, health, reply
from bridge.translate.health import Health, Subject
from function.api.errors import InvalidError

Manifest = dict[str, Any]

SUBJECT = Subject("postgres", "databases.example.org/v1", "Postgres", "team-a", "orders", "uid-1", 3)
REQUEST = {
    "apiVersion": "kratix.databases.example.org/v1",
    "kind": "Postgres",
    "metadata": {"name": "orders", "namespace": "team-a"},
    "spec": {"size": 3},
}


def condition(type_: str, status: str, reason: str = "Because", message: str = "") -> Manifest:
    when = {"lastTransitionTime": "2026-11-25T00:00:00Z"}
    return {"type": type_, "status": status, "reason": reason, **({"message": message} if message else {}), **when}


SYNCED, READY = condition("Synced", "True"), condition("Ready", "True", "Available")
CREATING = condition("Ready", "False", "Creating", "Unready resources: database")
REFUSED = condition("Synced", "False", "ReconcileError", "cannot apply it")


def xr(*conditions: Manifest, deleting: bool = False, **status: Any) -> Manifest:
    made = delegate.xr(REQUEST, delegate.Target("postgres", "databases.example.org", "Postgres"))
    deleted = {"deletionTimestamp": "2026-11-25T00:00:00Z"} if deleting else {}
    return {**made, "metadata": {**made["metadata"], **deleted}, "status": {"conditions": list(conditions), **status}}


@dataclass(frozen=True)
class Case:
    xr: Mapping[str, Any] | None
    state: str
    message: str
    reason: str
    before: str = ""


CASES: dict[str, Case] = {
    "not there": Case(None, "unknown", "it is not on its cluster", "an agent may not have applied it yet"),
    "new": Case(xr(), "unknown", "nothing is known of it yet", "core has not looked at it"),
    "being made": Case(
        xr(SYNCED, CREATING),
        "unknown",
        "it is being made: Unready resources: database",
        "what takes its time is not unhealthy",
    ),
    "ready": Case(xr(SYNCED, READY), "healthy", "it is ready", "both conditions hold"),
    "ready, without Synced": Case(xr(READY), "healthy", "it is ready", "claims may lack it"),
    "not ready any more": Case(
        xr(SYNCED, CREATING),
        "unhealthy",
        "it is not ready any more: Unready resources: database",
        "core says Creating of both, so the record's own past decides",
        "healthy",
    ),
    "still not ready": Case(
        xr(SYNCED, CREATING),
        "unhealthy",
        "it is not ready any more: Unready resources: database",
        "it stays",
        "unhealthy",
    ),
    "a change that fails": Case(
        xr(REFUSED, READY),
        "degraded",
        "it is ready, and a change is not applied: cannot apply it",
        "what is there works, and is not what was asked for",
    ),
    "cannot be made": Case(
        xr(REFUSED, CREATING), "unhealthy", "it is not applied: cannot apply it", "somebody must act"
    ),
    "paused": Case(
        xr(condition("Synced", "False", "ReconcilePaused")),
        "unhealthy",
        "it is not applied: ReconcilePaused",
        "without a message the reason says it",
    ),
    "deleted": Case(
        xr(SYNCED, READY, deleting=True), "unknown", "it is being deleted", "what goes is neither", "healthy"
    ),
    "a status that is no list": Case(
        {**xr(), "status": {"conditions": "none"}}, "unknown", "nothing is known of it yet", "anything may be there"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_health_of_an_xr(name: str):
    case = CASES[name]
    found = health.of_xr(case.xr, case.before)
    assert (found.state, found.message) == (case.state, case.message), case.reason


DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "crossplane"},
    "status": {"conditions": [condition("Available", "True")]},
}


def package(name: str, *conditions: Manifest, kind: str = "Provider") -> Manifest:
    return {"kind": kind, "metadata": {"name": name}, "status": {"conditions": list(conditions)}}


INSTALLED, HEALTHY = condition("Installed", "True"), condition("Healthy", "True")


@pytest.mark.parametrize(
    ("core", "packages", "managed", "state", "message", "details"),
    [
        (None, [], None, "unknown", "core is not there yet", {}),
        (
            DEPLOYMENT,
            [package("aws", INSTALLED, HEALTHY)],
            3,
            "healthy",
            "core runs, and all packages are healthy",
            {"managedResources": 3},
        ),
        (
            {**DEPLOYMENT, "status": {"conditions": [condition("Available", "False", message="no pod")]}},
            [],
            0,
            "unhealthy",
            "core does not run: no pod",
            {"managedResources": 0},
        ),
        (
            DEPLOYMENT,
            [
                package("b", INSTALLED),
                package("a", condition("Installed", "False", "UnpackingPackage"), kind="Function"),
            ],
            None,
            "degraded",
            "Function a is not installed: UnpackingPackage, and 1 more",
            {
                "packages": [
                    "Function a is not installed: UnpackingPackage",
                    "Provider b is not healthy: it does not say why",
                ]
            },
        ),
    ],
)
def test_the_health_of_an_installation(
    core: Any, packages: list[Manifest], managed: int | None, state: str, message: str, details: Manifest
):
    assert health.of_installation(core, packages, managed) == Health(state, message, details, health.INSTALLATION)  # type: ignore[arg-type] # a str


def test_a_record_is_whole_and_changes_only_with_the_state():
    first = health.record(SUBJECT, health.of_xr(xr(SYNCED, CREATING)), None, 100)
    assert first == {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "HealthRecord",
        "metadata": {
            "name": "orders-crossplane-7243e3d0f3",
            "namespace": "team-a",
            "labels": {
                "kratix.fn.crossplane.io/request-promise": "postgres",
                "kratix.fn.crossplane.io/request-name": "orders",
                "kratix.fn.crossplane.io/health-of": "xr",
            },
            "ownerReferences": [
                {"apiVersion": "databases.example.org/v1", "kind": "Postgres", "name": "orders", "uid": "uid-1"}
            ],
        },
        "data": {
            "promiseRef": {"name": "postgres"},
            "resourceRef": {"name": "orders", "namespace": "team-a", "generation": 3},
            "state": "unknown",
            "lastRun": 100,
            "details": {
                "Synced": {"status": "True", "reason": "Because"},
                "Ready": {"status": "False", "reason": "Creating", "message": "Unready resources: database"},
                "message": "it is being made: Unready resources: database",
            },
        },
    }
    assert health.record(SUBJECT, health.of_xr(xr(SYNCED, CREATING)), first, 200) == first, "nothing to write"
    later = health.record(SUBJECT, health.of_xr(xr(SYNCED, READY)), first, 300)
    assert (later["data"]["state"], later["data"]["lastRun"]) == ("healthy", 300)


def test_records_of_two_requests_have_two_names():
    one, other = (Subject("p", "a/v1", "A", ns, name, "u") for ns, name in (("a", "b-c"), ("a-b", "c")))
    assert health.record_name(one) != health.record_name(other)


def test_whose_an_xr_is():
    assert reply.subject(xr()) == ("postgres", "team-a", "orders")
    assert reply.subject({"metadata": {"labels": {"kratix.fn.crossplane.io/request-name": "orders"}}}) is None
    assert reply.subject({"metadata": {}}) is None


def test_what_comes_back_of_a_status():
    given = xr(
        SYNCED,
        READY,
        endpoint="db.example.org",
        replicas={"ready": 3},
        message="not Kratix's",
        observedGeneration=9,
        workflows=1,
        kratix={"placements": []},
        connectionDetails={"lastPublishedTime": "2026-11-25T00:00:00Z"},
    )
    found = reply.status(given, "eu-1", health.of_xr(given), "orders-connection")
    assert found == {
        "endpoint": "db.example.org",
        "replicas": {"ready": 3},
        "crossplane": {
            "apiVersion": "databases.example.org/v1",
            "kind": "Postgres",
            "name": "orders",
            "namespace": "team-a",
            "cluster": "eu-1",
            "message": "it is ready",
            "connectionSecret": "orders-connection",
            "conditions": [SYNCED, READY],
        },
    }
    own = delegate.status(delegate.xr(REQUEST, delegate.Target("postgres", "databases.example.org", "Postgres")))
    assert found["crossplane"].items() >= own["crossplane"].items(), "what the pipeline said stays true"


@pytest.mark.parametrize(
    ("spec", "metadata", "where"),
    [
        ({}, {"name": "a", "namespace": "n"}, ("n", "a-connection")),
        ({"writeConnectionSecretToRef": {"name": "b"}}, {"name": "a", "namespace": "n"}, ("n", "b")),
        ({"writeConnectionSecretToRef": {"name": "b", "namespace": "s"}}, {"name": "a"}, ("s", "b")),
        ({"writeConnectionSecretToRef": {"name": "b", "namespace": "s"}}, {"name": "a", "namespace": "n"}, ("n", "b")),
    ],
)
def test_where_its_connection_secret_is(spec: Manifest, metadata: Manifest, where: tuple[str, str]):
    assert reply.secret_reference({"metadata": metadata, "spec": spec}) == where


def a_secret(**more: Any) -> Manifest:
    metadata = {"name": "orders-connection", "namespace": "team-a", "labels": more.pop("labels", {})}
    return {"kind": "Secret", "metadata": metadata, "data": {"uri": "eA=="}, **more}


@pytest.mark.parametrize(
    "found",
    [a_secret(type="connection.crossplane.io/v1alpha1"), a_secret(labels={"crossplane.io/composite": "orders"})],
)
def test_a_connection_secret_comes_back(found: Manifest):
    assert reply.secret(SUBJECT, xr(), found) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "orders-connection",
            "namespace": "team-a",
            "labels": health.labels(SUBJECT),
            "ownerReferences": [health.owner_reference(SUBJECT)],
        },
        "type": "Opaque",
        "data": {"uri": "eA=="},
    }


@pytest.mark.parametrize("found", [a_secret(type="Opaque"), a_secret(labels={"crossplane.io/composite": "another"})])
def test_another_secret_of_that_name_does_not(found: Manifest):
    with pytest.raises(InvalidError) as refused:
        reply.secret(SUBJECT, xr(), found)
    assert "Secret team-a/orders-connection: is neither of the type" in str(refused.value)
    assert "eA==" not in str(refused.value)
