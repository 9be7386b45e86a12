"""What a requester and an auditor see of mirrored requests: the requests of a platform, and their XRs on a fleet."""

from __future__ import annotations

import random  # noqa: TID251 - a seeded one, when to crash
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridging import Bridged, logic
from kubelet import Kubelet

import promises
from bridge.translate import conditions
from function.api import names
from testbed.cluster import Cluster, eventually

Manifest = dict[str, Any]

NAMESPACE = "team-orders"
PROMISE = "crate"
KIND = "Crate"
REQUESTS = ("caches.example.org/v1alpha1", KIND)
XRS = ("xp.caches.example.org/v1alpha1", KIND)
PATIENCE = 900.0  # of a machine that is shared with all else
_TEXT = {"type": "string"}


def promise(version: str = "v1.0.0", *, delete: Manifest | None = None, **annotations: str) -> Manifest:
    """Its Promise; with a delete pipeline it is marked so that Kratix keeps off it."""
    status = {"type": "object", "properties": {"endpoint": _TEXT}, "x-kubernetes-preserve-unknown-fields": True}
    spec = {"type": "object", "properties": {"size": _TEXT, "colour": _TEXT}}
    made = promises.promise(
        PROMISE,
        api=promises.api(promises.version(spec=spec, root={"properties": {"spec": spec, "status": status}}), kind=KIND),
    )
    labels = {
        "kratix.io/promise-version": version,
        "bridge.kratix.io/publish": "true",
        "bridge.kratix.io/mirror": "true",
    }
    if delete is not None:
        made["spec"]["workflows"] = {"resource": {"delete": [delete]}}
        labels |= {"bridge.kratix.io/workflow": "function", "kratix.io/paused": "true"}
    made["metadata"] |= {"labels": labels, "annotations": annotations}
    return made


@dataclass
class Carried:
    """All requests of one Promise, and what has to be so of them.

    Attributes:
        chance: When the bridge is killed.
        specs: What was asked for last, by name.
        waves: The label of each.
        kubelets: Those of each cluster.
    """

    bed: Bridged
    chance: random.Random
    specs: dict[str, Manifest] = field(default_factory=dict)
    waves: dict[str, str] = field(default_factory=dict)
    kubelets: dict[str, Kubelet] = field(default_factory=dict)

    def publish(self, given: Manifest) -> None:
        self.bed.platform.apply(logic(PROMISE, "fleet", ttl="1m"), given)

    def ask(self, name: str, *, wave: str = "", **spec: str) -> None:
        self.specs[name] = dict(spec)
        self.waves[name] = wave or self.waves[name]
        metadata = {"name": name, "namespace": NAMESPACE, "labels": {"wave": self.waves[name]}}
        self.bed.platform.apply({"apiVersion": REQUESTS[0], "kind": KIND, "metadata": metadata, "spec": spec})

    def withdraw(self, name: str) -> None:
        del self.specs[name], self.waves[name]
        self.bed.platform.delete(*REQUESTS, name, NAMESPACE)

    def crash(self, times: int = 1) -> None:
        for _ in range(times):
            self.bed.crash(self.chance.uniform(0.0, 2.0))

    def told(self) -> dict[str, Manifest]:
        """Each request's status."""
        return {m["metadata"]["name"]: m.get("status") or {} for m in self.bed.platform.list(*REQUESTS, NAMESPACE)}

    def where(self) -> dict[str, str]:
        """Where each request says that its XR is."""
        return {name: str((status.get("crossplane") or {}).get("cluster")) for name, status in self.told().items()}

    def xrs(self) -> dict[str, dict[str, Manifest]]:
        """All XRs, by cluster and name."""
        return {
            at: {m["metadata"]["name"]: m for m in plane.cluster.list(*XRS, NAMESPACE)}
            for at, plane in self.bed.others.items()
        }

    def settle(self, what: str, version: str = "v1.0.0") -> None:
        """Wait until everything is as it has to be."""

        def is_right() -> bool:
            self.bed.process.revive()
            return not list(self.wrong(version))

        eventually(what, is_right, timeout=PATIENCE, show=lambda: list(self.wrong(version)))

    def wrong(self, version: str) -> Iterator[str]:
        """What is not so yet: each request has one XR, says how it is, and nothing is there that nobody asked for."""
        told, xrs = self.told(), self.xrs()
        if told.keys() != self.specs.keys():
            yield f"requests: {sorted(told.keys() ^ self.specs.keys())}"
        for at, found in xrs.items():
            yield from (f"{at} has {name}, which is nobody's" for name in sorted(found.keys() - self.specs.keys()))
            yield from _made(self.bed.others[at].cluster, at, found, version)
        for name, spec in self.specs.items():
            places = [at for at, found in xrs.items() if name in found]
            if len(places) != 1:
                yield f"{name} is on {places}"
                continue
            xr, status = xrs[places[0]][name], told.get(name) or {}
            yield from (f"{name}: {problem}" for problem in _differs(places[0], xr, spec, status))
            if xr["metadata"]["labels"].get("wave") != self.waves[name]:
                yield f"{name}: the labels are not its request's"


def _made(cluster: Cluster, at: str, xrs: Mapping[str, Manifest], version: str) -> Iterator[str]:
    """What the function composes of XRs, and what delete pipelines leave."""
    maps = {m["metadata"]["name"]: m for m in cluster.list("v1", "ConfigMap", NAMESPACE)}
    composed = {name: m["data"]["version"] for name, m in maps.items() if "version" in (m.get("data") or {})}
    if composed != {f"{PROMISE}-{name}": version for name in xrs}:
        odd = {name for name, found in composed.items() if found != version}
        yield f"{at} has composed {sorted(odd | composed.keys() ^ {f'{PROMISE}-{name}' for name in xrs})}"
    lit = sorted(
        m["metadata"]["labels"][names.REQUEST_NAME_LABEL]
        for m in maps.values()
        if names.BEACON_LABEL in (m["metadata"].get("labels") or {})
    )
    if lit != sorted(xrs):
        yield f"{at} has beacons for others: {sorted(set(lit) ^ xrs.keys())}"
    for kind in (
        ("batch/v1", "Job"),
        ("v1", "ConfigMap"),
        ("v1", "ServiceAccount"),
        (_RBAC, "Role"),
        (_RBAC, "RoleBinding"),
    ):
        left = cluster.list(*kind, NAMESPACE, labels=f"{names.ACTION_LABEL}=delete")
        yield from (f"{at} has {kind[1]} {m['metadata']['name']} of a delete pipeline" for m in left)


_RBAC = "rbac.authorization.k8s.io/v1"


def _differs(at: str, xr: Manifest, spec: Mapping[str, str], status: Mapping[str, Any]) -> Iterator[str]:
    said, own = status.get("crossplane") or {}, {k: v for k, v in xr["spec"].items() if k != "crossplane"}
    if own != spec:
        yield f"the XR's spec is {own}"
    if (said.get("cluster"), said.get("ready")) != (at, "True"):
        yield f"on {at}, and says {said.get('cluster')}: {said.get('ready')} ({said.get('message')})"
    fields = ("type", "status", "reason", "message", "lastTransitionTime")
    there = [{f: c[f] for f in fields if f in c} for c in conditions.of(xr)]
    if said.get("conditions") != there:
        yield "its conditions are not the XR's"
    if status.get("endpoint") != (xr.get("status") or {}).get("endpoint"):
        yield "its endpoint is not the XR's"
