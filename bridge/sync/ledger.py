"""What is remembered of mirrored requests; after a restart all of it is found again by sweeps and first replies."""

from __future__ import annotations

import threading
import zlib
from typing import Final

from bridge.sync.intake import Of
from bridge.sync.kept import Request
from function.api.placing import Decision

Told = tuple[str, int, str, str]
# How an XR is looked at that has changed: each second for some seconds, then after half the time since, for a minute.
# Core may have been about to write it just then, and tries again after a second or two (crossplane-runtime,
# pkg/ratelimiter), or lets no events of it through for minutes (internal/circuit/token_bucket.go), so its beacon comes
# late or not at all. It is the time that counts: hints that bring nothing make nobody look more seldom.
_LEAST: Final = 1.0
_BUSY: Final = 4.0
_LONGEST: Final = 60.0
_STRIPES: Final = 64  # so that few requests wait for each other


class Ledger:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._telling = tuple(threading.Lock() for _ in range(_STRIPES))
        self._holding: dict[Of, frozenset[str]] = {}
        self._versions: dict[tuple[str, Of], int] = {}
        self._swept: set[tuple[str, str]] = set()
        self._tries: dict[tuple[str, str], int] = {}
        self._waiting: dict[str, float] = {}
        self._told: dict[Of, Told] = {}
        self._decided: dict[Of, Decision] = {}
        self._changed: dict[Of, float] = {}
        self._steered: set[str] = set()

    def holding(self, of: Of) -> frozenset[str]:
        """The clusters that have, or may have, a request's XR."""
        with self._lock:
            return self._holding.get(of, frozenset())

    def hold(self, of: Of, cluster: str) -> None:
        """A cluster has a request's XR, or is about to."""
        with self._lock:
            self._holding[of] = self._holding.get(of, frozenset()) | {cluster}

    def leave(self, of: Of, cluster: str) -> None:
        """A cluster has a request's XR no longer."""
        with self._lock:
            self._versions.pop((cluster, of), None)
            left = self._holding.get(of, frozenset()) - {cluster}
            if left:
                self._holding[of] = left
            else:
                self._holding.pop(of, None)
                self._told.pop(of, None)
                self._changed.pop(of, None)

    def decide(self, of: Of, at: Decision) -> None:
        """Where a request is to be, and why."""
        with self._lock:
            self._decided[of] = at
            self._holding[of] = self._holding.get(of, frozenset()) | {at.name}

    def undecide(self, of: Of) -> None:
        """A request is gone; one of its name that comes later is another."""
        with self._lock:
            self._decided.pop(of, None)
            if of not in self._holding:
                self._told.pop(of, None)
                self._changed.pop(of, None)

    def decided(self, of: Of) -> Decision | None:
        """What was decided last."""
        with self._lock:
            return self._decided.get(of)

    def seeks(self, of: Of, request: Request) -> bool:
        """Whether a request may go to a cluster that is free now: it is on none, or where it should not be."""
        decided = self.decided(of)
        state = decided.state if decided is not None else request.placement[0]
        return not request.cluster or state == "Misplaced"

    def where(self, of: Of, said: str) -> str:
        """The cluster that a request is to be on: as was decided since the process began, else as its status says."""
        decided = self.decided(of)
        return decided.name if decided is not None else said

    def is_older(self, cluster: str, of: Of, version: str) -> bool:
        """Whether an XR's version is older than what was seen of it before."""
        with self._lock:
            return version.isdecimal() and int(version) < self._versions.get((cluster, of), 0)

    def note(self, cluster: str, of: Of, version: str) -> None:
        """An XR was seen in that version. A cluster that was restored begins with older ones again."""
        with self._lock:
            self._versions[cluster, of] = int(version) if version.isdecimal() else 0

    def is_swept(self, cluster: str, promise: str) -> bool:
        """Whether all XRs of a Promise on a cluster were looked at once."""
        with self._lock:
            return (cluster, promise) in self._swept

    def swept(self, cluster: str, promise: str) -> None:
        """They were."""
        with self._lock:
            self._swept.add((cluster, promise))
            self._tries.pop((cluster, promise), None)

    def tried(self, cluster: str, promise: str) -> None:
        """They could not be."""
        with self._lock:
            self._tries[cluster, promise] = self._tries.get((cluster, promise), 0) + 1

    def tries(self, cluster: str, promise: str) -> int:
        """How often in a row they could not be."""
        with self._lock:
            return self._tries.get((cluster, promise), 0)

    def waited(self, promise: str, now: float) -> float:
        """For how many seconds requests of a Promise have waited until clusters are looked at; from now, if not yet."""
        with self._lock:
            return now - self._waiting.setdefault(promise, now)

    def waits_no_longer(self, promise: str) -> None:
        """They need not."""
        with self._lock:
            self._waiting.pop(promise, None)

    def forget(self, cluster: str) -> None:
        """A cluster is another one now, or is not there any more: what it holds is not known."""
        with self._lock:
            self._swept = {each for each in self._swept if each[0] != cluster}
            self._tries = {key: count for key, count in self._tries.items() if key[0] != cluster}
            self._versions = {key: version for key, version in self._versions.items() if key[0] != cluster}

    def close(self, promise: str) -> None:
        """Requests of a Promise are not mirrored any more; if they are again, all is found anew as after a restart."""
        with self._lock:
            for by_request in (self._holding, self._told, self._decided, self._changed):
                for of in [each for each in by_request if each.promise == promise]:
                    del by_request[of]
            self._versions = {key: version for key, version in self._versions.items() if key[1].promise != promise}
            self._swept = {each for each in self._swept if each[1] != promise}
            self._tries = {key: count for key, count in self._tries.items() if key[1] != promise}
            self._waiting.pop(promise, None)

    def telling(self, of: Of) -> threading.Lock:
        """Is held by who tells something of a request, from `is_told` to `tell`.

        One cluster's worker may tell how an XR was while it is decided that it is to be on another one. Were that
        written first and noted last, it would be taken for what is there, and the request would never move.
        """
        return self._telling[zlib.crc32(str(of).encode()) % _STRIPES]

    def is_told(self, of: Of, told: Told) -> bool:
        """Whether that was written last of a request: its UID and generation, a digest, and its state of health."""
        with self._lock:
            return self._told.get(of) == told

    def tell(self, of: Of, told: Told) -> bool:
        """It was written; returns whether something else had been written before."""
        with self._lock:
            before = self._told.get(of)
            self._told[of] = told
            return before is not None

    def look_again(self, of: Of, now: float, *, changed: bool) -> float | None:
        """In how many seconds to look at an XR again that was looked at; None where it has been calm for long."""
        with self._lock:
            if changed:
                self._changed[of] = now
            age = now - self._changed.get(of, now - _LONGEST)
            if age < _LONGEST:
                return _LEAST if age < _BUSY else age / 2
            self._changed.pop(of, None)
            return None

    def state(self, of: Of) -> str | None:
        """The state of health that was written last; None where this process has written none."""
        with self._lock:
            told = self._told.get(of)
            return told[3] if told is not None and told[3] else None

    def steer(self, promise: str) -> None:
        """Something selects versions for XRs of a Promise, or did: they have to be looked at."""
        with self._lock:
            self._steered.add(promise)

    def steered(self, promise: str) -> bool:
        """Whether they have to; whoever asks looks at them."""
        with self._lock:
            found = promise in self._steered
            self._steered.discard(promise)
            return found
