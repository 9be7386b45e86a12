"""The platform as it is, and as it changes: a list-watch for each kind that is shown, and each on its own.

What one reader may not read, or one API server does not serve, hides nothing of the rest. Reading is all that is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from bridge.clusters import Cluster
from bridge.errors import ApiError, ClusterError
from bridge.resources import Resource
from bridge.source import Lines
from bridge.status import judge, kept
from bridge.status.model import Status, Unread
from bridge.sync import kinds
from bridge.watch import Watch

PLACEMENT: Final = Resource("platform.kratix.io", "v1alpha1", "WorkPlacement", "workplacements", namespaced=True)

Kept = TypeVar("Kept")
_Key = TypeVar("_Key")


@dataclass(slots=True)
class _Source:
    """A cluster, and how it failed last: a watch's own message is for people."""

    cluster: Cluster
    error: ClusterError | None = None

    @property
    def name(self) -> str:
        return self.cluster.name

    def request(self, method: str, path: str, /, *, query: Mapping[str, str | int], doing: str) -> Any:
        with self._noted():
            return self.cluster.request(method, path, query=query, doing=doing)

    def stream(self, path: str, /, *, query: Mapping[str, str | int], read_timeout: float, doing: str) -> Lines:
        with self._noted():
            return self.cluster.stream(path, query=query, read_timeout=read_timeout, doing=doing)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except ClusterError as error:
            self.error = error
            raise
        self.error = None


