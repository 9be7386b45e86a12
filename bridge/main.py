"""The bridge as a process: its clocks, its Lease, its probes, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bridge import credentials, dryrun, log, queue, release
from bridge.api import names
from bridge.breaker import Tolerance
from bridge.clusters import Cluster, Limits
from bridge.dryrun import Dry
from bridge.errors import ApiError, ClusterError, KubeconfigError, StartError
from bridge.fleet import Connect
from bridge.lease import Election, Holder, LostError
from bridge.metrics import Counted, Live, Metrics
from bridge.options import Options, Outside
from bridge.probes import Pages, Server
from bridge.release import Released
from bridge.sync import kinds
from bridge.ui import serving
from bridge.ui.serving import Page
from bridge.watch import Health
from bridge.wiring import Bridge

OK, ERROR, WOULD_CHANGE = 0, 1, 2
_RETRY = 2.0
_LOOK = 0.5
# Of the Lease alone: a try ends well before the next but one would be due, and no failure of others holds it up.
_PROMPT = Limits(connect=2.0, read=2.0, answer=3.0, connections=1)
_STUBBORN = Tolerance(base=0.5, cap=1.0)

_Found = TypeVar("_Found", Dry, Released)
_log = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class Flags:
    """What a person says: see `kratix-crossplane bridge --help`."""

    kubeconfig: Path | None
    context: str
    namespace: str
    identity: str
    listen: str
    lease_namespace: str
    resync: float
    workers: int
    dry_run: bool
    release: bool
    page: Page | None = None


def run(flags: Flags) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Raises:
        StartError: It cannot begin.
    """
    process = _Process(flags)
    if flags.dry_run:
        return process.dry_run()
    if flags.release:
        return process.release()
    return process.lead()


