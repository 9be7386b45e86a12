"""The bridge as a whole: what changes on the platform and on Crossplane clusters, and which reconciler is told of it.

    platform's watches ──┬── cluster, report ─────────── one queue of the bridge
                         └── promise, destination, ... ┐
    a cluster's watches ───────────────────────────────┴ one queue for each cluster

Nothing is remembered but what watches see. Whatever is missed is found again: everything of a cluster is looked at when
it is first reached, when it is reached again, and now and then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from bridge import log
from bridge.apply import Result
from bridge.clusters import Cluster
from bridge.errors import ClusterError, UnreachableError
from bridge.fleet import Fleet
from bridge.mirrors import Mirrors
from bridge.options import Options, Outside
from bridge.queue import Queue
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import (
    clusters,
    deletions,
    destinations,
    gitops,
    installations,
    kept,
    kinds,
    placements,
    promises,
    replies,
    requests,
    versions,
    xrds,
)
from bridge.sync.board import Kind
from bridge.sync.desk import Memory
from bridge.sync.everything import everything
from bridge.sync.platform import Changed, Platform
from bridge.sync.site import Site, Task
from bridge.translate import gitops as gitops_works
from bridge.voice import Voice
from bridge.workers import Workers

CLUSTER: Final = "cluster"
REPORT: Final = "report"

_PROBE_AGAIN = 5.0
_POLL = 0.05
_SWEEP = 60.0  # seconds that a look at everything takes while nothing is known to have changed
_STOP = 10.0
_BUSY, _SELDOM = 500, 5  # while more than so many keys wait, reports are so many times as far from each other
_ABOUT: Final[Mapping[str, Kind]] = {
    promises.NAME: "Promise",
    gitops.PROMISE: "Promise",
    destinations.NAME: "Destination",
    xrds.NAME: "XRD",
}

_log = logging.getLogger("bridge")


class Bridge:
    """The bridge, until its process ends or no longer leads."""

    def __init__(self, platform: Cluster, options: Options, outside: Outside) -> None:
        self._options = options
        self._outside = outside
        self._seen = clusters.Seen(self._on_promise_made, self._on_destination_made)
        self.platform = Platform(
            platform,
            identity=options.identity,
            namespace=options.namespace,
            changed=Changed(self._on_site, self._on_promise, self._on_destination, self._on_input, self._on_secret),
            clock=outside.clock,
        )
        self.fleet = Fleet(
            self.platform,
            outside.connect,
            work=self._work,
            told=_told,
            clock=outside.clock,
            workers=options.workers,
            dry_run=False,
        )
        self._voice = Voice(self.platform, instance=options.instance, clock=outside.clock, now=outside.now)
        self._told: dict[tuple[str, str], Memory] = {}
        self._stopping = threading.Event()
        self.queue: Queue[Task] = Queue("clusters", outside.clock, cap=60.0)
        self.mirrors = Mirrors(
            self.platform,
            self.queue,
            lambda: self.fleet.sites,
            self.fleet.unmade,
            tell=self._voice.say,
            clock=outside.clock,
            now=outside.now,
        )
        self._deletions = deletions.Deletions(outside.clock, outside.now, options.image)
        self._workers = Workers(self.queue, self._work_own, expected=(ClusterError,), count=2)

    def start(self, stop: threading.Event) -> bool:
        """Begin, once all of the platform was read; says whether it came to that before it was stopped."""
        for watch in self.platform.watches:
            watch.start()
        while not self.platform.is_read():
            if stop.wait(_POLL):
                return False
        self._workers.start()
        for key, _ in self.platform.sites.store.items():  # noqa: PERF102 - a store has no keys()
            self.queue.add(Task(CLUSTER, key.name))
        return True

    def sick(self) -> str:
        """Why the process should be restarted; empty where it should not."""
        watches = [*self.platform.watches, *(watch for _, watch in self.mirrors.watches)]
        watches += [each for site in self.fleet.sites.values() for each in site.watches]
        for watch in watches:
            health = watch.health
            # Its thread ends where it is told to, and otherwise by a bug: then nothing is heard of it any more.
            if health.lists and not health.alive and not self._stopping.is_set():
                return f"the watch {watch.name} has ended"
        return ""

    def stop(self) -> None:
        """End, within some ten seconds however many clusters hang: what is under way is finished, what waits is not."""
        until = self._outside.clock() + _STOP
        self._stopping.set()
        self.fleet.shut_down()
        self._workers.stop(_STOP)
        self.fleet.close_all(until)
        self.mirrors.stop()
        for watch in self.platform.watches:
            watch.stop(timeout=max(0.0, until - self._outside.clock()) / len(self.platform.watches))

    def _on_site(self, name: str) -> None:
        self.queue.add(Task(CLUSTER, name))
        self.mirrors.changed(name)

    def _on_secret(self, name: str) -> None:
        for site in self.fleet.with_secret(name):
            self.queue.add(Task(CLUSTER, site))

    def _on_promise(self, name: str, old: kept.Promise | None, new: kept.Promise | None) -> None:
        for site in self.fleet.sites.values():
            prefix = site.spec.prefix
            xrds = {each.xrd(prefix) for each in (old, new) if each is not None} - {""}
            others = {each for xrd in xrds for each in self.platform.claimants(xrd, prefix)}
            self._look(site, "Promise", {name, *others})
        self.mirrors.promise(name, new)

    def _on_input(self, promise: str) -> None:
        for site in self.fleet.sites.values():
            self._look(site, "Promise", [promise])

    def _on_destination(self, name: str, _: object, __: object) -> None:
        for site in self.fleet.sites.values():
            self._look(site, "Destination", [name])
            if site.by_gitops:  # it may be the first that gets the Works, or the last
                self._report(site.name)

    def _on_promise_made(self, site: Site, kind: Resource, name: str, of: frozenset[str]) -> None:
        if site.get(kind, name) is None:
            site.went(kind, name, gitops_works.NAMESPACE if kind is kinds.WORK else "")
        others = self.platform.claimants(name, site.spec.prefix) if kind is kinds.XRD else []
        self._look(site, "Promise", {*of, *others})
        self._look_at_xrds(site, kind, name)
        self._deletions.look(site, kind, name, of)
        if kind is kinds.WORK and not of:
            self._look(site, "Destination", [""])

    def _look_at_xrds(self, site: Site, kind: Resource, name: str) -> None:
        if site.ready and site.spec.imports is not None and kind in (kinds.XRD, kinds.COMPOSITION):
            every = (made.name for made in site.shelves[kinds.XRD].all())
            site.add(xrds.NAME, [name] if kind is kinds.XRD else every)

    def _on_destination_made(self, site: Site, _: Resource, __: str, of: frozenset[str]) -> None:
        self._look(site, "Destination", of)

    def _look(self, site: Site, kind: Kind, names: Iterable[str], within: float = 0.0) -> None:
        if not site.ready:
            return  # everything is looked at when it is
        if kind == "Promise":
            site.add(gitops.PROMISE if site.by_gitops else promises.NAME, names, within)
        elif site.has_inventory:
            if site.by_gitops:
                site.add(gitops.INVENTORY, [""])
            else:
                site.add(destinations.NAME, names, within)

    def _look_at_all(self, site: Site, within: float = 0.0) -> None:
        site.swept = self._outside.clock()
        for kind, names in everything(site, self.platform).items():
            self._look(site, kind, sorted(names), within)
        self._look_at_xrds(site, kinds.COMPOSITION, "")
        self._deletions.look_at_all(site, within)
        # Those that were imported and are gone: while a cluster is lost, nothing comes of the event that says so.
        site.add(xrds.NAME, site.board.read("XRD"))
        if site.spec.replies is not None:
            site.add(replies.NAME, [""])
            site.add(installations.NAME, [""])
        self.mirrors.look(site)

    def _work_own(self, task: Task) -> float | None:
        return self._timed(task, lambda: self._own(task))

    def _own(self, task: Task) -> float | None:
        if task.controller in (placements.NAME, versions.NAME):
            return self.mirrors.place(task)
        if task.controller == CLUSTER:
            if self.platform.sites.store.get(Key("", task.cluster)) is None:
                self._deletions.release(self.fleet.sites.get(task.cluster))
            there, lacked = task.cluster in self.fleet.sites, self.fleet.unmade(task.cluster)
            self.fleet.reconcile(task.cluster)
            if task.cluster not in self.fleet.sites:
                if there or lacked != self.fleet.unmade(task.cluster):  # its requests may have been looked at before
                    self.mirrors.lost(task.cluster)
                for controller in (replies.NAME, installations.NAME):
                    self._told.pop((controller, task.cluster), None)
            self.mirrors.closed(task.cluster)
            # Not at once: a report is a change of the CrossplaneCluster, so this would go round as fast as it can.
            self._report(task.cluster)
        else:
            self._voice.report(task.cluster, self.fleet.sites.get(task.cluster), self.fleet.unmade(task.cluster))
            self._voice.repeat()
        return None

    def _report(self, cluster: str) -> None:
        site = self.fleet.sites.get(cluster)
        # Who follows a first sync of thousands does not need each second of it, and a report lists them all.
        busy = site is not None and site.queue.depth > _BUSY
        self.queue.add_after(Task(REPORT, cluster), self._options.report * (_SELDOM if busy else 1))

    def _work(self, site: Site, task: Task) -> float | None:
        if site.closed.is_set():
            return None
        try:
            return self._timed(task, lambda: self._reconcile(site, task))
        except ClusterError as error:
            if site.closed.is_set():
                return None
            if task.controller in _ABOUT:
                site.board.failed(_ABOUT[task.controller], task.name, str(error))
            if isinstance(error, UnreachableError) and site.reach.status == "True":
                site.queue.add(Task(clusters.PROBE, site.name))  # it may be lost, which is looked at seldom
            raise
        finally:
            self._report(site.name)

    def _timed(self, task: Task, work: Callable[[], float | None]) -> float | None:
        started = self._outside.clock()
        result = "error"
        self._outside.under_way(task.controller, 1)
        try:
            again = work()
            result = "success" if again is None else "requeue_after"
            return again
        finally:
            self._outside.under_way(task.controller, -1)
            self._outside.reconciled(task.controller, result, self._outside.clock() - started)

    def _reconcile(self, site: Site, task: Task) -> float | None:
        if task.controller == clusters.PROBE:
            return self._probe(site)
        if not site.ready or site.reach.status == "False":
            return None  # everything is looked at when it is reached
        if task.controller == promises.NAME:
            again = promises.reconcile(site, self.platform, task.name, self._voice.tell)
            self.mirrors.published(site, task.name)
            return again
        if task.controller in (requests.NAME, requests.SWEEP):
            return self.mirrors.work(site, task)
        if task.controller in (deletions.NAME, deletions.LOOK):
            return self._deletions.work(site, task)
        if task.controller == destinations.NAME:
            return destinations.reconcile(site, self.platform, task.name)
        if task.controller == xrds.NAME:
            return xrds.reconcile(site, self.platform, task.name)
        if task.controller in (replies.NAME, installations.NAME):
            reply = replies.reconcile if task.controller == replies.NAME else installations.reconcile
            memory = self._told.setdefault((task.controller, site.name), Memory())
            return reply(site, self.platform, memory, int(self._outside.now().timestamp()))
        if task.controller == gitops.PROMISE:
            gitops.promise(site, self.platform, task.name, self._voice.tell)
        else:
            gitops.stock(site, self.platform)
        return None

    def _probe(self, site: Site) -> float:
        before = (site.ready, site.reach.status)
        try:
            again = clusters.probe(site, self._seen, self._outside.clock)
        except ClusterError as error:
            if before[1] != "False" and not site.closed.is_set():
                _log.warning("lost", extra=log.about(cluster=site.name, error=str(error)))
                self.mirrors.lost(site.name)
            return _PROBE_AGAIN
        if not site.ready:
            return again
        if before != (True, site.reach.status):
            _log.info("reached", extra=log.about(cluster=site.name))
            self._look_at_all(site)
        elif self._outside.clock() - site.swept > self._options.resync:
            self._look_at_all(site, min(_SWEEP, self._options.resync / 2))
        return again


def _told(cluster: str, result: Result) -> None:
    if result.action in ("created", "changed", "deleted"):
        _log.info(result.action, extra=log.about(cluster=cluster, object=str(result.ref)))
