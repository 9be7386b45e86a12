"""ResourceBindings and roll-outs in a world with mirrored requests: what is asked for, and what XRs follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridgeworld import CACHES
from fakeapi import FakeApi, Fault
from mirrorworld import READY, SYNCED, TEAM, Mirrored, mirrored

from bridge.store import Key
from bridge.sync import bindings, versions
from bridge.sync.site import Task

Manifest = dict[str, Any]
ROLLOUT = "bridge.kratix.io/rollout"


def rollout(world: Mirrored, version: str, *waves: Manifest) -> None:
    """Annotate the Promise with a roll-out."""
    world.put(mirrored(annotations={ROLLOUT: json.dumps({"version": version, "waves": list(waves)})}))


def binding(world: Mirrored, version: str, name: str = "orders") -> None:
    spec = {"version": version, "promiseRef": {"name": "cache"}, "resourceRef": {"name": name, "namespace": TEAM}}
    before = world.platform.there(bindings.BINDING).get(Key(TEAM, name)) or {}
    world.platform.put(
        bindings.BINDING, name, TEAM, spec=spec, **({"status": before["status"]} if "status" in before else {})
    )


def told(world: Mirrored, name: str = "orders") -> tuple[str, str, Any, Any]:
    status = world.platform.there(bindings.BINDING)[Key(TEAM, name)].get("status") or {}
    [condition] = status.get("conditions") or [{}]
    reason, message = condition.get("reason", ""), condition.get("message", "")
    return reason, message, status.get("lastAppliedVersion"), status.get("failedVersion")


def selected(world: Mirrored, cluster: str, name: str = "orders") -> str:
    found = world.xr(cluster, name) or {}
    selector = found.get("spec", {}).get("crossplane", {}).get("compositionRevisionSelector", {})
    return str(selector.get("matchLabels", {}).get("kratix.io/promise-version", ""))


def until(world: Mirrored, what: str, holds: Any, show: Any = lambda: "") -> None:
    def looked() -> bool:
        world.bridge.queue.add(Task(versions.NAME, "", "cache"))
        return bool(holds())

    world.until(what, looked, show)


def runs(world: Mirrored, cluster: str, version: str, *conditions: Manifest, name: str = "orders") -> None:
    """Core and the function have done it: this version is applied."""
    world.becomes(
        cluster, *(conditions or (SYNCED, READY)), name=name, kratix={"promise": {"name": "cache", "version": version}}
    )


def births(world: Mirrored, cluster: str, name: str = "orders") -> list[str]:
    """The versions that XRs of a name were made on, in the order in which they were made."""
    events = world.clusters[cluster].history[CACHES]
    made = [manifest for _, kind, manifest in events if kind == "ADDED" and manifest["metadata"]["name"] == name]
    return [_version(xr) for xr in made]


def _version(xr: Manifest) -> str:
    selector = xr["spec"].get("crossplane", {}).get("compositionRevisionSelector", {})
    return str(selector.get("matchLabels", {}).get("kratix.io/promise-version", ""))


@contextmanager
def refusing(api: FakeApi, status: int, method: str, path: str) -> Iterator[None]:
    """Have requests of a method whose path begins like this answered with an error, until it is left."""
    original = api.fault

    def fault(request: Any) -> Fault:
        found = original(request)
        same = request.method == method and request.path.startswith(path)
        return Fault(status=status) if same else found

    api.fault = fault  # type: ignore[method-assign]
    try:
        yield
    finally:
        api.fault = original  # type: ignore[method-assign]
