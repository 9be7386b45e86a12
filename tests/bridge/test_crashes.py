"""The bridge's own process, killed at random moments between fake API servers, while requests come, change and go.

`tests/e2e/test_fleet_requests.py` does the same with real programs; this one needs seconds, and no rights.
"""

from __future__ import annotations

import random  # noqa: TID251 - a seeded one, when to crash
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bridgeworld import CACHES, CLUSTER_KINDS, PLATFORM_KINDS
from fakeapi import FakeApi
from mirrorworld import READY, RECORDS, REQUESTS, SYNCED, Mirrored, mirrored

from bridge.api import names as own
from bridge.store import Key
from bridge.sync import bindings, kinds
from function.api import names

Manifest = dict[str, Any]

_PATIENCE = 180.0


class Core(threading.Thread):
    """Crossplane on a cluster, and the function: XRs become ready on the version that they select, and beacons follow."""

    def __init__(self, api: FakeApi) -> None:
        super().__init__(daemon=True)
        self._api, self.stop = api, threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.05):
            with self._api.changed:
                for key, xr in list(self._api.objects[CACHES].items()):
                    self._look(key, xr)
                for key in self._api.objects[kinds.CONFIG_MAP].keys() - _lit(self._api.objects[CACHES]):
                    self._api.drop(kinds.CONFIG_MAP, key)

    def _look(self, key: Key, xr: Manifest) -> None:
        selector = (xr["spec"].get("crossplane") or {}).get("compositionRevisionSelector") or {}
        version = (selector.get("matchLabels") or {}).get("kratix.io/promise-version", "newest")
        said = f"{xr['spec'].get('size')} {version}"
        status = {
            "conditions": [SYNCED, {**READY, "message": said}],
            "endpoint": said,
            "kratix": {"promise": {"version": version}},
        }
        if xr.get("status") != status:
            self._api.store(CACHES, {**xr, "status": status})
        labels = xr["metadata"]["labels"]
        of = {label: labels[label] for label in _OF}
        metadata = {
            "name": f"{key.name}-status",
            "namespace": key.namespace,
            "labels": {names.BEACON_LABEL: "true", **of},
        }
        data = {"digest": names.digest(said)}
        there = self._api.objects[kinds.CONFIG_MAP].get(Key(key.namespace, f"{key.name}-status"))
        if there is None or there["data"] != data:
            self._api.store(kinds.CONFIG_MAP, {"metadata": metadata, "data": data})


_OF = (names.REQUEST_PROMISE_LABEL, names.REQUEST_NAMESPACE_LABEL, names.REQUEST_NAME_LABEL)


def _lit(xrs: dict[Key, Manifest]) -> set[Key]:
    return {Key(key.namespace, f"{key.name}-status") for key in xrs}


