"""Mirrored requests, wired: what is watched for them, and who is told.

    platform: requests of each Promise that opts in ──── place ──┐ the bridge's queue
    a cluster: beacons and Warning events ── carry, sweep ───────┘ that cluster's queue

The two watches on a cluster are hints alone. A cluster on which the bridge may not watch them works too, only slower,
so they do not count for whether it is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bridge.apply import Applier
from bridge.events import News
from bridge.observed import Owner
from bridge.queue import Queue
from bridge.resources import split_api_version
from bridge.store import Key
from bridge.sync import clusters, kept, kinds, placements, requests, versions
from bridge.sync.answers import Answers
from bridge.sync.bindings import Bindings
from bridge.sync.births import Births
from bridge.sync.intake import Intake, Of
from bridge.sync.ledger import Ledger
from bridge.sync.placements import Placements
from bridge.sync.platform import Platform
from bridge.sync.report import Reach
from bridge.sync.requests import Requests
from bridge.sync.site import Site, Task
from bridge.sync.versions import Versions
from bridge.translate import conditions
from bridge.watch import Watch
from function.api import names


class _Warned(NamedTuple):
    """What a Warning event is about; with the event's version, as one that is repeated is news."""

    group: str
    kind: str
    namespace: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Hints:
    site: Site
    watches: tuple[Watch[Any], ...]


