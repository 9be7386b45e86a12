"""The bridge against real API servers."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench import figure, machine, record, subject
from bench.bed import SITES, WRITES, Bed, Process, bed, in_lots
from bench.figure import Figure
from bench.scale import Scale
from bridge.clusters import Cluster
from bridge.errors import ClusterError
from bridge.sync import kinds
from function.api.names import APPLIED_ANNOTATION
from testbed.cache import say
from testbed.cluster import eventually

WORKERS = 4  # on each cluster; the bridge's default
_LONG = 900.0


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures."""
    with bed() as up:
        say(f"{scale.promises} Promises and {scale.destinations} Destinations are made")
        _fill(up, scale)
        run = _Rounds(up, scale)
        yield from run.first_syncs()
        yield from run.restarts()
        yield from run.steady()
        yield from run.changes()


def _fill(up: Bed, scale: Scale) -> None:
    calls = [(kinds.PROMISE.path(), subject.promise(number)) for number in range(scale.promises)]
    calls += [(kinds.DESTINATION.path(), subject.destination(number)) for number in range(scale.destinations)]
    with up.client(up.platform) as cluster:
        in_lots(up, cluster, calls)


@dataclass
class _Sync:
    """One first sync by the bridge; seconds from the start of its process."""

    whole: machine.Used
    reached: float
    writing: float


