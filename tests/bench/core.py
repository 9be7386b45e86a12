"""The real Crossplane core with this function, beside the same core with the empty one: how fast it gets through XRs.

The same XRs of example/postgres, made and deleted in turns, once with the example's Composition and once with one whose
step is the empty function. No Kratix runs, so what is measured is core, the API server and the function: an XR is done
when core says that it is synced, and for this function that its Work is there.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from developer import namespace

from bench import machine
from bench.bed import enter, install
from bench.figure import Figure
from bench.scale import Scale
from bridge.clusters import Cluster
from testbed import example, profiles, tools
from testbed.cache import say
from testbed.cluster import eventually
from testbed.crossplane import FUNCTION
from testbed.profiles import Testbed
from testbed.run import Run
from testbed.versions import KRATIX_MANAGER

OURS_RATE = "core with function-kratix: XRs reconciled"
EMPTY_RATE = "core with the empty function: XRs reconciled"
WRITES = "core with {}: writes to the API server in a reconcile"
OURS, _EMPTY = FUNCTION, "function-empty"
# Once without and once with what the function requires: core has no other way to find that nothing more is required.
_CALLS = 2.0
_LONG = 900.0
_CALLERS = 8
_METRICS = 18080
_RECONCILES = re.compile(
    r'^controller_runtime_reconcile_total\{controller="(composite/[^"]*)",result="(\w+)"\} ([0-9.e+]+)$', re.M
)
# Under way: up to a hundred at once (--max-reconcile-rate), which have called the function and are not counted yet.
_ACTIVE = re.compile(r'^controller_runtime_active_workers\{controller="composite/[^"]*"\} ([0-9.e+]+)$', re.M)
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_WRITES = ("APPLY", "PATCH", "POST", "PUT", "DELETE")


@dataclass(frozen=True, slots=True)
class _Turn:
    """What came of making all XRs once."""

    seconds: float
    calls: int
    waiting: int
    reconciles: float
    writes: float
    reads: float
    cpu: Mapping[str, float]


@dataclass
class _World:
    scale: Scale
    testbed: Testbed
    client: Cluster
    threads: ThreadPoolExecutor
    scene: example.Example
    turns: dict[str, list[_Turn]] = field(default_factory=lambda: {OURS: [], _EMPTY: []})

    def turn(self, function: str) -> None:
        """Make all XRs, wait for them, delete them again."""
        xrs = [self._xr(number, function) for number in range(self.scale.core)]
        before, watch = self._counted(function), machine.Stopwatch(self._pids(function))
        list(self.threads.map(self._create, xrs))
        eventually("all XRs are done", lambda: self._done(function) >= len(xrs), timeout=_LONG)
        used = watch.stop()
        after = self._counted(function)
        calls, waiting, reconciles, writes, reads = (new - old for new, old in zip(after, before, strict=True))
        self.turns[function].append(_Turn(used.seconds, int(calls), int(waiting), reconciles, writes, reads, used.cpu))
        say(f"{function}: {len(xrs)} XRs in {used.seconds:.1f} s, {calls:.0f} calls in {reconciles:.0f} reconciles")
        list(self.threads.map(self._delete, xrs))
        eventually("all XRs are gone", lambda: not self._listed(), timeout=_LONG)

    def _xr(self, number: int, function: str) -> dict[str, Any]:
        body = dict(self.scene.xrs["xr-prod"])
        composition = self.scene.composition["metadata"]["name"]
        name = composition if function == OURS else f"{composition}.empty"
        crossplane = {"compositionRef": {"name": name}}
        return {
            **body,
            "metadata": {"name": f"db{number}", "namespace": body["metadata"]["namespace"]},
            "spec": {**body["spec"], "crossplane": crossplane},
        }

    @property
    def _path(self) -> str:
        xrd = self.scene.xrd["spec"]
        where = self.scene.xrs["xr-prod"]["metadata"]["namespace"]
        return f"/apis/{xrd['group']}/v1alpha1/namespaces/{where}/{xrd['names']['plural']}"

    def _create(self, xr: Mapping[str, Any]) -> None:
        self.client.request("POST", self._path, body=xr)

    def _delete(self, xr: Mapping[str, Any]) -> None:
        self.client.request("DELETE", f"{self._path}/{xr['metadata']['name']}")

    def _listed(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get(self._path)["items"]
        return items

    def _get(self, path: str) -> Any:
        return self.threads.submit(self.client.request, "GET", path).result()

    def _done(self, function: str) -> int:
        time.sleep(0.4)
        return sum(_is_done(xr, works=function == OURS) for xr in self._listed())

    def _pids(self, function: str) -> dict[str, int]:
        plane, run = self.testbed.plane, self.testbed.run
        named = {"kube-apiserver": "kube-apiserver", "etcd": "etcd", "core": "crossplane-core", "function": function}
        return {name: run.pid(plane.process(process)) for name, process in named.items()}

    def _counted(self, function: str) -> tuple[float, float, float, float, float]:
        """Calls and those that waited, by the function; reconciles, by core; writes and reads, by the API server."""
        file = _counts(self.testbed, function)
        told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"calls": 0, "waiting": 0}
        core = self._page(self.testbed.plane.port(_METRICS))
        reconciles = sum(float(value) for _, _, value in _RECONCILES.findall(core))
        reconciles += sum(map(float, _ACTIVE.findall(core)))
        served = self._get("/metrics").decode()
        writes = reads = 0.0
        for labels, value in _REQUESTS.findall(served):
            label = dict(_LABEL.findall(labels))
            if label["group"].endswith(("example.org", "kratix.io")):
                writes += float(value) if label["verb"] in _WRITES else 0.0
                reads += float(value) if label["verb"] == "GET" else 0.0
        return told["calls"], told["waiting"], reconciles, writes, reads

    def _page(self, port: int) -> str:
        probe = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/metrics', timeout=10).read().decode())"
        return self.testbed.run.call([sys.executable, "-c", probe])


def _is_done(xr: Mapping[str, Any], *, works: bool) -> bool:
    conditions = {each["type"]: each["status"] for each in xr.get("status", {}).get("conditions", ())}
    refs = xr["spec"].get("crossplane", {}).get("resourceRefs", ())
    return conditions.get("Synced") == "True" and (not works or any(ref["kind"] == "Work" for ref in refs))


def _counts(testbed: Testbed, function: str) -> Path:
    return testbed.plane.folder / f"{function}.calls"


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures."""
    run = Run(f"bench-core-{os.getpid()}")
    testbed = profiles.up("crossplane", run, owner=os.getpid())
    try:
        plane = testbed.plane
        client = Cluster.of_kubeconfig(plane.name, plane.inner_kubeconfig.read_bytes(), clock=time.monotonic)
        with client, ThreadPoolExecutor(_CALLERS, "core", initializer=enter, initargs=(run.namespace,)) as threads:
            world = _World(scale, testbed, client, threads, example.load("postgres"))
            _install(testbed, world.scene)
            for number in range(scale.rounds):
                # Whoever is second finds a larger etcd: the order changes each time.
                for function in (OURS, _EMPTY) if number % 2 else (_EMPTY, OURS):
                    world.turn(function)
            yield from _figures(world)
    finally:
        run.end()


