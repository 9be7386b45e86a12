"""What comes back of XRs to the requests that were delegated to them: health, status, and connection Secrets.

However an XR came to its cluster, by a GitOps agent or otherwise, its labels say whose it is
(translate/delegate.py). That is believed only where the request's own status, which Kratix wrote, names this XR: who
may write XRs on one cluster must not be able to write into any request.

XRs are asked for now and then, those with a request alone. What has not changed costs a list for each kind and nothing
on the platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.errors import ForeignError
from bridge.resources import Resource
from bridge.sync import kinds, mirror
from bridge.sync.asked import served
from bridge.sync.board import Outcome
from bridge.sync.desk import Desk, Found, Memory, recorded
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import health, reply
from function.api import names
from function.api.errors import InvalidError

NAME: Final = "replies"
AGAIN: Final = 15.0

_Object = Mapping[str, Any]


def reconcile(site: Site, platform: Platform, memory: Memory, now: int) -> float | None:
    """Look at all XRs of a cluster that requests were delegated to; returns in how many seconds to look again.

    Raises:
        ClusterError: Something that may work later; what came before it is written.
    """
    if site.spec.replies is None:
        return None
    desk = Desk.of(site, platform, memory, now)
    there: set[tuple[str, str]] = set()
    for xr in _delegated(site):
        if mirror.is_mirrored(xr):  # sync/requests.py looks after it
            continue
        found = desk.find(xr)
        if found is not None and _names(found.body, xr):
            there.add(found.key)
            _reply(site, desk, xr, found)
    _lost(desk, there)
    return AGAIN


def _delegated(site: Site) -> Iterator[_Object]:
    for made in site.shelves[kinds.XRD].all():
        resource = _people_create(made.seen.manifest)
        if resource is None or made.seen.deleting:
            continue
        query = {"labelSelector": names.REQUEST_NAME_LABEL}
        yield from served(site.cluster, resource, query, f"list {resource.plural}.{resource.group}")


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


def _reply(site: Site, desk: Desk, xr: _Object, found: Found) -> None:
    state = health.of_xr(xr, desk.before(found))
    refused = ""
    try:
        secret = desk.secret(site, xr, found.of)
    except (InvalidError, ForeignError) as error:
        secret, refused = "", str(error)
    desk.write(found, state, reply.status(xr, site.name, state, secret))
    noted = Outcome(xrd=str(xr["metadata"]["name"]), refused=refused) if refused else None
    site.board.write("Request", f"{found.of.namespace}/{found.of.name}", noted)


def _lost(desk: Desk, there: set[tuple[str, str]]) -> None:
    """Records whose XR is not on the cluster any more: nothing is known of it, which has to be said."""
    for key, record in (desk.records or {}).items():
        is_ours = (record["metadata"].get("labels") or {}).get(health.ABOUT_LABEL) == health.XR
        if key in there or not is_ours or record["metadata"].get("deletionTimestamp"):
            continue
        desk.memory.told.pop(key, None)
        of = recorded(record)
        if of is not None:
            desk.record(of, health.of_xr(None))
