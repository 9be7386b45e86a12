"""What the bridge says: the status of each CrossplaneCluster, and events on Promises."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from bridge import events, log
from bridge.api.names import API_VERSION, KIND
from bridge.clusters import APPLY
from bridge.errors import ApiError, ClusterError
from bridge.events import Event, News
from bridge.store import Key
from bridge.sync import clusters, gitops, kinds, report
from bridge.sync.board import Outcome
from bridge.sync.platform import Platform
from bridge.sync.report import Found, Reach
from bridge.sync.site import Site
from function.api.names import FIELD_MANAGER

_UNTRIED = Reach("Unknown", "Connecting", "the bridge has not talked to it yet")
_UNTOLD = 1000
_BEGINNING = ("Connecting", "Syncing")
_NOT_FOUND = 404

_log = logging.getLogger("bridge")


class Voice:
    """Says it on the platform cluster.

    Args:
        instance: Which of the bridge's processes this is.
        clock: Monotonic seconds.
        now: The time of day.
    """

    def __init__(
        self, platform: Platform, *, instance: str, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._platform = platform
        self._instance = instance
        self._now = now
        self._limit = events.Limit(clock)
        self._reported: set[str] = set()
        self._untold: deque[Event] = deque(maxlen=_UNTOLD)

    def report(self, name: str, site: Site | None, unmade: Reach | None) -> None:
        """Bring the status of a CrossplaneCluster up to date; nothing is written where it is.

        Args:
            unmade: Why there is no site.

        Raises:
            ClusterError: It cannot be written.
        """
        there = self._platform.sites.store.get(Key("", name))
        if there is None:
            self._reported.discard(name)
            return
        before = there.packed.body["status"]
        if site is None:
            reach = unmade or _UNTRIED
            found = Found(there.generation, reach, None, {}, frozenset(), {}, frozenset())
        else:
            found = self._found(site, there.generation)
        status = report.status(found, before, self._now())
        if name not in self._reported:
            if _is_less(status, before):
                return
            self._reported.add(name)
        if status == before:
            return
        try:
            self._platform.cluster.request(
                "PATCH",
                kinds.CLUSTER.path(name=name, subresource="status"),
                query={"fieldManager": FIELD_MANAGER, "force": "true"},
                body={"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "status": status},
                content_type=APPLY,
                doing=f"report on {KIND} {name}",
            )
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            # It has gone just now, which its watch tells.

    def _found(self, site: Site, generation: int) -> Found:
        return Found(
            generation,
            site.reach,
            self._obstacle(site),
            site.board.read("Promise"),
            self._platform.selected(site.spec),
            site.board.read("Destination"),
            self._platform.inventory(site.spec) if site.has_inventory else frozenset(),
            {"Request": site.board.read("Request"), "XRD": site.board.read("XRD")},
        )

    def _obstacle(self, site: Site) -> tuple[str, str] | None:
        if site.obstacle is not None:
            return site.obstacle
        if not site.ready:
            return clusters.unread(site)
        if (refused := clusters.unwatched(site)) is not None:
            return refused
        return gitops.obstacle(site, self._platform) if site.by_gitops else None

    def tell(self, site: Site, name: str, before: Outcome, after: Outcome) -> None:
        """Tell on a Promise what became of it on a cluster, where that is news."""
        about = self._about(name)
        for event in _news(about, f"On cluster {site.name}: ", before, after) if about else ():
            _log.info(event.reason.lower(), extra=log.about(cluster=site.name, promise=name, reason=event.note))
            self._record(event)

    def say(self, name: str, news: News) -> None:
        """Tell on a Promise what is so on all clusters."""
        about = self._about(name)
        if about:
            self._record(Event(about, *news))

    def _about(self, promise: str) -> Mapping[str, str]:
        found = self._platform.promises.store.get(Key("", promise))
        if found is None:
            return {}
        return {"apiVersion": kinds.PROMISE.api_version, "kind": "Promise", "name": promise, "uid": found.uid}

    def repeat(self) -> None:
        """Tell what could not be told before.

        Raises:
            ClusterError: It still cannot.
        """
        while True:
            try:
                event = self._untold.popleft()
            except IndexError:
                return
            try:
                self._post(event)
            except ClusterError:
                self._untold.appendleft(event)
                raise

    def _record(self, event: Event) -> None:
        if not self._limit.allows(event):
            return
        try:
            self._post(event)
        except ClusterError:
            self._untold.append(event)  # a report follows whatever is told, and tells it too

    def _post(self, event: Event) -> None:
        manifest: dict[str, Any] = events.manifest(event, self._now(), self._instance)
        path = kinds.EVENT.path(manifest["metadata"]["namespace"])
        try:
            self._platform.cluster.request("POST", path, body=manifest, doing=f"tell about {event.about['name']}")
        except ApiError as error:
            if error.may_pass:
                raise
            # 409: it was told before a restart. What an event says is in the status too.
            _log.debug("an event is not told", extra=log.about(promise=event.about["name"], error=str(error)))


def _is_less(status: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a status is that of a process that has just begun, and an earlier one had come to an end with this spec.

    Until all was looked at once, what the earlier one said is the best that is known: a restart with nothing changed
    makes no condition flap, and writes nothing.
    """
    if before.get("observedGeneration") != status["observedGeneration"]:
        return False
    return _begins(status) and not _begins(before)


def _begins(status: Mapping[str, Any]) -> bool:
    return any(condition["reason"] in _BEGINNING for condition in status.get("conditions") or ())


def _news(about: Mapping[str, str], where: str, before: Outcome, after: Outcome) -> Iterator[Event]:
    if after.refused and after.refused != before.refused:
        yield Event(about, "Warning", "Refused", "Publish", f"{where}{after.refused}")
    if after.kept and after.kept != before.kept:
        yield Event(about, "Warning", "Kept", "Unpublish", f"{where}{'; '.join(after.kept)}")
    if after.xrd and not after.refused and (before.xrd, before.version) != (after.xrd, after.version):
        version = f", version {after.version}" if after.version else ""
        yield Event(about, "Normal", "Published", "Publish", f"{where}published as the XRD {after.xrd}{version}")