def _install(testbed: Testbed, scene: example.Example) -> None:
    """Kratix's kinds without Kratix, the example without its XRs, and both functions as processes that count."""
    install(testbed.plane, tools.files(KRATIX_MANAGER.module) / "config/crd/bases", "*.yaml")
    testbed.crossplane.kill_function()
    testbed.crossplane.start_function(_command(testbed, OURS, "ours"))
    folder = testbed.plane.folder / "empty-package"
    folder.mkdir()
    meta = {"apiVersion": "meta.pkg.crossplane.io/v1", "kind": "Function", "metadata": {"name": _EMPTY}, "spec": {}}
    (folder / "crossplane.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")
    testbed.crossplane.add_function(_EMPTY, folder=folder, command=_command(testbed, _EMPTY, "empty"))
    composition = scene.composition
    step = {"step": "empty", "functionRef": {"name": _EMPTY}}
    empty = {
        **composition,
        "metadata": {"name": f"{composition['metadata']['name']}.empty"},
        "spec": {**composition["spec"], "pipeline": [step]},
    }
    testbed.plane.cluster.apply(*map(namespace, example.namespaces("postgres")))
    testbed.plane.cluster.apply(*scene.required, scene.xrd, composition, empty)
    served = f"{scene.xrd['spec']['group']}/v1alpha1"
    eventually("the API is served", lambda: testbed.plane.cluster.serves(served, "Postgres"), timeout=_LONG)


def _command(testbed: Testbed, function: str, which: str) -> list[str | Path]:
    return [sys.executable, "-m", "bench.counting", _counts(testbed, function), which]


def _figures(world: _World) -> Iterator[Figure]:
    xrs = world.scale.core
    rates = {name: [xrs / turn.seconds for turn in turns] for name, turns in world.turns.items()}
    yield Figure(EMPTY_RATE, " a second", rates[_EMPTY], note=f"{xrs} new XRs at once")
    yield Figure(OURS_RATE, " a second", rates[OURS], note="each with a Work")
    yield Figure(
        "core: rate with function-kratix, to the empty function's",
        "",
        [one / other for one, other in zip(rates[OURS], rates[_EMPTY], strict=True)],
    )
    turns = world.turns[OURS]
    calls = [turn.calls / turn.reconciles for turn in turns]
    yield Figure("core: function calls in a reconcile", "", calls, _CALLS, "counted by the function")
    waited = [turn.waiting / turn.calls for turn in turns]
    yield Figure("core: part of the calls that come without what is required", "", waited)
    for name, each in world.turns.items():
        yield Figure(f"core with {name}: reconciles of an XR", "", [turn.reconciles / xrs for turn in each])
        yield Figure(WRITES.format(name), "", [turn.writes / turn.reconciles for turn in each])
        # One that was just composed is not in core's cache yet.
        yield Figure(
            f"core with {name}: reads of single objects in a reconcile",
            "",
            [turn.reads / turn.reconciles for turn in each],
            note="XRs and what is composed; lists fill core's cache",
        )
        for program in each[0].cpu:
            spent = [1000 * turn.cpu[program] / xrs for turn in each]
            yield Figure(f"core with {name}: CPU of {program} for an XR", " ms", spent)