class _Kind(Generic[Kept]):
    """One kind's watch."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        keep: Callable[[Mapping[str, Any]], Kept | None],
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.resource = resource
        self._source = _Source(cluster)
        self._changed = changed
        self.watch: Watch[Kept] = Watch(
            self._source, resource, keep=keep, on_change=lambda *_: changed(), clock=clock
        ).start()

    @property
    def decided(self) -> bool:
        """Whether it was read once, or cannot be."""
        health = self.watch.health
        return health.synced or bool(health.error)

    @property
    def objects(self) -> list[Kept]:
        """What is there, in no order; what was there last, where it cannot be read now."""
        return [each for _, each in self.watch.store.items()]

    @property
    def unread(self) -> Unread | None:
        """Why it cannot be read now."""
        said, error = self.watch.health.error, self._source.error
        if not said:
            return None
        kind = self.resource.kind
        if not isinstance(error, ApiError):
            # Without an error of the cluster it is what was answered that is not understood.
            return Unread(kind, str(error or said), answered=error is None)
        if error.status == 404:
            what = f"{kind} of {self.resource.api_version}"
            why = f"cluster {self._source.name} does not serve {what}: its CRD is missing"
            return Unread(kind, why, answered=True)
        return Unread(kind, str(error), forbidden=error.status == 403, answered=True)


class Reading:
    """All that is shown of a platform; safe to use from several threads.

    Args:
        changed: Is called when something may be otherwise; it sets a flag and returns.
        clock: Monotonic seconds.
        xrs: Of how many kinds XRs are read where Crossplane is beside Kratix: each is a watch.
    """

    def __init__(
        self, platform: Cluster, changed: Callable[[], None], clock: Callable[[], float], *, xrs: int = 0
    ) -> None:
        self._platform, self._changed, self._clock = platform, changed, clock
        self._xr_limit = xrs
        self._xrs: dict[tuple[str, str], _Kind[kept.Xr]] = {}
        self._lock = threading.Lock()
        self._requests: dict[str, _Kind[kept.Request]] = {}
        self._sites = _Kind(platform, kinds.CLUSTER, kept.site, changed, clock)
        self._promises = _Kind(platform, kinds.PROMISE, kept.promise, changed, clock)
        self._destinations = _Kind(platform, kinds.DESTINATION, kept.destination, changed, clock)
        self._placements = _Kind(platform, PLACEMENT, kept.placement, changed, clock)

    def read(self, within: float, tick: Callable[[float], object]) -> Status:
        """Wait until each kind was read once or cannot be, and say how all is.

        Args:
            within: Seconds; what has not answered then is said not to have.
            tick: Waits so many seconds.
        """
        until = self._clock() + within
        while self._clock() < until and not self._decided():
            tick(0.05)
        return self.status()

    def status(self) -> Status:
        """How all is now."""
        return judge.status(self.found())

    def found(self) -> judge.Found:
        """What was read so far."""
        requests, xrs = self._opened(), self._opened_xrs()
        return judge.Found(
            self._sites.objects,
            self._promises.objects,
            self._destinations.objects,
            self._placements.objects,
            {name: kind.objects for name, kind in requests.items()},
            {key: kind.objects for key, kind in xrs.items()},
            self._unread((*self._own(), *requests.values(), *xrs.values())),
        )

    def kinds(self) -> Mapping[str, Resource]:
        """Where requests are, by the Promise's name."""
        return {name: kind.resource for name, kind in self._opened().items()}

    def xr_kinds(self) -> Mapping[tuple[str, str], Resource]:
        """Where XRs are, by the names of CrossplaneCluster and Promise."""
        return {key: kind.resource for key, kind in self._opened_xrs().items()}

    def stop(self) -> None:
        """End all watches."""
        with self._lock:
            every: list[_Kind[Any]] = [*self._own(), *self._requests.values(), *self._xrs.values()]
        for kind in every:
            kind.watch.stop(timeout=0.0)
        self._platform.close()
        for kind in every:
            kind.watch.stop(timeout=1.0)

    def _own(self) -> Sequence[_Kind[Any]]:
        return self._sites, self._promises, self._destinations, self._placements

    def _decided(self) -> bool:
        # Which others there are follows from these: asked before, the answer may be none.
        if not all(kind.decided for kind in self._own()):
            return False
        others: list[_Kind[Any]] = [*self._opened().values(), *self._opened_xrs().values()]
        return all(kind.decided for kind in others)

    def _unread(self, every: Sequence[_Kind[Any]]) -> list[Unread]:
        found: list[Unread] = []
        causes: set[str] = set()
        for kind in every:
            unread = kind.unread
            if unread is None and not kind.watch.health.synced:
                unread = Unread(kind.resource.kind, f"cluster {self._platform.name} has not answered yet")
            if unread is None:
                continue
            # A cluster that is lost is lost to all kinds: once is enough.
            cause = unread.why if unread.answered else unread.why.rpartition(f" on cluster {self._platform.name}: ")[2]
            if cause not in causes:
                causes.add(cause)
                found.append(unread)
        return found

    def _opened(self) -> Mapping[str, _Kind[kept.Request]]:
        """Requests of the Promises that are mirrored now: as many watches as Kratix's own manager has."""
        wanted = {each.name: _resource(each.api) for each in self._promises.objects if each.mirrored and each.api}
        return self._brought(self._requests, wanted, kept.request)

    def _opened_xrs(self) -> Mapping[tuple[str, str], _Kind[kept.Xr]]:
        """XRs of the Promises that are published on this very cluster."""
        if not self._xr_limit:
            return {}
        apis = {each.name: each.api for each in self._promises.objects}
        wanted: dict[tuple[str, str], Resource] = {}
        for site in sorted(self._sites.objects, key=lambda each: each.name):
            for promise, xrd in site.xrds if site.here else ():
                api = apis.get(promise)
                plural, _, group = xrd.partition(".")
                if api is not None and len(wanted) < self._xr_limit:
                    wanted[site.name, promise] = Resource(group, api.version, api.kind, plural, namespaced=True)
        return self._brought(self._xrs, wanted, kept.xr)

    def _brought(
        self,
        there: dict[_Key, _Kind[Kept]],
        wanted: Mapping[_Key, Resource],
        keep: Callable[[Mapping[str, Any]], Kept | None],
    ) -> Mapping[_Key, _Kind[Kept]]:
        with self._lock:
            for key in [key for key, kind in there.items() if kind.resource != wanted.get(key)]:
                there.pop(key).watch.stop(timeout=0.0)
            for key, resource in wanted.items():
                if key not in there:
                    there[key] = _Kind(self._platform, resource, keep, self._changed, self._clock)
            return dict(there)


def _resource(api: kept.Api) -> Resource:
    return Resource(api.group, api.version, api.kind, api.plural, namespaced=True)