class _Process:
    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._stop = threading.Event()
        self._bridge: Bridge | None = None
        self._instance = f"{socket.gethostname()}_{uuid.uuid4()}"  # noqa: TID251 - who holds the Lease is unique
        self._metrics = Metrics(Live(self._queues, self._watches, self._reached, self._counts))
        self._platform = self._local("platform")

    def lead(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        server = Server(self._flags.listen, Pages(self._sick, self._unready, self._metrics.text))
        server.start()
        _log.info("listening on %s", server.address)
        if self._flags.page is not None:
            ui = serving.serve(self._flags.page, lambda: self._local("platform"), time.monotonic)
            _log.info("the page is on %s/ui/", ui.address)
        identity = self._identity()
        if identity is None:
            return OK
        election = Election(
            self._instance,
            names.LEASE,
            self._flags.lease_namespace,
            time.monotonic,
            _now,
            _LeaseStore(self._local("platform", _PROMPT, _STUBBORN), self._flags.lease_namespace),
        )
        self._metrics.leads(names.LEASE, leading=False)
        if not election.wait(self._stop, _failed, _waits):
            return OK
        self._metrics.leads(names.LEASE, leading=True)
        _log.info("leading")
        return self._work(election, identity)

    def _work(self, election: Election, identity: str) -> int:
        lost: list[LostError] = []
        released = threading.Event()

        def hold() -> None:
            try:
                election.hold(released)
            except LostError as error:
                lost.append(error)
                self._stop.set()

        holding = threading.Thread(target=hold, name="lease", daemon=True)
        holding.start()
        bridge = Bridge(self._platform, self._options(identity), self._outside())
        self._bridge = bridge
        bridge.start(self._stop)
        while not self._stop.wait(_LOOK) and not election.is_overdue():
            continue
        if lost or election.is_overdue():
            # Somebody else may lead in a moment: nothing is finished.
            said = lost[0] if lost else election.lost("the API server does not answer")
            _log.error("stopping", extra=log.about(error=str(said)))
            return ERROR
        _log.info("stopping")
        bridge.stop()
        # Held until here: what was under way was this leader's.
        released.set()
        holding.join(_RETRY)
        try:
            election.release()
        except ClusterError as error:
            _log.warning("the Lease is not given back", extra=log.about(error=str(error)))
        return OK

    def dry_run(self) -> int:
        found = self._once(dryrun.run)
        return _shown((*found.lines, *found.said), found.errors) or (WOULD_CHANGE if found.lines else OK)

    def release(self) -> int:
        found = self._once(release.run)
        return _shown(found.lines, found.errors)

    def _once(self, run: Callable[..., _Found]) -> _Found:
        """Something that is done once on all clusters, and not until SIGTERM."""
        identity = self._identity(tries=1)
        try:
            return run(
                self._platform,
                identity=identity or "",
                namespace=self._flags.namespace,
                connect=self._connect(),
                clock=time.monotonic,
            )
        except ClusterError as error:
            raise StartError(str(error)) from None

    def _options(self, identity: str) -> Options:
        flags, image = self._flags, os.environ.get("FUNCTION_KRATIX_IMAGE", "")
        return Options(identity, flags.namespace, self._instance, flags.resync, flags.workers, image)

    def _outside(self) -> Outside:
        return Outside(time.monotonic, _now, self._connect(), self._metrics.reconciled, self._metrics.under_way)

    def _connect(self) -> Connect:
        return Connect(self._local, self._remote)

    def _local(self, name: str, limits: Limits | None = None, tolerance: Tolerance | None = None) -> Cluster:
        try:
            path = self._flags.kubeconfig
            who = credentials.of_pod() if path is None else credentials.of_file(path, self._flags.context)
        except KubeconfigError as error:
            raise StartError(f"cannot connect to the platform cluster: {error}") from None
        cluster = Counted(name, who, clock=time.monotonic, limits=limits, tolerance=tolerance)
        cluster.told = self._metrics.requested
        return cluster

    def _remote(self, name: str, kubeconfig: bytes) -> Cluster:
        cluster = Counted.of_kubeconfig(name, kubeconfig, clock=time.monotonic)
        cluster.told = self._metrics.requested
        return cluster

    def _identity(self, tries: int = 0) -> str | None:
        """What no other platform has: the UID of the namespace that every cluster has from its beginning."""
        if self._flags.identity:
            return self._flags.identity
        while not self._stop.is_set():
            try:
                path = kinds.NAMESPACE.path(name="kube-system")
                found = self._platform.request("GET", path, doing="read Namespace kube-system")
                return str(found["metadata"]["uid"])
            except ClusterError as error:
                if tries == 1:
                    raise StartError(str(error)) from None
                _failed(error)
                self._stop.wait(_RETRY)
        return None

    def _sick(self) -> str:
        return self._bridge.sick() if self._bridge else ""

    def _unready(self) -> str:
        # One that waits for the Lease is ready to take over; a cluster that is lost is in its own status.
        if self._bridge is None or self._bridge.platform.is_read():
            return ""
        missing = [w.health.error or w.name for w in self._bridge.platform.watches if not w.health.synced]
        return f"the platform is not read yet: {'; '.join(missing)}"

    def _queues(self) -> Mapping[str, queue.Numbers]:
        if self._bridge is None:
            return {}
        sites = self._bridge.fleet.sites.values()
        return {q.name: q.numbers() for q in (self._bridge.queue, *(site.queue for site in sites))}

    def _watches(self) -> Mapping[tuple[str, str], Health]:
        if self._bridge is None:
            return {}
        found = {("platform", watch.resource.plural): watch.health for watch in self._bridge.platform.watches}
        for name, site in self._bridge.fleet.sites.items():
            for kind, shelf in list(site.shelves.items()):
                found[name, kind.plural] = shelf.watch.health
        for name, watch in self._bridge.mirrors.watches:
            found[name, watch.resource.plural] = watch.health
        return found

    def _reached(self) -> Mapping[str, bool]:
        sites = self._bridge.fleet.sites if self._bridge else {}
        return {name: site.reach.status == "True" for name, site in sites.items() if not site.by_gitops}

    def _counts(self) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for name, site in (self._bridge.fleet.sites if self._bridge else {}).items():
            promises, stock = site.board.read("Promise").values(), site.board.read("Destination").values()
            found[name] = {
                "published": sum(bool(each.xrd) for each in promises),
                "refused": sum(bool(each.refused) for each in (*promises, *stock)),
                "kept": sum(len(each.kept) for each in promises),
                "failed": sum(bool(each.failed) for each in (*promises, *stock)),
                "destinations": sum(bool(each.xrd) for each in stock),
            }
        return found


@dataclass(frozen=True, slots=True)
class _LeaseStore:
    cluster: Cluster
    namespace: str

    def get(self) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self.cluster.request("GET", self._path(), doing="read the Lease")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def write(self, lease: Mapping[str, Any]) -> Mapping[str, Any] | None:
        known = "resourceVersion" in lease["metadata"]
        method, path = ("PUT", self._path()) if known else ("POST", kinds.LEASE.path(self.namespace))
        try:
            written: Mapping[str, Any] = self.cluster.request(method, path, body=lease, doing="write the Lease")
        except ApiError as error:
            if error.status == 409:
                return None
            raise
        return written

    def _path(self) -> str:
        return kinds.LEASE.path(self.namespace, names.LEASE)


def _failed(error: Exception) -> None:
    _log.warning("trying again", extra=log.about(error=str(error)))


def _waits(holder: Holder) -> None:
    if holder.name:
        _log.info("waiting: another bridge leads", extra=log.about(object=holder.name, reason=f"since {holder.since}"))


def _shown(lines: Iterable[str], errors: Iterable[str]) -> int:
    """Print what was found, and what was not; returns the exit code."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    told = [f"kratix-crossplane: {error}\n" for error in errors]
    sys.stderr.write("".join(told))
    return ERROR if told else OK


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place in the bridge that reads the time of day
