"""A platform with requests, Crossplane clusters with XRs, and the bridge between them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bridgeworld import CACHES, CLUSTER_KINDS, PLATFORM_KINDS, Manifest, World, bridge, held
from fakeapi import FakeApi

import promises
from bridge.api import names as own
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kinds
from function.api import names

REQUESTS = Resource("caches.example.org", "v1alpha1", "Cache", "caches", namespaced=True)
RECORDS = Resource("platform.kratix.io", "v1alpha1", "HealthRecord", "healthrecords", namespaced=True)
BEACONS = kinds.CONFIG_MAP
READY = {"type": "Ready", "status": "True", "reason": "Available"}
CREATING = {"type": "Ready", "status": "False", "reason": "Creating"}
SYNCED = {"type": "Synced", "status": "True", "reason": "ReconcileSuccess"}
TEAM = "team-a"


def mirrored(
    name: str = "cache", *, annotations: Manifest | None = None, labels: Manifest | None = None, **spec: Any
) -> Manifest:
    """A Promise whose requests are mirrored."""
    given = {
        own.PUBLISH_LABEL: "true",
        own.MIRROR_LABEL: "true",
        "kratix.io/promise-version": "v1.0.0",
        **(labels or {}),
    }
    api = promises.api(promises.version(spec={"type": "object", "properties": {"size": {"type": "string"}}}))
    made = promises.promise(name, labels=given, **{"api": api, **spec})
    return {**made, "metadata": {**made["metadata"], "annotations": annotations or {}}}


class Mirrored(World):
    """Such a world, with words for requests and XRs."""

    def request(self, name: str = "orders", namespace: str = TEAM, **spec: Any) -> None:
        metadata = {part: spec.pop(part) for part in ("labels", "annotations") if part in spec}
        before = self.platform.objects[REQUESTS].get(Key(namespace, name)) or {}
        status = {"status": before["status"]} if "status" in before else {}
        self.platform.put(REQUESTS, name, namespace, **metadata, spec=spec, **status)

    def unrequest(self, name: str = "orders", namespace: str = TEAM) -> None:
        self.platform.delete(REQUESTS, name, namespace)

    def told(self, name: str = "orders", namespace: str = TEAM) -> Manifest:
        """A request's status."""
        found = self.platform.there(REQUESTS).get(Key(namespace, name)) or {}
        return dict(found.get("status") or {})

    def said(self, name: str = "orders", namespace: str = TEAM) -> Manifest:
        return dict(self.told(name, namespace).get("crossplane") or {})

    def xr(self, cluster: str, name: str = "orders", namespace: str = TEAM) -> Manifest | None:
        return self.clusters[cluster].there(CACHES).get(Key(namespace, name))

    def where(self, name: str = "orders", namespace: str = TEAM) -> list[str]:
        """The clusters that have its XR."""
        return [cluster for cluster in self.clusters if self.xr(cluster, name, namespace)]

    def becomes(
        self,
        cluster: str,
        *conditions: Manifest,
        name: str = "orders",
        namespace: str = TEAM,
        lit: bool = True,
        **status: Any,
    ) -> None:
        """Core writes an XR's status, and the function lights its beacon."""
        api = self.clusters[cluster]
        with api.changed:
            before = api.objects[CACHES][Key(namespace, name)]
            api.store(CACHES, {**before, "status": {"conditions": list(conditions), **status}})
        if lit:
            of = {
                names.REQUEST_PROMISE_LABEL: "cache",
                names.REQUEST_NAMESPACE_LABEL: namespace,
                names.REQUEST_NAME_LABEL: name,
            }
            data = {"digest": names.digest(repr((conditions, sorted(status.items()))))}
            api.put(BEACONS, f"{name}-status", namespace, labels={names.BEACON_LABEL: "true", **of}, data=data)

    def records(self) -> dict[str, Manifest]:
        return {key.name: found["data"] for key, found in self.platform.there(RECORDS).items()}

    def placed(self, name: str = "orders", namespace: str = TEAM) -> str:
        """Wait until a request has its one XR; returns the cluster."""
        self.until(
            f"{name} has an XR",
            lambda: self.xr(self.said(name, namespace).get("cluster") or next(iter(self.clusters)), name, namespace),
        )
        self.until(f"{name} is on one cluster", lambda: len(self.where(name, namespace)) == 1)
        return self.where(name, namespace)[0]

    def label(self, cluster: str, **labels: str) -> None:
        """Label a CrossplaneCluster; its spec and status stay."""
        with self.platform.changed:
            before = self.platform.objects[kinds.CLUSTER][Key("", cluster)]
            metadata = {
                **before["metadata"],
                "labels": {key.replace("__", "/"): value for key, value in labels.items()},
            }
            self.platform.store(kinds.CLUSTER, {**before, "metadata": metadata})

    def drain(self, cluster: str) -> None:
        self.label(cluster, **{own.DRAIN_LABEL: "true"})

    def secret_of(self, cluster: str, name: str = "orders", namespace: str = TEAM) -> None:
        data = {"uri": base64.b64encode(b"redis://secret").decode()}
        self.clusters[cluster].put(
            kinds.SECRET, f"{name}-connection", namespace, type="connection.crossplane.io/v1alpha1", data=data
        )


@contextmanager
def mirrored_world(
    *clusters: str,
    records: bool = True,
    others: tuple[Resource, ...] = (),
    on: tuple[str, ...] | None = None,
    behind: Resource | None = None,
    **specs: Manifest,
) -> Iterator[Mirrored]:
    """One with CrossplaneClusters and a Promise that is mirrored to them, or to some of them.

    Args:
        on: Those to which; all by default.
        behind: A kind that no watch on the clusters shows anything of that was not there before.
    """
    with ExitStack() as stack:
        platform_kinds = (*PLATFORM_KINDS, REQUESTS, *((RECORDS,) if records else ()), *others)
        platform = stack.enter_context(FakeApi(*platform_kinds))
        remote = (kinds.CONFIG_MAP, kinds.EVENT, kinds.SECRET, kinds.NAMESPACE)
        fakes = {name: stack.enter_context(FakeApi(*CLUSTER_KINDS, *remote)) for name in clusters}
        working = stack.enter_context(bridge(platform))
        for fake in fakes.values() if behind else ():
            stack.enter_context(held(fake, "GET", behind.path(), "watch"))
        world = Mirrored(platform, fakes, working)
        for name in clusters:
            world.site(name, **specs.get(name.replace("-", "_"), {}))
        world.put(mirrored())
        for name in clusters if on is None else on:
            world.until(f"the Promise is on {name}", lambda name=name: world.there(name, kinds.COMPOSITION))
        yield world
