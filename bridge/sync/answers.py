"""What a mirrored request is told: its status, its HealthRecord, and its connection Secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from bridge.apply import Applier
from bridge.errors import ApiError
from bridge.observed import Ref, owned
from bridge.resources import UnknownKindError
from bridge.store import Key
from bridge.sync import asked, kept, kinds, mirror
from bridge.sync.board import Outcome
from bridge.sync.desk import RECORD, Desk, Found, Memory
from bridge.sync.intake import Of, Opened
from bridge.sync.ledger import Ledger
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import conditions, health, reply
from bridge.translate.health import Health, Subject
from function.api import names
from function.api.placing import Decision

_GONE: Final = (404, 409)

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A request, as the intake has it."""

    of: Of
    opened: Opened
    request: kept.Request

    @property
    def subject(self) -> Subject:
        """Whose health it is."""
        resource, request = self.opened.resource, self.request
        return Subject(*self.of[:1], resource.api_version, resource.kind, *self.of[1:], request.uid, request.generation)


@dataclass(frozen=True, slots=True)
class Answers:
    """Writes them.

    Attributes:
        applier: For the platform, on behalf of no one cluster: a request that moves stays the bridge's.
        now: The time of day.
    """

    platform: Platform
    applier: Applier
    ledger: Ledger
    now: Callable[[], datetime]

    def xr(self, case: Case, site: Site, found: _Object | None, said: str) -> bool:
        """Tell how the XR is; returns whether it is not as this process told last.

        Args:
            found: The XR; None while there is none, or where it is somebody else's.
            said: Why it is not as the request says; empty where it is.

        Raises:
            ClusterError: It cannot be told now.
        """
        state = health.of_xr(found, self._before(case))
        secret = ""
        if found is not None:
            secret, cause = self._desk().secret(site, found, case.subject)
            said = said or cause
        if said:
            state = replace(state, message=said if found is None else f"{state.message}; {said}")
        site.board.write("Request", str(case.of), Outcome(xrd=str(case.of), refused=said) if said else None)
        at = self._at(case)
        told = mirror.status(found, at, state, secret) if found else mirror.waiting(at, state.message)
        return self.write(case, told, replace(state, about=mirror.ABOUT))

    def lost(self, case: Case, at: Decision) -> None:
        """Tell that nobody knows how the XR is, and since when.

        Raises:
            ClusterError: It cannot be told now.
        """
        is_there = self.platform.sites.store.get(Key("", at.name)) is not None
        cause = "is not reached" if is_there else "is no CrossplaneCluster any more"
        message = f"cluster {at.name} {cause}: this is what was known of it last"
        found = asked.read(self.platform.cluster, case.opened.resource, case.of.namespace, case.of.name)
        before = self._told(found) if found is not None else {}
        status = mirror.unseen(before, at, message, conditions.timestamp(self.now()))
        if found is not None and before.get("crossplane") != status["crossplane"]:
            self.write(case, status, Health("unknown", message, {}, mirror.ABOUT))

    def write(self, case: Case, status: _Object, state: Health | None = None) -> bool:
        """Write a request's status and record, where they are not so already; returns whether others were told."""
        known = state.state if state else ""
        told = (case.request.uid, case.request.generation, names.digest(repr(status)), known)
        with self.ledger.telling(case.of):
            if self.ledger.is_told(case.of, told):
                return False
            found = Found(case.subject, case.opened.resource, {})
            try:
                if state is None:
                    self._desk().write_status(found, status)
                else:
                    self._desk(found.key).write(found, state, status)
            except ApiError as error:
                if error.status not in _GONE:
                    raise
                return False  # it is gone, or is another one of its name: the intake tells of that
            return self.ledger.tell(case.of, told)

    def forget(self, of: Of, xr: _Object | None) -> None:
        """A request is gone, and what was written for it goes with it.

        Args:
            xr: Its XR, as long as it is there.
        """
        whose = Subject(of.promise, "", "", of.namespace, of.name, "", 0)
        self.applier.forget(Ref(RECORD.group, RECORD.kind, of.namespace, health.record_name(whose)))
        if xr is not None:
            self.applier.forget(Ref(kinds.SECRET.group, kinds.SECRET.kind, of.namespace, reply.secret_reference(xr)[1]))

    def _told(self, request: _Object) -> _Object:
        """What this bridge says in a request's status; all else is that of Kratix and of the Promise's pipelines."""
        own = owned(request, self.applier.owner.manager, "status")
        return {field: value for field, value in (request.get("status") or {}).items() if field in own}

    def _at(self, case: Case) -> Decision:
        """Where it is: as was decided since the process began, else as its status says."""
        decided, request = self.ledger.decided(case.of), case.request
        if decided is not None and decided.name == request.cluster:
            return decided
        return Decision(request.cluster, *request.placement)  # type: ignore[arg-type] # it was written by `waiting`

    def _before(self, case: Case) -> str:
        known = self.ledger.state(case.of)
        if known is not None:
            return known
        found = Found(case.subject, case.opened.resource, {})
        return self._desk(found.key).before(found)

    def _desk(self, record: tuple[str, str] | None = None) -> Desk:
        records: dict[tuple[str, str], _Object] | None = {}
        if record is not None:
            try:
                self.applier.discovery.find(RECORD.api_version, RECORD.kind)
                found = asked.read(self.platform.cluster, RECORD, *record)
                records = {record: found} if found else {}
            except UnknownKindError:
                records = None
        return Desk(self.platform, self.applier, Memory(), records, int(self.now().timestamp()))
