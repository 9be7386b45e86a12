"""A platform for those who show how it is: objects with the statuses that the bridge and Kratix write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridgeworld import PLATFORM_KINDS
from fakeapi import FakeApi, Fault
from fakehttp import Request
from mirrorworld import REQUESTS, mirrored

import promises
from bridge.resources import Resource
from bridge.status.reading import PLACEMENT
from bridge.sync import kinds

Manifest = dict[str, Any]

KINDS = (*PLATFORM_KINDS, REQUESTS, PLACEMENT)
XRD = "caches.xp.caches.example.org"


def condition(type_: str, status: str = "True", reason: str = "Fine", message: str = "") -> Manifest:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def said(*conditions: Manifest, **more: Any) -> Manifest:
    """A CrossplaneCluster's status; by default it is reached and in step."""
    given = {each["type"]: each for each in conditions}
    known = {"Reachable": condition("Reachable"), "Synced": condition("Synced"), **given}
    return {"observedGeneration": 0, "coreVersion": "v2.3.4", "conditions": list(known.values()), **more}


def site(
    api: FakeApi, name: str, status: Mapping[str, Any] | None, labels: Mapping[str, str] | None = None, **spec: Any
) -> None:
    given = spec or {"kubeconfig": {"secretRef": {"name": name}}}
    told = {} if status is None else {"status": dict(status)}
    api.put(kinds.CLUSTER, name, labels=dict(labels or {}), spec=given, **told)


def published(*names: str, version: str = "v1.0.0") -> list[Manifest]:
    return [{"promise": name, "version": version, "xrd": XRD} for name in names]


def refused(name: str, reason: str, kind: str = "Promise") -> Manifest:
    return {"kind": kind, "name": name, "reason": reason}


def promise(api: FakeApi, name: str, *conditions: Manifest, mirror: bool = False, publish: bool = True) -> None:
    made = mirrored(name) if mirror else promises.promise(name)
    labels = {**made["metadata"]["labels"], **({"bridge.kratix.io/publish": "true"} if publish else {})}
    status = {"conditions": list(conditions or [condition("Available")])}
    api.put(kinds.PROMISE, name, labels=labels, spec=made["spec"], status=status)


def destination(api: FakeApi, name: str, *conditions: Manifest, **labels: str) -> None:
    api.put(
        kinds.DESTINATION, name, labels=labels, spec={}, status={"conditions": list(conditions or [condition("Ready")])}
    )


def placement(api: FakeApi, name: str, on: str, written: Manifest | None = None, *, misplaced: bool = False) -> None:
    labels = {"kratix.io/misplaced": "true"} if misplaced else {}
    status = {"status": {"conditions": [written or condition("WriteSucceeded")]}}
    api.put(PLACEMENT, name, "team-a", labels=labels, spec={"targetDestinationName": on}, **status)


def request(
    api: FakeApi, name: str, ready: str, message: str, *conditions: Manifest, on: str = "eu-1", **more: Any
) -> None:
    where = {"cluster": on, "placement": {"state": "Placed", "reason": "the only one with zone=eu"}} if on else {}
    told = {"ready": ready, "message": message, "conditions": list(conditions), **where, **more}
    api.put(REQUESTS, name, "team-a", spec={}, status={"crossplane": told})


def healthy(api: FakeApi) -> None:
    """One cluster, where all is as it should be."""
    counts = {"promises": 1, "published": 1, "destinations": 1}
    site(api, "eu-1", said(counts=counts, published=published("cache")))
    promise(api, "cache", mirror=True)
    destination(api, "dev", env="dev")
    placement(api, "orders.abc", "dev")
    request(api, "orders", "True", "it is ready", condition("Ready"), condition("Synced"))


def by_gitops(api: FakeApi) -> None:
    """A cluster that the bridge never talks to, where all is as it should be."""
    healthy(api)
    told = condition(
        "Reachable", "Unknown", "GitOps", "a GitOps agent brings it in step; the bridge does not talk to it"
    )
    site(api, "far", said(told, counts={"promises": 1, "published": 1}, published=published("cache")), gitops={})


def troubled(api: FakeApi) -> None:
    """Three clusters; something is wrong with all that there is, and something is right."""
    counts = {"promises": 2, "published": 1, "refused": 1, "kept": 1, "destinations": 2}
    reason = "spec.api.spec.versions[0].schema: a field is gone that XRs may have"
    site(
        api,
        "eu-1",
        said(
            condition("Synced", "False", "Refused", "refused: Promise queue"),
            counts=counts,
            published=published("cache"),
            refused=[refused("queue", reason), refused("edge", "its name is too long", "Destination")],
            kept=[{"kind": "Promise", "name": "old", "reason": "2 XRs need the XRD olds.xp.example.org"}],
        ),
    )
    lost = "cannot read /version on cluster us-1: it does not answer (timed out)"
    site(
        api,
        "us-1",
        said(
            condition("Reachable", "False", "Unreachable", lost),
            condition("Synced", "Unknown", "Unreachable", "the cluster is not reached, so what is there is not known"),
            counts={"promises": 2, "published": 1},
            published=published("cache"),
        ),
        labels={"bridge.kratix.io/drain": "true"},
    )
    site(api, "new", None, gitops={})
    promise(api, "cache", mirror=True)
    promise(api, "queue")
    promise(
        api,
        "old",
        condition("Available", "False", "PromiseUnavailable", "a requirement is not installed"),
        publish=False,
    )
    promise(api, "quiet", publish=False)
    destination(
        api, "dev", condition("Ready", "False", "StateStoreNotReady", "the state store refuses the key"), env="dev"
    )
    destination(api, "prod", env="prod", zone="eu")
    placement(api, "orders.abc", "prod")
    placement(api, "orders.def", "dev", condition("WriteSucceeded", "False", "WriteFailed", "authentication failed"))
    placement(api, "users.ghi", "dev", misplaced=True)
    denied = condition("ChecksPassed", "False", "Denied", "billing: team-a has 5 euros a month left")
    request(api, "orders", "True", "it is ready", condition("Ready"))
    request(
        api, "denied", "False", "it is being made: not all is ready", condition("Ready", "False", "Creating"), denied
    )
    request(api, "making", "False", "it is being made: Creating", condition("Ready", "False", "Creating"))
    request(api, "nowhere", "Unknown", "no CrossplaneCluster has zone=mars (2 CrossplaneClusters: 0 with it)", on="")
    since = {"unknownSince": "2026-11-25T12:00:00Z"}
    request(
        api, "lost", "Unknown", "cluster us-1 is not reached: this is what was known of it last", on="us-1", **since
    )


@contextmanager
def platform(*fill: Callable[[FakeApi], None], kinds: tuple[Resource, ...] = KINDS) -> Iterator[FakeApi]:
    with FakeApi(*kinds) as api:
        for each in fill:
            each(api)
        yield api


def refuse(api: FakeApi, status: int, *resources: Resource) -> None:
    """Have requests for these kinds fail from now on."""
    original = api.fault
    paths = tuple(resource.path() for resource in resources)

    def fault(request: Request) -> Fault:
        found = original(request)
        return Fault(status=status) if request.path in paths else found

    api.fault = fault  # type: ignore[method-assign]


def kubeconfig(api: FakeApi, folder: Path) -> Path:
    path = folder / "platform.kubeconfig"
    path.write_bytes(api.kubeconfig())
    return path
