"""The bridge in the test's process, between a platform and Crossplane clusters that are fake API servers."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fakeapi import FakeApi, Fault
from fakehttp import Request

import promises
from bridge.api import names
from bridge.clusters import Cluster
from bridge.fleet import Connect
from bridge.options import Options, Outside
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kinds
from bridge.watch import Watch
from bridge.wiring import REPORT as REPORT_TASK
from bridge.wiring import Bridge

Manifest = dict[str, Any]

CACHES = Resource("xp.caches.example.org", "v1alpha1", "Cache", "caches", namespaced=True)
XRD_NAME = "caches.xp.caches.example.org"
PLATFORM_KINDS = (
    kinds.CLUSTER,
    kinds.PROMISE,
    kinds.DESTINATION,
    kinds.WORK,
    kinds.CONFIG_MAP,
    kinds.SECRET,
    kinds.NAMESPACE,
    kinds.EVENT,
)
CLUSTER_KINDS = (
    kinds.XRD,
    kinds.COMPOSITION,
    kinds.ENVIRONMENT_CONFIG,
    kinds.CRD,
    kinds.CLUSTER_PROVIDER_CONFIG,
    kinds.OBJECTS[1],
    CACHES,
)
# The spec of a Promise's API, one with a field more, and one that would break its XRs.
SIZE = {"properties": {"size": {"type": "string"}}}
BOTH = {"properties": {"size": {"type": "string"}, "depth": {"type": "integer"}}}
NARROW = {"properties": {"size": {"type": "integer"}}}
# Ten times as fast as the bridge's own, which every test would wait for several times.
REPORT = 0.1
_PATIENCE = 60.0  # of a busy machine; only what fails waits so long


def cache(name: str = "cache", version: str = "v1.0.0", *, publish: str = "true", **spec: Any) -> Manifest:
    """A Promise; its XRD always has the same name."""
    api = promises.api(promises.version(spec={"type": "object", **spec}))
    return promises.promise(name, labels={"kratix.io/promise-version": version, names.PUBLISH_LABEL: publish}, api=api)


@dataclass
class World:
    """A platform, Crossplane clusters by name, and the bridge."""

    platform: FakeApi
    clusters: Mapping[str, FakeApi]
    bridge: Bridge

    def put(self, manifest: Mapping[str, Any]) -> None:
        """Create or change an object of the platform."""
        resource = next(r for r in PLATFORM_KINDS if r.kind == manifest["kind"])
        metadata = manifest["metadata"]
        before = self.platform.objects[resource].get(Key(metadata.get("namespace", ""), metadata["name"])) or {}
        body = {field: value for field, value in manifest.items() if field not in ("apiVersion", "kind", "metadata")}
        marks = {part: metadata[part] for part in ("labels", "annotations") if part in metadata}
        self.platform.put(
            resource, metadata["name"], metadata.get("namespace", ""), **marks, **{**_status(before), **body}
        )

    def site(self, name: str, **spec: Any) -> None:
        """A CrossplaneCluster, with its Secret."""
        if not spec.keys() & {"inCluster", "gitops", "kubeconfig"}:
            self.secret(name, self.clusters[name].kubeconfig())
            spec["kubeconfig"] = {"secretRef": {"name": name}}
        self.put({"kind": names.KIND, "metadata": {"name": name}, "spec": spec})

    def secret(self, name: str, content: bytes) -> None:
        data = {"kubeconfig": base64.b64encode(content).decode()}
        self.put({"kind": "Secret", "metadata": {"name": name, "namespace": names.NAMESPACE}, "data": data})

    def there(self, cluster: str, resource: Resource) -> dict[str, Manifest]:
        """What a cluster has, by name."""
        found = self.clusters[cluster].there(resource)
        return {key.name: manifest for key, manifest in sorted(found.items())}

    def status(self, name: str) -> Manifest:
        return self.platform.there(kinds.CLUSTER)[Key("", name)].get("status") or {}

    def _statuses(self) -> dict[str, Any]:
        return {key.name: found.get("status") for key, found in self.platform.there(kinds.CLUSTER).items()}

    def condition(self, name: str, type_: str) -> tuple[str, str, str]:
        found = next((c for c in self.status(name).get("conditions", ()) if c["type"] == type_), {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    def events(self) -> list[tuple[str, str]]:
        return sorted((e["reason"], e["note"]) for e in self.platform.there(kinds.EVENT).values())

    def until(self, what: str, holds: Callable[[], object], show: Callable[[], object] = lambda: "") -> None:
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"never: {what}; {show()} {self._statuses()}"
            time.sleep(0.02)

    def until_synced(self, name: str, status: str = "True") -> None:
        self.until(f"{name} is Synced={status}", lambda: self.condition(name, "Synced")[0] == status)

    def settled(self) -> None:
        """Wait until all watches have seen all there is, nothing is to be done, and what was done has been reported."""
        before: list[int] = []

        def still() -> bool:
            nonlocal before
            last, before = before, self._done()
            return bool(before) and before == last

        self.until("nothing is to be done", still)

    def _done(self) -> list[int]:
        """What has happened so far, as numbers; empty while something is under way."""
        apis = {"platform": self.platform, **self.clusters}
        versions = [api.version for api in apis.values()]
        sites = self.bridge.fleet.sites
        watches = [("platform", watch) for watch in self.bridge.platform.watches] + list(self.bridge.mirrors.watches)
        watches += [(name, watch) for name, site in sites.items() for watch in site.watches]
        # A watch has told all of an event before it has its version; one that gets nothing now is waited for by nobody.
        if not all(_is_up_to_date(watch, apis.get(name, self.platform)) for name, watch in watches):
            return []
        queues = [self.bridge.queue, *(site.queue for site in sites.values())]
        numbers = [queue.numbers() for queue in queues]
        reports = any(task.controller == REPORT_TASK for task in list(self.bridge.queue._due))
        if reports or any(each.depth or each.working for each in numbers):
            return []
        return [*versions, *(each.adds for each in numbers)]


def _is_up_to_date(watch: Watch[Any], api: FakeApi) -> bool:
    waits = any(watch._path.startswith(path) for path, gate in api.gates if not gate.is_set())
    if watch.health.error or waits:
        return True
    return watch.health.alive and int(watch._version or 0) >= api.version


@dataclass
class Gate:
    """Requests that wait for it are not begun to be answered."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def until_reached(self) -> None:
        assert self.reached.wait(_PATIENCE), "no request came"

    def open(self) -> None:
        self.opened.set()


