"""The requests that are mirrored, as watches on the platform see them: one watch for each Promise that opts in.

That is what Kratix's own manager has too, and it is for all Crossplane clusters together; on these, no watch is for one
kind of XR (sync/requests.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from bridge.clusters import Cluster
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kept, mirror
from bridge.sync.mirror import Mirror
from bridge.watch import Watch
from function.api.errors import InvalidError


class Of(NamedTuple):
    """Which request."""

    promise: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)

    @classmethod
    def read(cls, text: str) -> Self:
        """The one that `str` gave."""
        return cls(*text.split("/"))


@dataclass(frozen=True, slots=True)
class Opened:
    """A Promise whose requests are mirrored.

    Attributes:
        resource: Its API, in the version that is stored.
    """

    mirror: Mirror
    resource: Resource
    watch: Watch[kept.Request]

    def requests(self) -> Iterator[tuple[Of, kept.Request]]:
        """All that are there just now."""
        for key, found in self.watch.store.items():
            yield Of(self.mirror.promise, *key), found


class Intake:
    """All of them; safe to use from several threads.

    Args:
        changed: Is called with each request that is not as it was.
    """

    def __init__(self, platform: Cluster, *, changed: Callable[[Of], None], clock: Callable[[], float]) -> None:
        self._platform = platform
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: dict[str, Opened] = {}
        self._refused: dict[str, str] = {}

    @property
    def opened(self) -> Mapping[str, Opened]:
        """By the Promise's name."""
        with self._lock:
            return dict(self._opened)

    def refused(self, promise: str) -> str:
        """Why a Promise's requests are not mirrored though they are to be; empty where that is not so."""
        with self._lock:
            return self._refused.get(promise, "")

    def get(self, of: Of) -> tuple[Opened, kept.Request | None] | None:
        """A request as it was seen, None where it is not there; nothing at all where that is not known."""
        with self._lock:
            opened = self._opened.get(of.promise)
        if opened is None or not opened.watch.health.synced:
            return None
        return opened, opened.watch.store.get(Key(of.namespace, of.name))

    def bring(self, name: str, promise: kept.Promise | None) -> None:
        """Watch the requests of a Promise, or watch them no longer; what was mirrored of them stays as it is."""
        wanted, refused = None, ""
        if promise is not None and not promise.leaving and promise.labels and mirror.is_wanted(promise.packed.body):
            try:
                wanted = mirror.read(promise.packed.body)
            except InvalidError as error:
                refused = str(error)
        with self._lock:
            self._refused.pop(name, None)
            if refused:
                self._refused[name] = refused
            before = self._opened.get(name)
            if before is not None and before.mirror == wanted:
                return
            self._opened.pop(name, None)
        if before is not None:
            before.watch.stop(timeout=1.0)
        if wanted is not None:
            self._open(wanted)

    def stop(self) -> None:
        """End all watches."""
        for opened in self.opened.values():
            opened.watch.stop(timeout=1.0)

    def _open(self, wanted: Mirror) -> None:
        resource = Resource(wanted.group, wanted.version, wanted.kind, wanted.plural, namespaced=True)

        def changed(key: Key, *_: object) -> None:
            self._changed(Of(wanted.promise, *key))

        watch: Watch[kept.Request] = Watch(
            self._platform, resource, keep=kept.request, on_change=changed, clock=self._clock
        )
        with self._lock:
            self._opened[wanted.promise] = Opened(wanted, resource, watch)
        watch.start()
