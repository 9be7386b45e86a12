"""What one person sees: all that is read, less what they may not list themselves; and when that has changed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge.resources import Resource
from bridge.status import judge
from bridge.status.model import Unread, plain
from bridge.status.reading import PLACEMENT, Reading
from bridge.sync import kinds
from bridge.ui.access import Access, Person

_FIRST: Final = 10.0
# Between two looks, while something changes all the time.
_REST: Final = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """What somebody sees.

    Attributes:
        tag: Tells it from all others; what is shown alike has the same.
    """

    body: bytes
    tag: str


class Views:
    """Read for whoever asks first, and from then on; safe to use from several threads.

    Args:
        read: Begins to read; is given what to call at a change.
        clock: Monotonic seconds.
    """

    def __init__(
        self, read: Callable[[Callable[[], None]], Reading], access: Access, clock: Callable[[], float]
    ) -> None:
        self._read, self._access, self._clock = read, access, clock
        self._changed = threading.Condition()
        self._number = 0
        self._lock = threading.Lock()
        self._reading: Reading | None = None
        self._stopped = False

    def may_see(self, person: Person) -> bool:
        """Whether somebody may see anything: who may list CrossplaneClusters.

        Raises:
            BusyError, ClusterError: As `Access.may_list`.
        """
        return self._access.may_list(person, kinds.CLUSTER)

    def view(self, person: Person, seen: str, within: float) -> View:
        """What somebody sees, as soon as it is not what they have seen.

        Args:
            seen: The tag of what they have; empty for nothing.
            within: How many seconds to wait for something else.

        Raises:
            BusyError, ClusterError: As `Access.may_list`.
        """
        reading = self._started()
        until = self._clock() + within
        while True:
            number = self._number
            found = self._view(reading, person)
            left = until - self._clock()
            if found.tag != seen or left <= 0 or self._stopped:
                return found
            with self._changed:
                # Errors come without a change, and so does the end of what is believed of somebody.
                self._changed.wait_for(lambda number=number: self._number != number, min(left, 5.0))  # type: ignore[misc] # a default binds it
            threading.Event().wait(min(_REST, max(until - self._clock(), 0)))

    def stop(self) -> None:
        """End reading; nobody waits any longer."""
        self._stopped = True
        self._tell()
        with self._lock:
            if self._reading is not None:
                self._reading.stop()

    def _started(self) -> Reading:
        with self._lock:
            if self._reading is None:
                self._reading = self._read(self._tell)
                self._reading.read(_FIRST, threading.Event().wait)
            return self._reading

    def _tell(self) -> None:
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def _view(self, reading: Reading, person: Person) -> View:
        shown = judge.status(self._seen(reading, person))
        body = json.dumps({"user": person.user, **plain(shown)}, ensure_ascii=False, sort_keys=True).encode()
        return View(body, hashlib.sha256(body).hexdigest()[:32])

    def _seen(self, reading: Reading, person: Person) -> judge.Found:
        found = reading.found()
        hidden: list[Unread] = []

        def may(resource: Resource) -> bool:
            allowed = self._access.may_list(person, resource)
            if not allowed:
                why = f"you may not list {resource.plural}{f'.{resource.group}' if resource.group else ''}"
                hidden.append(Unread(resource.kind, why, forbidden=True, answered=True))
            return allowed

        promises = may(kinds.PROMISE)
        requests = reading.kinds() if promises else {}
        xrs = reading.xr_kinds() if promises else {}
        return replace(
            found,
            promises=found.promises if promises else (),
            destinations=found.destinations if may(kinds.DESTINATION) else (),
            placements=found.placements if may(PLACEMENT) else (),
            requests={name: each for name, each in found.requests.items() if name in requests and may(requests[name])},
            xrs={key: each for key, each in found.xrs.items() if key in xrs and may(xrs[key])},
            unread=(*found.unread, *dict.fromkeys(hidden)),
        )
