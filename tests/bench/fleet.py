"""Many clusters, simulated by fake API servers: what a change costs, beside what is there."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridgeworld import CLUSTER_KINDS, PLATFORM_KINDS
from bridging import BridgeProcess, crossplane_cluster, secret
from fakeapi import FakeApi, Request

from bench import machine, subject
from bench.figure import Figure
from bench.scale import Scale
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kinds
from testbed.cache import say
from testbed.cluster import eventually

_LONG = 600.0
_QUIET = 2.0
_GROWTH = 10.0  # MB; what 25 Promises changed on 20 clusters is a tenth of that, and an allocator grows in steps
_PUBLISHED = (kinds.XRD, kinds.COMPOSITION)


@dataclass(frozen=True, slots=True)
class _Change:
    """What came of so many changed Promises, while so many existed."""

    exist: int
    change: int
    writes: int
    reads: int
    platform: int
    rss: float


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures."""
    changes: list[_Change] = []
    idle: list[float] = []
    memory: list[tuple[int, float]] = []
    for exist in scale.exist:
        with _World(scale.clusters, exist) as world:
            memory.append((exist, machine.rss(world.pid)))
            say(f"{scale.clusters} clusters with {exist} Promises each are in step")
            idle.append(float(world.asked_while_idle()))
            changes += [world.changed(change) for change in scale.change]
    clusters = scale.clusters
    yield Figure(
        f"{clusters} clusters: requests for objects while nothing changes",
        "",
        idle,
        0,
        f"with {_of(scale.exist)} Promises",
        True,
    )
    for each in changes:
        of = f"{clusters} clusters, {each.exist} Promises, {each.change} changed"
        unit = each.change * clusters
        yield Figure(
            f"{of}: writes for each and cluster", "", [each.writes / unit], 2, "an XRD and a Composition", True
        )
        yield Figure(f"{of}: reads for each and cluster", "", [each.reads / unit], 0, counted=True)
        note = "events and reports"
        yield Figure(f"{of}: requests to the platform for each and cluster", "", [each.platform / unit], 2, note)
    most = max(scale.change)
    grown = [each.rss for each in changes if each.change == most]
    of = f"{clusters} clusters: memory that {most} changed Promises add"
    yield Figure(of, " MB", grown, _GROWTH, f"whether {_of(scale.exist)} Promises exist")
    (few, less), (many, more) = memory[0], memory[-1]
    slope = 1024 * (more - less) / (clusters * (many - few))
    note = f"{less:.0f} MB with {few} Promises, {more:.0f} MB with {many}"
    yield Figure(f"{clusters} clusters: memory for each Promise and cluster", " KB", [slope], None, note)


class _World:
    """Fake API servers in this process, and the bridge in one of its own."""

    def __init__(self, clusters: int, exist: int) -> None:
        self._stack = ExitStack()
        self._exist = exist
        self._revision = 0
        self.platform = self._stack.enter_context(FakeApi(*PLATFORM_KINDS, kinds.LEASE, bookmark=5.0))
        self.clusters = [self._stack.enter_context(FakeApi(*CLUSTER_KINDS, bookmark=5.0)) for _ in range(clusters)]
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))

    def __enter__(self) -> _World:
        self.platform.put(kinds.NAMESPACE, "kube-system")
        for number, cluster in enumerate(self.clusters):
            name = f"site-{number:02}"
            self._put(kinds.SECRET, secret(name, cluster.kubeconfig().decode()))
            self._put(kinds.CLUSTER, crossplane_cluster(name, kubeconfig={"secretRef": {"name": name}}))
        for number in range(self._exist):
            self._put(kinds.PROMISE, subject.promise(number))
            self._put(kinds.DESTINATION, subject.destination(number))
        kubeconfig = self._folder / "kubeconfig"
        kubeconfig.write_bytes(self.platform.kubeconfig())
        self._bridge = BridgeProcess(kubeconfig, self._folder / "bridge")
        self._bridge.start()
        self._stack.callback(self._bridge.kill)
        eventually("all clusters are in step", self._is_synced, timeout=_LONG)
        self._settle()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        return self._bridge.pid

    def asked_while_idle(self) -> int:
        self._forget()
        time.sleep(_QUIET)
        return sum(len(_of_objects(api.requests)) for api in (self.platform, *self.clusters))

    def changed(self, number: int) -> _Change:
        """Change so many Promises at once, and wait until all is everywhere."""
        self._settle()
        self._forget()
        before = machine.rss(self.pid)
        self._revision += 1
        for each in range(number):
            self._put(kinds.PROMISE, subject.promise(each, self._revision))
        eventually("the changes are everywhere", lambda: self._is_there(number), timeout=_LONG)
        self._settle()
        asked = [request for api in self.clusters for request in _of_objects(api.requests)]
        counts = Counter(request.doing for request in asked)
        platform = len(_of_objects(self.platform.requests))
        return _Change(self._exist, number, counts["write"], counts["list"], platform, machine.rss(self.pid) - before)

    def _put(self, kind: Resource, manifest: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        marks = {part: metadata[part] for part in ("labels", "annotations") if part in metadata}
        body = {name: value for name, value in manifest.items() if name not in ("apiVersion", "kind", "metadata")}
        self.platform.put(kind, metadata["name"], metadata.get("namespace", ""), **marks, **body)

    def _is_synced(self) -> bool:
        found = self.platform.there(kinds.CLUSTER).values()
        conditions = [c for each in found for c in (each.get("status") or {}).get("conditions", ())]
        synced = [c for c in conditions if c["type"] == "Synced" and c["status"] == "True"]
        return len(synced) == len(self.clusters) and all(
            len(api.objects[kind]) == self._exist for api in self.clusters for kind in _PUBLISHED
        )

    def _is_there(self, number: int) -> bool:
        wanted = {subject.xrd(each) for each in range(number)}
        return all(
            subject.mark(kind.kind, self._revision) in json.dumps(api.objects[kind][Key("", name)])
            for api in self.clusters
            for kind in _PUBLISHED
            for name in wanted
        )

    def _settle(self) -> None:
        """Wait until nobody asked for anything about an object for a while."""
        quiet = 0
        before = -1
        while quiet < 4:
            time.sleep(0.5)
            now = sum(len(_of_objects(api.requests)) for api in (self.platform, *self.clusters))
            quiet = quiet + 1 if now == before else 0
            before = now

    def _forget(self) -> None:
        """Forget what was asked, and what happened: all watches have seen it."""
        for api in (self.platform, *self.clusters):
            with api.changed:
                api.requests.clear()
                for history in api.history.values():
                    history.clear()


def _of_objects(requests: Sequence[Request]) -> list[Request]:
    """Without watches, the Lease, and looking now and then whether a cluster is there and what it serves."""
    return [each for each in list(requests) if each.doing != "watch" and not _is_upkeep(each)]


def _is_upkeep(request: Request) -> bool:
    serves = request.path.startswith("/apis/") and request.path.count("/") == 3  # provider-kubernetes may come
    return serves or "/leases" in request.path or "/deployments" in request.path or request.path.endswith("/version")


def _of(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
