"""What comes back of XRs to the requests that were delegated to them: health, status, and connection Secrets.

However an XR came to its cluster, by a GitOps agent or otherwise, its labels say whose it is
(translate/delegate.py). That is believed only where the request's own status, which Kratix wrote, names this XR: who
may write XRs on one cluster must not be able to write into any request.

XRs are asked for now and then, those with a request alone. What has not changed costs a list for each kind and nothing
on the platform. One that cannot be told holds up no other, and is said of the CrossplaneCluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.errors import ApiError, ClusterError, ConflictError, ForeignError, UnreachableError
from bridge.resources import Resource
from bridge.sync import kinds, mirror
from bridge.sync.asked import served
from bridge.sync.board import Outcome
from bridge.sync.desk import Desk, Found, Memory, recorded
from bridge.sync.kept import Made
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import health, reply
from function.api import names
from function.api.errors import InvalidError

NAME: Final = "replies"
AGAIN: Final = 15.0
_OF_XRD: Final = "of XRD "
_TOO_MANY: Final = 429
_BROKEN: Final = 500  # and above

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Round:
    """One look at all XRs.

    Attributes:
        met: Promise, namespace and name of the requests whose XR is there.
        keys: Of their records, where the request was read.
        noted: What was said of on the board.
        broken: What may work later, and is tried again at once.
    """

    site: Site
    memory: Memory
    met: set[tuple[str, str, str]] = field(default_factory=set)
    keys: set[tuple[str, str]] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)
    broken: list[ClusterError] = field(default_factory=list)

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """Note on the board what goes wrong with one; what would go wrong with all others too is raised."""
        try:
            yield
        except (ForeignError, ConflictError, InvalidError) as error:
            self.note(name, Outcome(refused=str(error)))
        except UnreachableError:
            raise
        except ApiError as error:
            if error.status == _TOO_MANY:
                raise
            if error.status >= _BROKEN:  # a webhook of one kind, or of one object, may be what fails
                self.broken.append(error)
            self.note(name, Outcome(failed=str(error)))
        except ClusterError as error:
            self.note(name, Outcome(failed=str(error)))

    def note(self, name: str, outcome: Outcome) -> None:
        self.site.board.write("Request", name, outcome)
        self.noted.add(name)
        self.memory.noted.add(name)  # also where this round does not come to its end


def reconcile(site: Site, platform: Platform, memory: Memory, now: int) -> float | None:
    """Look at all XRs of a cluster that requests were delegated to; returns in how many seconds to look again.

    Raises:
        ClusterError: Something that may work later; what came before it is written.
    """
    if site.spec.replies is None:
        return None
    desk = Desk.of(site, platform, memory, now)
    this = _Round(site, memory)
    for made in site.shelves[kinds.XRD].all():
        with this.trying(f"{_OF_XRD}{made.name}"):
            for xr in _delegated(site, made):
                _look(this, desk, xr)
    if not any(name.startswith(_OF_XRD) for name in this.noted):  # else nobody knows what is not there
        _lost(this, desk)
        memory.told = {key: told for key, told in memory.told.items() if key in this.keys}
    for name in memory.noted - this.noted:
        site.board.write("Request", name, None)
    memory.noted = this.noted
    if this.broken:
        raise this.broken[0]
    return AGAIN


def _delegated(site: Site, made: Made) -> Iterator[_Object]:
    resource = _people_create(made.seen.manifest)
    if resource is None or made.seen.deleting:
        return
    query = {"labelSelector": names.REQUEST_NAME_LABEL}
    for xr in served(site.cluster, resource, query, f"list {resource.plural}.{resource.group}"):
        if not mirror.is_mirrored(xr):  # sync/requests.py looks after it
            yield xr


def _people_create(xrd: _Object) -> Resource | None:
    """Claims where there are some, as delegation makes those; core hands their labels down to their XRs."""
    spec = xrd["spec"]
    version = next((v["name"] for v in spec["versions"] if v.get("served") and v.get("referenceable")), "")
    if not version:
        return None
    claims = spec.get("claimNames")
    own = claims or spec["names"]
    namespaced = bool(claims) or spec.get("scope", "Namespaced") == "Namespaced"
    return Resource(spec["group"], version, own["kind"], own["plural"], namespaced)


def _names(request: _Object, xr: _Object) -> bool:
    said = (request.get("status") or {}).get("crossplane")
    if not isinstance(said, Mapping):
        return False
    metadata = xr["metadata"]
    group = str(said.get("apiVersion")).rpartition("/")[0]
    return (group, said.get("kind"), said.get("name"), said.get("namespace")) == (
        str(xr["apiVersion"]).rpartition("/")[0],
        xr["kind"],
        metadata["name"],
        metadata.get("namespace"),
    )


def _look(this: _Round, desk: Desk, xr: _Object) -> None:
    of = reply.subject(xr)
    if of is None:
        return
    found, is_read = None, False
    with this.trying(f"{of[1]}/{of[2]}"):
        found, is_read = desk.find(xr), True
    if is_read and (found is None or not _names(found.body, xr)):
        return
    this.met.add(of)  # also where its request cannot be read now
    if found is not None:
        this.keys.add(found.key)
        with this.trying(f"{of[1]}/{of[2]}"):
            _reply(this, desk, xr, found)


def _reply(this: _Round, desk: Desk, xr: _Object, found: Found) -> None:
    state = health.of_xr(xr, desk.before(found))
    secret, cause = desk.secret(this.site, xr, found.of)
    if cause:
        outcome = Outcome(xrd=str(xr["metadata"]["name"]), refused=cause)
        this.note(f"{found.of.namespace}/{found.of.name}", outcome)
    desk.write(found, state, reply.status(xr, this.site.name, state, secret))


def _lost(this: _Round, desk: Desk) -> None:
    """Records whose XR is not on the cluster any more: nothing is known of it, which has to be said."""
    for record in (desk.records or {}).values():
        is_ours = (record["metadata"].get("labels") or {}).get(health.ABOUT_LABEL) == health.XR
        of = recorded(record)
        is_met = of is not None and (of.promise, of.namespace, of.name) in this.met
        if is_met or not is_ours or record["metadata"].get("deletionTimestamp"):
            continue
        if of is not None:
            with this.trying(f"{of.namespace}/{of.name}"):
                desk.record(of, health.of_xr(None))