class Mirrors:
    """All of it; safe to use from several threads.

    Args:
        queue: The bridge's own.
        sites: The Crossplane clusters, by name.
        unmade: Why there is none of a name.
        tell: Is called with a Promise's name, and news of it.
        clock: Monotonic seconds.
        now: The time of day.
    """

    def __init__(
        self,
        platform: Platform,
        queue: Queue[Task],
        sites: Callable[[], Mapping[str, Site]],
        unmade: Callable[[str], Reach | None],
        *,
        tell: Callable[[str, News], None],
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._queue = queue
        self._sites = sites
        self._clock = clock
        self._now = now
        self._platform = platform
        self._lock = threading.Lock()
        self._hints: dict[str, _Hints] = {}
        self._marks: dict[str, object] = {}
        self._intake = Intake(platform.cluster, changed=self._place, clock=clock)
        self._ledger = Ledger()
        applier = Applier(platform.cluster, Owner(platform.identity))
        answers = Answers(platform, applier, self._ledger, now)
        self._placements = Placements(platform, self._intake, answers, self._ledger, sites, unmade, clock)
        self._bindings = Bindings(platform.cluster, changed=self._steer, clock=clock)
        self._versions = Versions(platform, self._bindings, self._ledger, tell)
        self._births = Births(platform, self._bindings, self._ledger, unmade)
        self._requests = Requests(self._intake, answers, self._ledger, self._place, self._steer, self._first, clock)
        self._tell = tell

    @property
    def watches(self) -> tuple[tuple[str, Watch[Any]], ...]:
        """All of them, with the cluster's name."""
        with self._lock:
            hints = [(name, watch) for name, found in self._hints.items() for watch in found.watches]
        own: list[Watch[Any]] = [*(each.watch for each in self._intake.opened.values()), *self._bindings.watches]
        return (*(("platform", watch) for watch in own), *hints)

    def promise(self, name: str, found: kept.Promise | None) -> None:
        """A Promise is not as it was."""
        before = self._is_known(name)
        self._intake.bring(name, found)
        opened = self._intake.opened
        if opened:
            self._bindings.start()
        if before and name not in opened:
            self._ledger.close(name)
        self._queue.add(Task(versions.NAME, "", name))
        for site in self._sites().values():
            if before and site.ready:
                site.add(requests.SWEEP, [name])
            self.published(site, name)

    def _is_known(self, promise: str) -> bool:
        return promise in self._intake.opened or bool(self._intake.refused(promise))

    def published(self, site: Site, promise: str) -> None:
        """A Promise may be on a cluster that it was not on."""
        if self._is_known(promise):
            if site.ready:
                self._watch(site)
                site.add(requests.SWEEP, [promise])
            for of, request in self._of(promise):
                if self._ledger.seeks(of, request):
                    self._place(of)

    def look(self, site: Site) -> None:
        """A cluster is reached, for the first time or again, or it is time to look at everything."""
        for promise in self._intake.opened:
            self.published(site, promise)

    def lost(self, site: str) -> None:
        """A cluster is not reached any more: what it holds is to be seen anew when it is."""
        self._ledger.forget(site)
        self._place_all(site)

    def changed(self, site: str) -> None:
        """A CrossplaneCluster is not as it was. Its status is not what matters here, and changes often."""
        found = self._platform.sites.store.get(Key("", site))
        mark = (found.uid, dict(found.labels)) if found is not None else None
        with self._lock:
            if self._marks.get(site) == mark:
                return
            if mark is None:
                del self._marks[site]
            else:
                self._marks[site] = mark
        self._place_all(site)

    def closed(self, site: str) -> None:
        """A CrossplaneCluster may be talked to no more, or by another connection: the old one is not watched."""
        with self._lock:
            found = self._hints.get(site)
            if found is None or not found.site.closed.is_set():
                return
            del self._hints[site]
            self._ledger.forget(site)
        _end(found)

    def _place_all(self, site: str) -> None:
        for promise in self._intake.opened:
            for of, request in self._of(promise):
                if request.cluster == site or self._ledger.seeks(of, request):
                    self._place(of)

    def place(self, task: Task) -> float | None:
        """Work on what was queued for the platform."""
        if task.controller == versions.NAME:
            return self._bring_versions(task.name)
        return self._placements.reconcile(Of.read(task.name))

    def _steer(self, promise: str) -> None:
        self._ledger.steer(promise)
        self._queue.add(Task(versions.NAME, "", promise))

    def _first(self, of: Of) -> str | None:
        return self._births.first(self._sites(), of)

    def _bring_versions(self, promise: str) -> float | None:
        refused = self._intake.refused(promise)
        if refused:
            self._tell(promise, News("Warning", "Refused", "Mirror", f"Its requests are not mirrored: {refused}"))
        found = self._platform.promises.store.get(Key("", promise))
        opened = self._intake.opened.get(promise)
        if found is None or opened is None:
            self._versions.forget(self._sites(), promise)
            for site in self._sites().values():
                requests.forget(site, promise)
            return None
        health = opened.watch.health
        if not health.synced:
            return clusters.LATER if health.error else requests.SOON
        now = conditions.timestamp(self._now())
        return self._versions.reconcile(self._sites(), found, opened.requests(), now)

    def work(self, site: Site, task: Task) -> float | None:
        """Work on what was queued for a cluster."""
        if task.controller == requests.SWEEP:
            return self._requests.sweep(site, task.name)
        return self._requests.carry(site, Of.read(task.name))

    def stop(self) -> None:
        """End all watches."""
        self._intake.stop()
        self._bindings.stop()
        with self._lock:
            hints, self._hints = list(self._hints.values()), {}
        for found in hints:
            _end(found)

    def _of(self, promise: str) -> Iterable[tuple[Of, kept.Request]]:
        opened = self._intake.opened.get(promise)
        return opened.requests() if opened is not None else ()

    def _place(self, of: Of) -> None:
        self._queue.add(Task(placements.NAME, "", str(of)))

    def _watch(self, site: Site) -> None:
        """Watch a cluster's hints; a site that was made anew has a connection of its own."""
        if site.by_gitops or site.closed.is_set():
            return
        with self._lock:
            before = self._hints.get(site.name)
            if before is not None and before.site is site:
                return
            beacons: Watch[kept.Beacon] = Watch(
                site.cluster,
                kinds.CONFIG_MAP,
                keep=kept.beacon,
                on_change=lambda _, old, new: self._lit(site, old, new),
                clock=self._clock,
                labels=f"{names.BEACON_LABEL}=true",
            )
            warnings: Watch[_Warned] = Watch(
                site.cluster,
                kinds.EVENT,
                keep=lambda event: self._warned(site, event),
                on_change=lambda _, __, new: self._warn(site, new),
                clock=self._clock,
                fields="type=Warning",
            )
            self._hints[site.name] = _Hints(site, (beacons, warnings))
        self._ledger.forget(site.name)  # it may be another cluster now
        if before is not None:
            _end(before)
        for watch in (beacons, warnings):
            watch.start()

    def _lit(self, site: Site, old: kept.Beacon | None, new: kept.Beacon | None) -> None:
        for of in {Of(*each.of) for each in (old, new) if each is not None}:
            if of.promise in self._intake.opened:
                site.add(requests.NAME, [str(of)])

    def _warned(self, site: Site, event: Mapping[str, Any]) -> _Warned | None:
        about = event.get("regarding") or {}
        group, _ = split_api_version(str(about.get("apiVersion") or ""))
        if not self._promises(site, group, str(about.get("kind"))):
            return None
        namespace, name = str(about.get("namespace") or ""), str(about.get("name"))
        if not names.is_subdomain(name) or (namespace and not names.is_subdomain(namespace)):
            return None  # an API server takes any text there
        version = str(event["metadata"].get("resourceVersion") or "")
        return _Warned(group, str(about["kind"]), namespace, name, version)

    def _promises(self, site: Site, group: str, kind: str) -> list[str]:
        """The Promises that XRs of a kind are made of."""
        prefix = site.spec.prefix
        found = self._intake.opened.values()
        return [e.mirror.promise for e in found if (f"{prefix}{e.mirror.group}", e.mirror.kind) == (group, kind)]

    def _warn(self, site: Site, about: _Warned | None) -> None:
        if about is None:
            return
        for promise in self._promises(site, about.group, about.kind):
            if site.spec.scope == "Namespaced":
                site.add(requests.NAME, [str(Of(promise, about.namespace, about.name))])
            else:
                site.add(requests.SWEEP, [promise])  # such an XR's name does not say whose it is


def _end(hints: _Hints) -> None:
    for watch in hints.watches:
        watch.stop(timeout=1.0)