@contextmanager
def held(api: FakeApi, method: str, path: str, query: str = "") -> Iterator[Gate]:
    """Have requests of a method wait whose path begins like this, and whose query has that field."""
    gate = Gate()
    original = api.fault
    if method == "GET":
        api.gates.append((path, gate.opened))

    def fault(request: Request) -> Fault:
        same = request.method == method and request.path.startswith(path) and (not query or query in request.query)
        if same and not gate.opened.is_set():
            gate.reached.set()
            assert gate.opened.wait(_PATIENCE), "the gate was never opened"
        return original(request)

    api.fault = fault  # type: ignore[method-assign]
    try:
        yield gate
    finally:
        gate.open()
        api.fault = original  # type: ignore[method-assign]


@contextmanager
def failing(api: FakeApi, path: str, **how: Any) -> Iterator[None]:
    """Have every read of a path go wrong, as a `Fault` says."""
    original = api.fault

    def fault(request: Request) -> Fault:
        there = original(request)
        return Fault("any", **how) if request.method == "GET" and request.path == path else there

    api.fault = fault  # type: ignore[method-assign]
    try:
        yield
    finally:
        api.fault = original  # type: ignore[method-assign]


def _status(before: Mapping[str, Any]) -> Manifest:
    return {"status": before["status"]} if "status" in before else {}


@contextmanager
def world(*clusters: str, others: Sequence[Resource] = ()) -> Iterator[World]:
    """One with a bridge that works, and clusters without CrossplaneClusters yet."""
    with ExitStack() as stack:
        platform = stack.enter_context(FakeApi(*PLATFORM_KINDS))
        fakes = {name: stack.enter_context(FakeApi(*CLUSTER_KINDS, *others)) for name in clusters}
        with bridge(platform) as working:
            yield World(platform, fakes, working)


@contextmanager
def one_cluster() -> Iterator[World]:
    """One with the Crossplane cluster eu-1, which is in step."""
    with world("eu-1") as made:
        made.site("eu-1")
        made.until_synced("eu-1")
        yield made


def published(one: World) -> None:
    """Publish a Promise, and wait until it is there."""
    one.put(cache(**SIZE))
    one.until("it is published", lambda: one.there("eu-1", kinds.COMPOSITION))


def writes(one: World, cluster: str = "eu-1") -> list[str]:
    return [f"{r.method} {r.path}" for r in one.clusters[cluster].asked("write")]


@contextmanager
def bridge(platform: FakeApi, identity: str = "platform-uid") -> Iterator[Bridge]:
    """A bridge that works, until it is stopped."""

    def local(name: str) -> Cluster:
        return Cluster.of_kubeconfig(name, platform.kubeconfig(), clock=time.monotonic)

    def remote(name: str, content: bytes) -> Cluster:
        return Cluster.of_kubeconfig(name, content, clock=time.monotonic)

    outside = Outside(
        clock=time.monotonic,
        now=lambda: datetime(2026, 11, 25, 12, tzinfo=UTC),
        connect=Connect(local, remote),
        reconciled=lambda *_: None,
        under_way=lambda *_: None,
    )
    made = Bridge(local("platform"), Options(identity, names.NAMESPACE, "test", report=REPORT), outside)
    assert made.start(threading.Event())
    try:
        yield made
    finally:
        made.stop()
        made.platform.cluster.close()