@dataclass
class _Rounds:
    up: Bed
    scale: Scale
    process: Process | None = None
    _rss: list[float] = field(default_factory=list)

    @property
    def _expected(self) -> int:
        return len(SITES) * (2 * self.scale.promises + self.scale.destinations)

    @property
    def bridge(self) -> Process:
        assert self.process
        return self.process

    # The first sync, and the same writes by a bare client.

    def first_syncs(self) -> Iterator[Figure]:
        self.up.fresh()
        self.up.register()
        files = record.writes(self.up)
        assert sum(_count(file.read_text(encoding="utf-8")) for file in files.values()) == self._expected
        synced, bared, requests = [], [], Counter[tuple[str, str, str]]()
        bare, bridge = self._bare(files, apart=False).seconds, self._bridge(Counter(), apart=False).writing
        self._end()
        say(f"on all cores: bridge {bridge:.1f} s, bare {bare:.1f} s")
        for number in range(self.scale.rounds):
            # The order changes each time; the last is the bridge's, whose clusters are measured further.
            first = (self.scale.rounds - number) % 2 == 0
            if self.process:
                self._end()  # the one of the last round
            if first:
                synced.append(self._bridge(requests, apart=True))
                self._end()
            bared.append(self._bare(files, apart=True))
            applied = self._applied()
            if not first:
                synced.append(self._bridge(requests, apart=True))
                assert self._applied() == applied, "the bridge and the bare client make the same"
            say(f"round {number + 1}: bridge {synced[-1].whole.seconds:.1f} s, bare {bared[-1].seconds:.1f} s")
        self._place(apart=False)
        yield from _sync_figures(self.up, synced, bared, self._expected)
        name = "first sync: the same with servers and client on all cores"
        yield Figure(name, "", [bridge / bare], None, "what both compute counts too")
        yield Figure("memory after the first sync: RSS", " MB", [machine.rss(self.bridge.pid)], 150)
        yield Figure("memory during the first sync: peak", " MB", [machine.rss(self.bridge.pid, "VmHWM")], 150)
        rounds = self.scale.rounds
        for name, amount in sorted(_by_kind(requests).items()):
            bound = self._most(name)
            yield Figure(f"first sync, requests: {name}", "", [amount / rounds], bound, counted=bound is not None)

    def _most(self, name: str) -> float | None:
        """One write for each object and cluster, and no read."""
        promises, destinations = (len(SITES) * number for number in (self.scale.promises, self.scale.destinations))
        of = {"compositeresourcedefinitions": promises, "compositions": promises, "environmentconfigs": destinations}
        verb, _, resource = name.partition(" ")
        if resource not in of:
            return None
        return {"APPLY": float(of[resource]), "GET": 0.0}.get(verb)

    def _place(self, *, apart: bool) -> set[int]:
        """Where a client is started: apart from the API servers, as the bridge is from those of clusters."""
        servers, client = machine.cores()
        if not apart:
            servers = client = servers | client
        for pid in self.up.servers().values():
            machine.confine(pid, servers)
        return client

    def _bridge(self, requests: Counter[tuple[str, str, str]], *, apart: bool) -> _Sync:
        self.up.fresh()
        self.up.register()
        self.up.calm()
        before = self.up.requests()
        with machine.started_on(self._place(apart=apart)):
            watch = machine.Stopwatch(self.up.servers())
            process = self.process = Process(self.up)
        eventually("all is written", lambda: process.works and _created(process) >= self._expected, timeout=_LONG)
        lines = _lines(process)
        ends = [_at(line) - process.began for line in lines if line["msg"] == "created"][-1]
        used = watch.stop(ends, bridge=machine.cpu(process.pid))
        reached = min(_at(line) for line in lines if line["msg"] == "reached") - process.began
        for name in SITES:
            eventually(f"{name} is in step", lambda name=name: self._is_synced(name), timeout=_LONG)
        assert _created(process) == self._expected
        requests.update(self.up.requests() - before)
        return _Sync(used, reached, ends - reached)

    def _bare(self, files: dict[str, Any], *, apart: bool) -> machine.Used:
        self.up.fresh()
        arguments = [str(WORKERS)]
        for name, plane in self.up.planes.items():
            arguments += [str(self.up.kubeconfig(plane)), str(files[name])]
        command = [sys.executable, "-m", "bench.bare", *arguments]
        with machine.started_on(self._place(apart=apart)):
            watch = machine.Stopwatch(self.up.servers())
            done = json.loads(self.up.run.call(command, env={"PYTHONPATH": ":".join(p for p in sys.path if p)}))
        return watch.stop(done["seconds"], client=done["cpu"])

    def _end(self) -> None:
        self.bridge.stop()
        self.process = None

    def _is_synced(self, name: str) -> bool:
        found = self.up.platform.cluster.get("bridge.kratix.io/v1alpha1", "CrossplaneCluster", name) or {}
        conditions = (found.get("status") or {}).get("conditions", ())
        return any(each["type"] == "Synced" and each["status"] == "True" for each in conditions)

    def _applied(self) -> dict[tuple[str, str, str], str]:
        """The digest of what was applied, for each object of each cluster."""
        found = {}
        for name, plane in self.up.planes.items():
            for kind in (kinds.XRD, kinds.COMPOSITION, kinds.ENVIRONMENT_CONFIG):
                for item in self.up.within(_listed, self.up, plane, kind.path()):
                    metadata = item["metadata"]
                    found[name, kind.kind, metadata["name"]] = metadata["annotations"][APPLIED_ANNOTATION]
        assert len(found) == self._expected
        return found

    # A restart with nothing changed.

    def restarts(self) -> Iterator[Figure]:
        ready, looked, writes, computed = [], [], [], []
        for number in range(self.scale.restarts):
            say(f"restart {number + 1} of {self.scale.restarts}")
            self._end()
            self.up.calm()
            before = self.up.requests()
            # Everything is looked at again while nothing happens, too.
            process = self.process = Process(self.up, "--resync", "30s")
            began = time.monotonic()
            eventually("it is ready", self._leads, timeout=_LONG)
            ready.append(time.monotonic() - began)
            eventually("all is looked at", self._is_settled, timeout=_LONG)
            looked.append(time.monotonic() - began)
            computed.append(machine.cpu(process.pid))
            time.sleep(3.0)  # a report comes a second after what it tells of
            writes.append(float(_writes(self.up.requests() - before)))
            assert writes[-1] == self._told_writes(), "the servers and the bridge count the same"
        yield Figure("restart: ready after", " s", ready, 15, "leads, and all of the platform is read")
        yield Figure("restart: all looked at after", " s", looked, 15, "each object compared on both clusters")
        yield Figure("restart: CPU of the bridge until then", " s", computed)
        note = "as the API servers count, and the bridge; the Lease is not among them"
        yield Figure("restart: writes", "", writes, 0, note, counted=True)
        yield Figure("memory after a restart: RSS", " MB", [machine.rss(self.bridge.pid)], 150)
        yield Figure("memory after a restart: peak", " MB", [machine.rss(self.bridge.pid, "VmHWM")], 150)

    def _leads(self) -> bool:
        # /readyz is ok for one that waits for the Lease, too.
        if self.bridge.page("/readyz") != "ok" or self.bridge.metric("leader_election_master_status") != 1:
            return False
        watches = 'cluster="platform"'
        return "kratix_bridge_watch_failing" in self.bridge.page("/metrics") and not self.bridge.metric(
            "kratix_bridge_watch_failing", watches
        )

    def _is_settled(self) -> bool:
        expected = len(SITES) * (self.scale.promises + self.scale.destinations)
        done = sum(
            self.bridge.metric("controller_runtime_reconcile_total", f'controller="{name}"')
            for name in ("promise", "destination")
        )
        return done >= expected and self.bridge.metric("workqueue_depth") == 0

    def _told_writes(self) -> float:
        """What the bridge itself counts as writes; PUT is the Lease's alone."""
        methods = ("PATCH", "POST", "DELETE")
        return sum(self.bridge.metric("rest_client_requests_total", f'method="{each}"') for each in methods)

    # Nothing happens.

    def steady(self) -> Iterator[Figure]:
        say(f"nothing happens for {self.scale.steady:.0f} s")
        before = self.up.requests()
        reconciled = self.bridge.metric("controller_runtime_reconcile_total")
        watch = machine.Stopwatch({"bridge": self.bridge.pid})
        time.sleep(self.scale.steady)
        used = watch.stop()
        again = self.bridge.metric("controller_runtime_reconcile_total") - reconciled
        asked = self.up.requests() - before
        of_objects = sum(count for (_, verb, _), count in asked.items() if verb not in ("WATCH", "LIST"))
        objects = self.scale.promises + self.scale.destinations
        note = f"in {self.scale.steady:.0f} s, in which everything was looked at again ({again:.0f} reconciles)"
        yield Figure("steady: requests for objects", "", [float(of_objects)], 0, note, counted=True)
        lists = sum(count for (_, verb, _), count in asked.items() if verb == "LIST")
        yield Figure("steady: lists", "", [float(lists)], 0, f"with {objects} objects", counted=True)
        yield Figure("steady: CPU of the bridge", " %", [100 * used.cpu["bridge"] / used.seconds], None, "of one core")

    # One Promise changes at a time.

    def changes(self) -> Iterator[Figure]:
        say(f"{self.scale.changes} Promises change, one after the other")
        arrivals = _Arrivals(self.up)
        watch = machine.Stopwatch({"bridge": self.bridge.pid})
        took = self.up.within(arrivals.measure, self.scale)
        used = watch.stop()
        for part, name in ((0.5, "p50"), (0.99, "p99"), (1.0, "longest")):
            bound = 1.0 if name == "p99" else None
            note = f"of {len(took)}, one after the other; XRD and Composition on both clusters" if bound else ""
            yield Figure(
                f"one changed Promise is everywhere: {name}", " s", [figure.percentile(took, part)], bound, note
            )
        yield Figure("CPU of the bridge for one changed Promise", " ms", [1000 * used.cpu["bridge"] / len(took)])
        yield Figure("memory after all of it: RSS", " MB", [machine.rss(self.bridge.pid)], 150)
        yield Figure("memory after all of it: peak", " MB", [machine.rss(self.bridge.pid, "VmHWM")], 150)
        self._end()


