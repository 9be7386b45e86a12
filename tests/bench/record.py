"""The requests that the bridge would send: the same code, and a cluster that writes them down instead."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.bed import Bed
from bridge import dryrun
from bridge.api import names
from bridge.clusters import Answer, Cluster
from bridge.errors import ApiError
from bridge.fleet import Connect
from bridge.sync import kinds

_OBJECT = 5  # slashes in the path of a cluster-scoped custom object; discovery and lists have fewer


class _Recorder(Cluster):
    """A cluster with nothing on it, that takes all and keeps nothing."""

    writes: list[tuple[str, str]]

    def send(self, method: str, path: str, /, **options: Any) -> Answer:
        if method == "PATCH":
            body: Mapping[str, Any] = options["body"]
            query = {name: value for name, value in options["query"].items() if name != "dryRun"}
            self.writes.append((f"{path}?{urlencode(query)}", json.dumps(body, separators=(",", ":"))))
            return Answer(201, {**body, "metadata": {**body["metadata"], "uid": "new", "resourceVersion": "1"}})
        if method == "GET" and path.count("/") == _OBJECT:
            raise ApiError(self.name, f"get {path}", 404, {})
        return super().send(method, path, **options)


def writes(bed: Bed) -> dict[str, Path]:
    """What the bridge would send to each cluster, as files that `bench.bare` reads."""
    recorded: dict[str, list[tuple[str, str]]] = {}

    def remote(name: str, content: bytes) -> Cluster:
        cluster = _Recorder.of_kubeconfig(name, content, clock=time.monotonic)
        cluster.writes = recorded.setdefault(name, [])
        return cluster

    def dry() -> dryrun.Dry:
        with bed.client(bed.platform) as platform:
            found = platform.request("GET", kinds.NAMESPACE.path(name="kube-system"))
            return dryrun.run(
                platform,
                identity=found["metadata"]["uid"],
                namespace=names.NAMESPACE,
                connect=Connect(lambda _: platform, remote),
                clock=time.monotonic,
            )

    found = bed.within(dry)
    assert not found.errors, found.errors
    assert not found.said, found.said
    files = {}
    for name, sent in recorded.items():
        files[name] = bed.run.folder / f"{name}.writes"
        files[name].write_text("".join(f"{json.dumps(lot)}\n" for lot in _lots(sent)), encoding="utf-8")
    return files


def _lots(sent: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """A Promise's XRD and its Composition go by one worker, one after the other; all else by itself."""
    lots: list[list[tuple[str, str]]] = []
    for target, body in sent:
        if target.startswith(kinds.COMPOSITION.path()):
            lots[-1].append((target, body))
        else:
            lots.append([(target, body)])
    return lots
