"""What is on a cluster of one kind, always up to date: a list, and a watch from where the list ended.

Level-triggered: a store says what is there, and `on_change` says that a key is worth a look. Whatever happens to the
connection, the store becomes what the server has, and each difference is told:

- A connection that ends, breaks or is silent is opened again from the last version seen; bookmarks keep that version
  young while nothing happens. Half a line is not an event: it comes again.
- The list is read anew where resuming is not possible or not to be trusted: 410 (as a status, or in the stream), a line
  that is no event, an error that stays, a server that keeps closing without a word. What is no longer listed is gone.
- Lists are read in pages, at one version, without `resourceVersion`: the newest state, also from a server that lags
  behind (kube-apiserver, reflector.go, may go back in time from version 0). An expired page starts the list again; when
  that happens again, the list is read whole. Watch-lists (`sendInitialEvents`) would spare the server memory, but it is
  not on in every version that Crossplane runs on.
- After a failure each try waits longer, by the watch's name and count, and at least as long as the server asked for.

A store holds what `keep` keeps of each object, and no more: 5,000 Destinations as decoded JSON are some 40 MB.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, Self, TypeVar

from bridge import source as told
from bridge.backoff import Backoff, spread
from bridge.errors import ApiError, ClusterError, UnreachableError
from bridge.resources import Resource
from bridge.source import Lines, Source
from bridge.store import Key, NoObjectError, Store, key_of

Kept = TypeVar("Kept")

_GONE: Final = 410
_PRESENT: Final = ("ADDED", "MODIFIED")
# A server may ask for a wait of at most so many times the longest of our own.
_OBEYED: Final = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how long, in seconds unless said otherwise.

    Attributes:
        page: How many objects a page of a list has.
        lasts: How long a watch lasts at least; up to twice that, so that not all end at once.
        silence: After how long without a byte a watch is given up. Bookmarks come about once a minute.
        base: The wait before the first new try, and the least time between two connections.
        cap: The longest wait.
        patience: After how many connections in a row that brought nothing the list is read anew.
    """

    page: int = 250
    lasts: float = 300.0
    silence: float = 90.0
    base: float = 0.2
    cap: float = 30.0
    patience: int = 3


@dataclass(frozen=True, slots=True)
class Health:
    """How a watch is.

    Attributes:
        synced: The list was read in full once: the store was what the server had.
        contact: When the server was last heard of, by the clock; None for never.
        error: What is wrong now, in one sentence; empty when nothing is.
        alive: Its thread runs.
        lists: How many lists were begun.
        streams: How many watches were opened.
        status: What the server answered last, where that is what is wrong now: 403, 404, ...; 0 where it is not.
    """

    synced: bool
    contact: float | None
    error: str
    alive: bool
    lists: int
    streams: int
    status: int = 0


class _RelistError(Exception):
    """The watch cannot be resumed."""


