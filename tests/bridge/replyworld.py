"""A platform and a Crossplane cluster with one XRD and its Promise, and what the bridge keeps of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from fakeapi import FakeApi

from bridge.api import crossplanecluster
from bridge.apply import Applier, Result
from bridge.clusters import Cluster
from bridge.queue import Queue
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kept, kinds, replies, xrds
from bridge.sync.desk import Memory
from bridge.sync.site import Site, Task, owner
from bridge.translate import delegate

Manifest = dict[str, Any]

GROUP = "databases.example.org"
XR = Resource(GROUP, "v1", "Postgres", "postgreses", namespaced=True)
REQUEST = Resource(f"kratix.{GROUP}", "v1", "Postgres", "postgreses", namespaced=True)
RECORD = Resource("platform.kratix.io", "v1alpha1", "HealthRecord", "healthrecords", namespaced=True)
FUNCTION = Resource("pkg.crossplane.io", "v1", "Function", "functions", namespaced=False)
RUNTIME = Resource(
    "pkg.crossplane.io", "v1beta1", "DeploymentRuntimeConfig", "deploymentruntimeconfigs", namespaced=False
)
TARGET = delegate.Target("postgres", GROUP, "Postgres")
SYNCED = {"type": "Synced", "status": "True", "reason": "ReconcileSuccess"}
READY = {"type": "Ready", "status": "True", "reason": "Available"}
CREATING = {"type": "Ready", "status": "False", "reason": "Creating"}
XRD = {
    "apiVersion": kinds.XRD.api_version,
    "kind": "CompositeResourceDefinition",
    "metadata": {"name": f"postgreses.{GROUP}", "labels": {"bridge.kratix.io/import": "true"}, "uid": "x"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Postgres", "plural": "postgreses"},
        "versions": [{"name": "v1", "served": True, "referenceable": True}],
    },
}
PROMISE = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Promise",
    "metadata": {"name": "postgres"},
    "spec": {
        "api": {
            "spec": {
                "group": REQUEST.group,
                "names": {"kind": "Postgres", "plural": "postgreses"},
                "versions": [{"name": "v1", "served": True, "storage": True}],
            }
        }
    },
}


@dataclass
class World:
    """A platform and a Crossplane cluster, and a bridge's view of both."""

    platform: FakeApi
    cloud: FakeApi
    site: Site
    memory: Memory = field(default_factory=Memory)
    promises: dict[str, kept.Promise] = field(default_factory=lambda: {"postgres": kept.promise(PROMISE)})
    xrds: list[Manifest] = field(default_factory=lambda: [XRD])
    compositions: list[Manifest] = field(default_factory=list)
    now: int = 100

    @property
    def view(self) -> Any:
        """The platform, as far as the reconcilers look at it."""
        store = SimpleNamespace(get=lambda key: self.promises.get(key.name))
        cluster = Cluster.of_kubeconfig("platform", self.platform.kubeconfig(), clock=time.monotonic)
        return SimpleNamespace(cluster=cluster, promises=SimpleNamespace(store=store))

    def request(self, name: str = "orders", namespace: str = "team-a", **status: Any) -> Manifest:
        body = {
            "apiVersion": REQUEST.api_version,
            "kind": "Postgres",
            "metadata": {"name": name, "namespace": namespace},
        }
        said = delegate.status(delegate.xr({**body, "spec": {}}, TARGET))
        return self.platform.put(REQUEST, name, namespace, spec={}, status={**said, **status})

    def xr(self, *conditions: Manifest, name: str = "orders", namespace: str = "team-a", **status: Any) -> None:
        metadata = {"name": name, "namespace": namespace}
        made = delegate.xr({"apiVersion": REQUEST.api_version, "kind": "Postgres", "metadata": metadata}, TARGET)
        labels = made["metadata"]["labels"]
        self.cloud.put(XR, name, namespace, labels=labels, spec={}, status={"conditions": list(conditions), **status})

    def reply(self) -> None:
        self.look()
        assert replies.reconcile(self.site, self.view, self.memory, self.now) == replies.AGAIN

    def look(self) -> None:
        self.site.shelves[kinds.XRD] = shelf(self.xrds)
        self.site.shelves[kinds.COMPOSITION] = shelf(self.compositions)

    def imported(self) -> float | None:
        self.look()
        return xrds.reconcile(self.site, self.view, f"postgreses.{GROUP}")

    def status(self, name: str = "orders") -> Manifest:
        return dict(self.platform.there(REQUEST)[Key("team-a", name)]["status"])

    def records(self) -> list[Manifest]:
        return [record["data"] for record in self.platform.there(RECORD).values()]


def shelf(manifests: list[Manifest]) -> Any:
    made = {manifest["metadata"]["name"]: kept.of_promise(manifest) for manifest in manifests}
    return SimpleNamespace(all=lambda: list(made.values()), get=made.get)


def nothing(_: str, __: Result) -> None:
    return None


def spec(**more: Any) -> Any:
    whole = {"kubeconfig": {"secretRef": {"name": "eu"}}, "replies": {}, "imports": {"image": "i"}, **more}
    return crossplanecluster.read({"spec": whole})


@contextmanager
def two_servers() -> Iterator[World]:
    """A world whose API servers answer until it is left."""
    with (
        FakeApi(kinds.PROMISE, REQUEST, RECORD, kinds.SECRET) as platform,
        FakeApi(XR, kinds.SECRET, FUNCTION, RUNTIME) as cloud,
    ):
        cluster = Cluster.of_kubeconfig("eu", cloud.kubeconfig(), clock=time.monotonic)
        queue: Queue[Task] = Queue("eu", time.monotonic, cap=1.0)
        yield World(
            platform, cloud, Site("eu", "u", spec(), cluster, Applier(cluster, owner("id", "eu")), queue, nothing)
        )
