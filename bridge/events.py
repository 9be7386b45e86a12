"""Events of events.k8s.io/v1, at a bounded rate.

An event's name is a digest of what it says and about which object, so the same one is not made twice while the first is
there: neither again after a restart nor by a second process. API servers keep events for an hour, and then it is news.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from function.api.errors import shorten
from function.api.names import FIELD_MANAGER, bounded

API_VERSION: Final = "events.k8s.io/v1"
# Events of cluster-scoped objects are there (client-go, tools/events: event_recorder.go).
NAMESPACE: Final = "default"

_NOTE = 1024  # the API server takes no more (validation/events.go)
_BURST, _REFILL = 10, 30.0
# Of all objects together: a first sync of a thousand Promises is in the log and in each status. client-go drops events
# that come faster than it can write them, too (tools/record/event.go).
_ALL_BURST, _ALL_REFILL = 100, 1.0
_REMEMBERED = 4096
_ALL = ""  # no object has this UID or name


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell about an object.

    Attributes:
        about: The object: apiVersion, kind, name, uid, and namespace where it has one.
        reason: Why, in one word.
        action: What the bridge did, in one word.
        note: One sentence.
    """

    about: Mapping[str, str]
    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


class News(NamedTuple):
    """What an event says, whatever it is about."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


@dataclass(slots=True)
class Limit:
    """How many events an object gets: ten at once, and then one each thirty seconds.

    Of those that warn of nothing all objects together get a hundred at once, and then one each second.

    Attributes:
        clock: Monotonic seconds.
    """

    clock: Callable[[], float]
    _told: OrderedDict[tuple[str, ...], float] = field(default_factory=OrderedDict)
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, event: Event) -> bool:
        """Whether it is news, and not too much for its object."""
        about = event.about.get("uid", "") or event.about["name"]
        key = (about, event.reason, event.note)
        now = self.clock()
        with self._lock:
            if now - self._told.get(key, float("-inf")) < 3600:
                return False
            allowed = self._take(about, _BURST, _REFILL, now)
            if allowed and event.type == "Normal":
                allowed = self._take(_ALL, _ALL_BURST, _ALL_REFILL, now)
            if allowed:
                self._told.pop(key, None)
                self._told[key] = now
            for remembered in (self._told, self._left):
                while len(remembered) > _REMEMBERED:
                    remembered.popitem(last=False)
            return allowed

    def _take(self, of: str, burst: int, refill: float, now: float) -> bool:
        left, since = self._left.pop(of, (float(burst), now))
        left = min(float(burst), left + (now - since) / refill)
        self._left[of] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def manifest(event: Event, now: datetime, instance: str) -> dict[str, Any]:
    """The event as the API server takes it.

    Args:
        instance: Which of the bridge's processes it is.
    """
    about = event.about
    identity = (about.get("uid", ""), about["name"], event.type, event.reason, event.note)
    return {
        "apiVersion": API_VERSION,
        "kind": "Event",
        "metadata": {"name": bounded(about["name"][:40], *identity), "namespace": about.get("namespace") or NAMESPACE},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"bridge.kratix.io/{FIELD_MANAGER}",
        "reportingInstance": instance[:128],
        "regarding": dict(about),
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": shorten(event.note, _NOTE),
    }