@dataclass
class Bed(Mirrored):
    """A platform and clusters with a Crossplane that is played, and the bridge as a process."""

    folder: Path = field(kw_only=True)
    chance: random.Random = field(kw_only=True)
    sizes: dict[str, str] = field(default_factory=dict, kw_only=True)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "kubeconfig").write_bytes(self.platform.kubeconfig())
        command = [Path(sys.executable).with_name("kratix-crossplane"), "bridge", "--listen", "127.0.0.1:0"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--kubeconfig", self.folder / "kubeconfig"], stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.platform.delete(kinds.LEASE, own.LEASE, own.LEASE_NAMESPACE)

    def crash(self) -> None:
        """Kill it a while after it began to work, and start it again."""
        before = len(self.platform.asked("write"))
        self.wait("it works", lambda: len(self.platform.asked("write")) > before + 1)  # beside the Lease
        time.sleep(self.chance.uniform(0.0, 1.0))
        self.kill()
        self.start()

    def ask(self, name: str, size: str) -> None:
        self.sizes[name] = size
        self.request(name, labels={"wave": "first" if name.endswith("0") else "second"}, size=size)

    def withdraw(self, name: str) -> None:
        del self.sizes[name]
        self.unrequest(name)

    def wait(self, what: str, holds: Any) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            if self.process and self.process.poll() is not None:
                self.start()  # it could not renew its Lease on a busy machine: a Deployment starts it again
            assert time.monotonic() < deadline, f"never: {what}; {list(self.wrong())}"
            time.sleep(0.05)

    def settle(self, what: str, version: str = "newest") -> None:
        self.wait(what, lambda: not list(self.wrong(version)))

    def wrong(self, version: str = "newest") -> Iterator[str]:
        """What is not as it has to be."""
        for cluster, api in self.clusters.items():
            there = {key.name for key in api.there(CACHES)}
            yield from (f"{cluster} has {name}, which is nobody's" for name in sorted(there - self.sizes.keys()))
        for name, size in sorted(self.sizes.items()):
            where, said, status = self.where(name), self.said(name), self.told(name)
            if len(where) != 1:
                yield f"{name} is on {where}"
            elif (said.get("cluster"), said.get("ready"), status.get("endpoint")) != (
                *where,
                "True",
                f"{size} {version}",
            ):
                yield f"{name} on {where} says {said} {status.get('endpoint')}"
        recorded = {record["resourceRef"]["name"]: record["state"] for record in self.records().values()}
        odd = [name for name in self.sizes if recorded.get(name) != "healthy"]
        if odd:
            yield f"records of {odd}"


@contextmanager
def bed(folder: Path, seed: int) -> Iterator[Bed]:
    with ExitStack() as stack:
        platform = stack.enter_context(FakeApi(*PLATFORM_KINDS, REQUESTS, RECORDS, kinds.LEASE, bindings.BINDING))
        platform.put(kinds.NAMESPACE, "kube-system")
        remote = (kinds.CONFIG_MAP, kinds.EVENT, kinds.SECRET, kinds.NAMESPACE)
        clusters = {name: stack.enter_context(FakeApi(*CLUSTER_KINDS, *remote)) for name in ("eu-1", "eu-2")}
        made = Bed(platform, clusters, None, folder=folder, chance=random.Random(seed))  # type: ignore[arg-type]  # noqa: S311 - a seed
        cores = [Core(api) for api in clusters.values()]
        for core in cores:
            core.start()
        for name in clusters:
            made.site(name)
        made.put(mirrored())
        made.start()
        try:
            yield made
        finally:
            made.kill()
            for core in cores:
                core.stop.set()
                core.join()


@pytest.mark.parametrize("seed", [1])
def test_each_request_has_one_xr_at_the_end(tmp_path: Path, seed: int):
    with bed(tmp_path, seed) as one:
        names_ = [f"r{number:02d}" for number in range(40)]
        for start in range(0, 40, 10):
            for name in names_[start : start + 10]:
                one.ask(name, "small")
            one.crash()
        one.settle("each has its XR")
        assert {one.where(name)[0] for name in names_} == {"eu-1", "eu-2"}

        there = [name for name in names_ if one.where(name) == ["eu-2"]]
        one.clusters["eu-2"].close()
        one.wait("it is lost", lambda: one.condition("eu-2", "Reachable")[0] == "False")
        for name in names_:
            one.ask(name, "large")
        one.withdraw(there[0])
        one.withdraw(there[1])
        one.ask(there[1], "new")  # another of its name
        one.ask("meanwhile", "small")
        one.crash()
        one.wait("it is told", lambda: all("unknownSince" in one.said(name) for name in there[2:]))
        one.clusters["eu-2"].reopen()
        one.settle("all is told again")

        rollout = '{"version": "v2.0.0", "waves": [{"wave": "first"}, {"wave": "second"}]}'
        one.put(mirrored(annotations={"bridge.kratix.io/rollout": rollout}))
        one.crash()
        one.crash()
        one.settle("all are upgraded", "v2.0.0")

        one.drain("eu-2")
        one.crash()
        for name in names_[20:30]:
            if name in one.sizes:
                one.withdraw(name)
        one.crash()
        one.settle("all are elsewhere", "v2.0.0")
        assert not one.clusters["eu-2"].there(CACHES)