class Watch(Generic[Kept]):
    """A list-watch with its store, in a thread of its own.

    Args:
        resource: The kind.
        keep: What to keep of an object, which it must not change; None leaves it out. It gets apiVersion and kind also
            where a list leaves them out. An object that was deleted and made anew looks unchanged if `keep` keeps
            nothing that says so, such as the uid.
        on_change: Is called with the key, what was kept before and what is kept now, None for nothing; only if these
            differ, after the store has changed, and in the watch's thread: it queues the key and returns.
        clock: Monotonic seconds.
        namespace: Of the objects; all by default.
        labels: A label selector.
        fields: A field selector.
    """

    def __init__(
        self,
        source: Source,
        resource: Resource,
        *,
        keep: Callable[[Mapping[str, Any]], Kept | None],
        on_change: Callable[[Key, Kept | None, Kept | None], None],
        clock: Callable[[], float],
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        pace: Pace | None = None,
    ) -> None:
        self.resource = resource
        self.name = f"{source.name}/{resource.plural}"
        self.store: Store[Kept] = Store(keep, on_change)
        self._source = source
        self._what = ".".join(part for part in (resource.plural, resource.group) if part)
        self._path = resource.path(namespace)
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        self._selectors = {name: selector for name, selector in selectors.items() if selector}
        self._clock = clock
        self._pace = pace or Pace()
        self._backoff = Backoff(self.name, self._pace.base, self._pace.cap)
        self._stop = threading.Event()
        self._synced = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._lines: Lines | None = None
        self._version = ""  # empty: a list is to be read
        self._failures = 0  # without an event in between
        self._silent = 0  # watches that were opened and brought nothing, in a row
        self._contact: float | None = None
        self._error = ""
        self._status = 0
        self._lists = 0
        self._streams = 0

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def wait_synced(self, timeout: float) -> bool:
        """Wait until the list was read in full once; says whether it was in so many seconds."""
        return self._synced.wait(timeout)

    def stop(self, timeout: float = 5.0) -> bool:
        """End the thread.

        Returns:
            Whether it ended in so many seconds: a list that hangs ends by its time-out, or when its cluster is closed.
        """
        self._stop.set()
        lines = self._lines
        if lines is not None:
            lines.interrupt()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def health(self) -> Health:
        """How it is now."""
        alive, status = self._thread.is_alive(), self._status if self._error else 0
        return Health(self._synced.is_set(), self._contact, self._error, alive, self._lists, self._streams, status)

    def _run(self) -> None:
        while not self._stop.is_set():
            started = self._clock()
            wait = self._round()
            # However it went, connections follow each other no faster than this.
            least = self._pace.base - (self._clock() - started)
            self._stop.wait(max(wait, least, 0.0))

    def _round(self) -> float:
        """One list or one watch; returns how many seconds to wait before the next."""
        try:
            if self._version:
                self._watch()
            else:
                self._list()
        except (_RelistError, told.NotUnderstoodError, NoObjectError) as why:
            self._status = 0
            return self._again(f"cannot go on watching {self.name}: {why}", relist=True)
        except ApiError as error:
            self._status = error.status
            return self._again(str(error), relist=error.status == _GONE, at_least=error.retry_after)
        except UnreachableError as error:
            self._status = 0
            return self._again(str(error), relist=False, at_least=error.retry_after)
        return 0.0

    def _again(self, why: str, *, relist: bool, at_least: float | None = None) -> float:
        if self._stop.is_set():
            return 0.0
        if why != self._error:
            _log.info("%s", why)
        self._error = why
        if relist:
            self._version = ""
        wait = max(self._backoff.seconds(self._failures), min(at_least or 0.0, _OBEYED * self._pace.cap))
        self._failures += 1
        return wait

    def _list(self) -> None:
        for page in (self._pace.page, self._pace.page, 0):
            try:
                self._pages(page)
            except ApiError as error:
                if error.status != _GONE or not page:
                    raise
            else:
                return

    def _pages(self, page: int) -> None:
        """Read the list once; a page of 0 reads it whole."""
        self._lists += 1
        query: dict[str, str | int] = {**self._selectors, **({"limit": page} if page else {})}
        there: set[Key] = set()
        version = ""
        while True:
            answer = self._source.request("GET", self._path, query=query, doing=f"list {self._what}")
            if self._stop.is_set():
                return
            self._contact = self._clock()
            items, listed, token = told.page(answer)
            version = version or listed
            there.update(self.store.put(self._typed(item)) for item in items)
            if not token:
                break
            if query.get("continue") == token:
                raise _RelistError("the list does not end")
            query["continue"] = token
        self.store.retain(there)
        self._version = version
        self._error = ""
        self._synced.set()

    def _watch(self) -> None:
        self._streams += 1
        query: dict[str, str | int] = {
            **self._selectors,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": int(self._pace.lasts * (1 + spread(f"{self.name}/{self._streams}"))) or 1,
        }
        lines = self._source.stream(
            self._path, query=query, read_timeout=self._pace.silence, doing=f"watch {self._what}"
        )
        self._contact = started = self._clock()
        self._error = ""
        self._silent += 1
        try:
            self._follow(lines)
        except ClusterError as error:
            self._judge(started, str(error))
            raise
        self._judge(started, f"{self._silent} watches in a row brought nothing")

    def _follow(self, lines: Lines) -> None:
        self._lines = lines
        try:
            if self._stop.is_set():  # stop() may have looked for the lines before they were there
                return
            for line in lines:
                self._event(line)
                if self._stop.is_set():
                    return
        finally:
            self._lines = None
            lines.close()

    def _judge(self, started: float, why: str) -> None:
        """A watch has ended; decide whether its version is still to be trusted."""
        if self._clock() - started >= self._pace.cap:
            self._failures = 0
        if self._silent >= self._pace.patience:
            self._silent = 0
            raise _RelistError(why)

    def _event(self, line: bytes) -> None:
        kind, manifest = told.event(line)
        self._contact = self._clock()
        if kind == "ERROR":
            self._refused(manifest)
        version = told.version(manifest)
        if not version:
            raise _RelistError("an event has no version")
        if kind in _PRESENT:
            self.store.put(self._typed(manifest))
        elif kind == "DELETED":
            self.store.remove(key_of(manifest))
        elif kind != "BOOKMARK":
            raise _RelistError("an event is of a type that is not known")
        self._version = version
        self._silent = 0
        self._failures = 0

    def _refused(self, status: Mapping[str, Any]) -> NoReturn:
        code = status.get("code")
        if code == _GONE:
            raise _RelistError("the version that was seen last has expired")
        details = status.get("details")
        after = details.get("retryAfterSeconds") if isinstance(details, Mapping) else None
        raise ApiError(
            self._source.name,
            f"watch {self._what}",
            code if isinstance(code, int) else 500,
            status,
            retry_after=float(after) if isinstance(after, int) else None,
        )

    def _typed(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        # Built-in kinds have neither in a list.
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **manifest}
