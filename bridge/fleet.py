"""The clusters that the bridge works on: made of CrossplaneClusters, and made anew when one or its Secret changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge import log
from bridge.api import crossplanecluster
from bridge.api.crossplanecluster import Spec
from bridge.apply import Applier, Result
from bridge.clusters import Cluster
from bridge.errors import ClusterError, KubeconfigError
from bridge.queue import Queue
from bridge.store import Key
from bridge.sync import asked, clusters, kept, kinds
from bridge.sync.platform import Platform
from bridge.sync.report import Reach
from bridge.sync.site import Site, Task, owner
from bridge.workers import Workers
from function.api.errors import InvalidError

_STOP = 10.0

_log = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class Connect:
    """How clusters are reached.

    Attributes:
        local: The platform cluster by a connection of its own, under a name.
        remote: A cluster, by its name and kubeconfig.
    """

    local: Callable[[str], Cluster]
    remote: Callable[[str, bytes], Cluster]


@dataclass(frozen=True, slots=True)
class _Want:
    """What a site is made of; with another one it is made anew."""

    uid: str
    spec: Spec
    secret: kept.Secret | None


class Fleet:
    """All of them; safe to use from several threads.

    Args:
        work: Is called with what is to be done; returns in how many seconds it wants to be called again, or None.
        told: Is called with each write.
        workers: How many at once on each cluster; with none nothing is done unless somebody does it.
    """

    def __init__(
        self,
        platform: Platform,
        connect: Connect,
        *,
        work: Callable[[Site, Task], float | None],
        told: Callable[[str, Result], None],
        clock: Callable[[], float],
        workers: int,
        dry_run: bool,
    ) -> None:
        self._platform = platform
        self._connect = connect
        self._work = work
        self._told = told
        self._clock = clock
        self._count = workers
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._wants: dict[str, _Want] = {}
        self._sites: dict[str, Site] = {}
        self._workers: dict[str, Workers[Task]] = {}
        self._unmade: dict[str, Reach] = {}
        self._closed = False

    @property
    def sites(self) -> Mapping[str, Site]:
        """By name."""
        with self._lock:
            return dict(self._sites)

    def unmade(self, name: str) -> Reach | None:
        """Why there is none of a name."""
        with self._lock:
            return self._unmade.get(name)

    def with_secret(self, name: str) -> list[str]:
        """Those whose kubeconfig is in a Secret, by name; as they are asked for, as one may be connecting just now."""
        sites = self._platform.sites.store.items()
        return sorted(key.name for key, site in sites if name == _named(site.packed.body))

    def reconcile(self, name: str) -> None:
        """Have a site as its CrossplaneCluster says, and none where there is no such.

        Raises:
            ClusterError: Its Secret cannot be read.
        """
        found = self._platform.sites.store.get(Key("", name))
        if found is None:
            self.close(name)
            return
        try:
            spec = crossplanecluster.read(found.packed.body)
        except InvalidError as error:
            self.close(name)
            self._lacks(name, Reach("False", "Invalid", str(error)))
            return
        secret = spec.kubeconfig.secret_ref.name if spec.kubeconfig is not None else ""
        want = _Want(found.uid, spec, self._platform.secrets.store.get(Key(self._platform.namespace, secret)))
        with self._lock:
            known = self._wants.get(name)
        if known != want:
            # The watch may be late: what counts is the Secret that the connection is made of. It is read first: where
            # that fails, what works goes on.
            platform = self._platform
            there = asked.read(platform.cluster, kinds.SECRET, platform.namespace, secret) if secret else None
            self.close(name)
            self._open(name, want, there)
            with self._lock:
                self._wants[name] = replace(want, secret=None if there is None else kept.secret(there))

    def close(self, name: str, within: float = _STOP) -> None:
        """End the work on a cluster: what is under way is finished if the cluster answers; what waits is not.

        Args:
            within: Seconds to wait for what is under way.
        """
        with self._lock:
            self._wants.pop(name, None)
            self._unmade.pop(name, None)
            site, workers = self._sites.pop(name, None), self._workers.pop(name, None)
        if site is None or workers is None:
            return
        site.closed.set()
        if self._count:
            workers.stop(within if site.reach.status == "True" else 0.0)
        site.close()

    def shut_down(self) -> None:
        """Begin nothing any more, on any cluster."""
        with self._lock:
            self._closed = True
            sites = list(self._sites.values())
        for site in sites:
            site.closed.set()
            site.queue.shut_down()

    def close_all(self, until: float) -> None:
        """End the work on all clusters by a time of the clock; they all have until then, not each its own while."""
        for name in self.sites:
            self.close(name, max(0.0, until - self._clock()))

    def _lacks(self, name: str, reach: Reach) -> None:
        with self._lock:
            self._unmade[name] = reach
        _log.warning("not reached", extra=log.about(cluster=name, reason=reach.reason, error=reach.message))

    def _open(self, name: str, want: _Want, secret: Mapping[str, Any] | None) -> None:
        try:
            cluster = self._connected(name, want.spec, secret)
        except KubeconfigError as error:
            self._lacks(name, clusters.unreached(error))
            return
        applier = Applier(cluster, owner(self._platform.identity, name), dry_run=self._dry_run)
        queue: Queue[Task] = Queue(name, self._clock, cap=60.0)
        site = Site(name, want.uid, want.spec, cluster, applier, queue, self._told)

        def work(task: Task) -> float | None:
            return self._work(site, task)

        workers = Workers(queue, work, expected=(ClusterError,), count=self._count)
        with self._lock:
            if self._closed:
                site.close()
                return
            self._sites[name] = site
            self._workers[name] = workers
        workers.start()
        queue.add(Task(clusters.PROBE, name))

    def _connected(self, name: str, spec: Spec, secret: Mapping[str, Any] | None) -> Cluster:
        if spec.gitops is not None:
            return self._platform.cluster
        if spec.kubeconfig is None:
            return self._connect.local(name)
        ref = spec.kubeconfig.secret_ref
        where = f"Secret {self._platform.namespace}/{ref.name}"
        return self._connect.remote(name, clusters.kubeconfig(secret, where, ref.key))


def _named(body: Mapping[str, Any]) -> str:
    """The Secret that a CrossplaneCluster names; empty where it names none, or is no valid one."""
    try:
        spec = crossplanecluster.read(body)
    except InvalidError:
        return ""
    return spec.kubeconfig.secret_ref.name if spec.kubeconfig is not None else ""
