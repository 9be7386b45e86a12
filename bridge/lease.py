"""Leader election by a Lease, with client-go's rules (tools/leaderelection: leaderelection.go).

The kubernetes package has an election of its own (leaderelection/leaderelection.py). It compares wall clocks, cannot be
stopped and never gives its Lease back, so that after each update of a Deployment nobody leads for the whole duration.

- Whose Lease it is is decided by optimistic concurrency: every write names the version that was read.
- Clocks of different machines are not compared: a Lease has expired when it was *seen* unchanged for its duration.
- Who cannot renew stops leading before others may take over: `RENEW_DEADLINE` is less than `DURATION`.
- Who stops gives the Lease back, so that the next one need not wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from bridge.errors import ClusterError

API_VERSION: Final = "coordination.k8s.io/v1"
DURATION: Final = 15  # seconds, as controller-runtime's
RENEW_DEADLINE: Final = 10.0
RETRY: Final = 2.0

_Lease = Mapping[str, Any]


class Store(Protocol):
    """Where the Lease is."""

    def get(self) -> _Lease | None:
        """The Lease, or None where there is none."""

    def write(self, lease: _Lease) -> _Lease | None:
        """Create it, or replace the version that it names; None where somebody else was faster."""


class LostError(Exception):
    """The Lease could not be renewed in time: somebody else may lead by now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the Lease.

    Attributes:
        name: Its identity; empty where nobody holds it.
        since: When it got it, as the Lease says.
    """

    name: str
    since: str


@dataclass(slots=True)
class Election:
    """One candidate.

    Attributes:
        me: The candidate's identity; no other has the same.
        name, namespace: Of the Lease.
        clock: Seconds that only ever grow.
        now: The time of day, for people who read the Lease.
        store: Where the Lease is.
    """

    me: str
    name: str
    namespace: str
    clock: Callable[[], float]
    now: Callable[[], datetime]
    store: Store
    _seen: _Lease | None = None
    _seen_at: float = 0.0
    _renewed: float = float("-inf")

    def attempt(self) -> bool:
        """Take the Lease, or renew it; whether it is this candidate's now."""
        began = self.clock()
        lease = self.store.get()
        if lease is not None and self._is_anothers(lease):
            return False
        written = self.store.write(self._mine(lease))
        if written is None:
            return False
        self._look(written)
        # Not when the answer came: others count from when it was written.
        self._renewed = began
        return True

    def is_overdue(self) -> bool:
        """Whether it was not renewed for `RENEW_DEADLINE` seconds; to be asked by another thread than `hold`.

        A try to renew it may hang, or its thread may have ended: nobody hears of it from there.
        """
        return self.clock() - self._renewed > RENEW_DEADLINE

    def holder(self) -> Holder:
        """Who held it when it was last read."""
        spec = (self._seen or {}).get("spec") or {}
        return Holder(str(spec.get("holderIdentity") or ""), str(spec.get("acquireTime") or ""))

    def wait(
        self, stop: threading.Event, failed: Callable[[ClusterError], None], told: Callable[[Holder], None]
    ) -> bool:
        """Wait until the Lease is this candidate's; False where it was stopped before.

        Args:
            failed: Told of each error of the API server; it is tried again.
            told: Told who holds it, each time that it is somebody else than before.
        """
        known = None
        while not stop.is_set():
            try:
                if self.attempt():
                    return True
            except ClusterError as error:
                failed(error)
            if self.holder() != known:
                known = self.holder()
                told(known)
            stop.wait(RETRY)
        return False

    def hold(self, stop: threading.Event) -> None:
        """Renew the Lease until stopped.

        Raises:
            LostError: It could not be renewed for `RENEW_DEADLINE` seconds, or it is another's.
        """
        while not stop.wait(RETRY):
            try:
                if self.attempt():
                    continue
                cause = f"it is held by {self.holder().name}"
            except ClusterError as error:
                cause = str(error)
            if self.is_overdue() or self._is_lost():
                raise self.lost(cause)

    def lost(self, cause: str) -> LostError:
        """That it could not be renewed, and why."""
        return LostError(f"cannot renew the Lease {self.namespace}/{self.name}: {cause}")

    def release(self) -> None:
        """Give it back, if it is this candidate's: the next one takes it at once (leaderelection.go: release)."""
        lease = self.store.get()
        if lease is None or lease["spec"].get("holderIdentity") != self.me:
            return
        now = self._time()
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        self.store.write({**lease, "spec": spec})

    def _is_anothers(self, lease: _Lease) -> bool:
        self._look(lease)
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        if not holder or holder == self.me:
            return False
        return self.clock() - self._seen_at < float(spec.get("leaseDurationSeconds") or DURATION)

    def _is_lost(self) -> bool:
        return self.holder().name not in ("", self.me)

    def _look(self, lease: _Lease) -> None:
        version = lease["metadata"].get("resourceVersion")
        if self._seen is None or self._seen["metadata"].get("resourceVersion") != version:
            self._seen_at = self.clock()
        self._seen = lease

    def _mine(self, lease: _Lease | None) -> _Lease:
        before = (lease or {}).get("spec") or {}
        mine = before.get("holderIdentity") == self.me
        now = self._time()
        spec = {
            "holderIdentity": self.me,
            "leaseDurationSeconds": DURATION,
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if mine or lease is None else 1),
        }
        metadata = (lease or {}).get("metadata") or {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}

    def _time(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