@dataclass
class _Arrivals:
    """When a new version of a Promise's XRD and Composition is on each cluster; all of it inside."""

    up: Bed
    _seen: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def measure(self, scale: Scale) -> list[float]:
        clients = [self.up.client(plane) for plane in self.up.planes.values()]
        for client in clients:
            for kind in (kinds.XRD, kinds.COMPOSITION):
                threading.Thread(target=self._follow, args=(client, kind), daemon=True).start()
        took = []
        try:
            with self.up.client(self.up.platform) as platform:
                time.sleep(1.0)
                for change in range(scale.changes):
                    took.append(self._one(platform, change % scale.promises, 1 + change))
                    time.sleep(0.1)
        finally:
            for client in clients:
                client.close()
        return took

    def _one(self, platform: Cluster, number: int, revision: int) -> float:
        body = subject.promise(number, revision)
        path = kinds.PROMISE.path(name=subject.promise_name(number))
        wanted = {(site, kind.kind, subject.xrd(number)) for site in SITES for kind in (kinds.XRD, kinds.COMPOSITION)}
        began = time.monotonic()
        platform.request(
            "PATCH",
            path,
            body={"metadata": body["metadata"], "spec": body["spec"]},
            content_type="application/merge-patch+json",
        )
        with self._changed:
            there = self._changed.wait_for(lambda: self._is_there(wanted, revision), timeout=60)
        assert there, f"{subject.promise_name(number)} was never published"
        return time.monotonic() - began

    def _is_there(self, wanted: set[tuple[str, str, str]], revision: int) -> bool:
        return all(subject.mark(each[1], revision) in self._seen.get(each, "") for each in wanted)

    def _follow(self, client: Cluster, kind: Any) -> None:
        version = client.request("GET", kind.path(), query={"limit": 1})["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": 3600}
        try:
            for line in client.stream(kind.path(), query=query, read_timeout=600):
                text = line.decode()
                name = json.loads(text)["object"]["metadata"]["name"]
                with self._changed:
                    self._seen[client.name, kind.kind, name] = text
                    self._changed.notify_all()
        except ClusterError:
            return  # it was closed


def _sync_figures(up: Bed, synced: list[_Sync], bared: list[machine.Used], writes: int) -> Iterator[Figure]:
    pairs = list(zip(synced, bared, strict=True))
    servers = {plane.process(program) for plane in up.planes.values() for program in ("kube-apiserver", "etcd")}

    def of_servers(used: machine.Used) -> float:
        return sum(used.cpu[name] for name in servers)

    ratio = "first sync: time, bridge to bare client"
    yield Figure(f"{ratio}, from the first write", "", [s.writing / b.seconds for s, b in pairs], 1.3)
    yield Figure(f"{ratio}, from the process's start", "", [s.whole.seconds / b.seconds for s, b in pairs], None)
    yield Figure(
        "first sync: bridge, from its start", " s", [s.whole.seconds for s in synced], None, f"{writes} objects"
    )
    yield Figure("first sync: bridge, until a cluster is reached", " s", [s.reached for s in synced])
    yield Figure("first sync: bare client", " s", [b.seconds for b in bared], None, f"{WORKERS} connections a cluster")
    yield Figure(
        "first sync: CPU of the clusters' API servers and etcd, bridge", " s", [of_servers(s.whole) for s in synced]
    )
    yield Figure("first sync: CPU of the same, bare client", " s", [of_servers(b) for b in bared])
    for part in ("kube-apiserver", "etcd"):
        name = up.platform.process(part)
        yield Figure(f"first sync: CPU of the platform's {part}, bridge", " s", [s.whole.cpu[name] for s in synced])
    yield Figure("first sync: CPU of the bridge", " s", [s.whole.cpu["bridge"] for s in synced])
    yield Figure("first sync: CPU of the bare client", " s", [b.cpu["client"] for b in bared])
    noise = [each.others / each.seconds for pair in pairs for each in (pair[0].whole, pair[1])]
    yield Figure("noise: cores that were busy with other things", "", noise)


def _listed(up: Bed, plane: Any, path: str) -> list[Any]:
    with up.client(plane) as cluster:
        items: list[Any] = cluster.request("GET", path)["items"]
    return items


def _count(text: str) -> int:
    return sum(len(json.loads(line)) for line in text.splitlines())


def _created(process: Process) -> int:
    return process.log.read_bytes().count(b'"msg": "created"') if process.log.exists() else 0


def _lines(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["ts"]).timestamp()


def _writes(asked: Counter[tuple[str, str, str]]) -> int:
    return sum(count for (_, verb, _), count in asked.items() if verb in WRITES)


def _by_kind(asked: Counter[tuple[str, str, str]]) -> Counter[str]:
    """By verb and resource; the Crossplane clusters together."""
    found: Counter[str] = Counter()
    for (plane, verb, resource), count in asked.items():
        found[f"{verb} {resource}{' (platform)' if plane == 'platform' else ''}"] += count
    return found
