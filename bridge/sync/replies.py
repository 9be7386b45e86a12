"""What comes back of XRs to the requests that were delegated to them: health, status, and connection Secrets.

However an XR came to its cluster, by a GitOps agent or otherwise, its labels say whose it is (stage/delegate.py). That
is believed only where the request's own status, which Kratix wrote, names this XR: who may write XRs on one cluster
must not be able to write into any request.

XRs are asked for now and then, those with a request alone. What has not changed costs a list for each kind and nothing
on the platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.apply import Applier, ForeignError
from bridge.clusters import APPLY, Query
from bridge.errors import ApiError
from bridge.observed import seen
from bridge.resources import Resource, UnknownKindError
from bridge.store import Key
from bridge.sync import kinds
from bridge.sync.board import Outcome
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import health, reply
from bridge.translate.health import Health, Subject
from function.api import names
from function.api.errors import InvalidError

NAME: Final = "replies"
AGAIN: Final = 15.0

_RECORD: Final = Resource("platform.kratix.io", "v1alpha1", health.KIND, "healthrecords", namespaced=True)
_PAGE: Final = 250
_Object = Mapping[str, Any]


@dataclass(slots=True)
class Memory:
    """What was written of a cluster's XRs, so that it is not written again. Lost with the process, which does no harm.

    Attributes:
        told: By the record's namespace and name: the versions of XR and request, and the digest of the status.
    """

    told: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where replies of one cluster are written."""

    site: Site
    platform: Platform
    applier: Applier
    memory: Memory
    records: dict[tuple[str, str], _Object] | None
    now: int


def reconcile(site: Site, platform: Platform, memory: Memory, now: Callable[[], int]) -> float | None:
    """Look at all XRs of a cluster that requests were delegated to; returns in how many seconds to look again.

    Raises:
        ClusterError: Something that may work later; what came before it is written.
    """
    if site.spec.replies is None:
        return None
    applier = Applier(platform.cluster, site.applier.owner)
    desk = _Desk(site, platform, applier, memory, _records(applier), now())
    seen_: set[tuple[str, str]] = set()
    for xr in _delegated(site):
        of = _subject(desk, xr)
        if of is not None:
            seen_.add(_key(of[0]))
            _reply(desk, xr, *of)
    _lost(desk, seen_)
    return AGAIN


def _records(applier: Applier) -> dict[tuple[str, str], _Object] | None:
    """This bridge's HealthRecords for this cluster; None where Kratix has none of the kind."""
    try:
        applier.discovery.find(_RECORD.api_version, _RECORD.kind)
    except UnknownKindError:
        return None
    query: dict[str, str | int] = {"labelSelector": applier.owner.selector, "limit": _PAGE}
    found = _pages(applier.cluster.request, _RECORD, query, "list HealthRecords")
    return {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in found}


def _delegated(site: Site) -> Iterator[_Object]:
    for made in site.shelves[kinds.XRD].all():
        resource = _people_create(made.seen.manifest)
        if resource is None or made.seen.deleting:
            continue
        query: dict[str, str | int] = {"labelSelector": names.REQUEST_NAME_LABEL, "limit": _PAGE}
        try:
            for item in _pages(site.cluster.request, resource, query, f"list {resource.plural}.{resource.group}"):
                yield {"apiVersion": resource.api_version, "kind": resource.kind, **item}
        except ApiError as error:
            if error.status != 404:  # not served yet
                raise


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


def _pages(
    request: Callable[..., Any], resource: Resource, query: dict[str, str | int], doing: str
) -> Iterator[_Object]:
    while True:
        answer = request("GET", resource.path(), query=query, doing=doing)
        yield from answer.get("items") or ()
        token = answer["metadata"].get("continue")
        if not token:
            return
        query = {**query, "continue": token}


def _subject(desk: _Desk, xr: _Object) -> tuple[Subject, Resource] | None:
    """The request of an XR, if it is there and says so too."""
    found = reply.subject(xr)
    promise = desk.platform.promises.store.get(Key("", found[0])) if found else None
    resource = _api(promise.packed.body) if promise is not None else None
    if found is None or resource is None:
        return None
    promise_name, namespace, name = found
    try:
        path = resource.path(namespace, name)
        request = desk.platform.cluster.request("GET", path, doing=f"read {resource.kind} {namespace}/{name}")
    except ApiError as error:
        if error.status == 404:
            return None  # it is gone, and its XR will be
        raise
    if not _names(request, xr):
        return None
    metadata = request["metadata"]
    of = Subject(
        promise_name,
        resource.api_version,
        resource.kind,
        namespace,
        name,
        str(metadata["uid"]),
        int(metadata.get("generation") or 0),
    )
    return of, resource


def _api(promise: _Object) -> Resource | None:
    crd = (promise.get("spec") or {}).get("api") or {}
    spec = crd.get("spec") or {}
    stored = next((v["name"] for v in spec.get("versions") or () if v.get("storage")), "")
    if not stored:
        return None
    return Resource(spec["group"], stored, spec["names"]["kind"], spec["names"]["plural"], namespaced=True)


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


def _reply(desk: _Desk, xr: _Object, of: Subject, resource: Resource) -> None:
    key = _key(of)
    before = (desk.records or {}).get(key) or {}
    found = health.of_xr(xr, str((before.get("data") or {}).get("state") or ""))
    refused = ""
    try:
        secret = _secret(desk, xr, of)
    except (InvalidError, ForeignError) as error:
        secret, refused = "", str(error)
    wanted = reply.status(xr, desk.site.name, found, secret)
    digest = names.digest(repr(wanted))
    versions = (str(xr["metadata"].get("resourceVersion")), str(of.generation), digest)
    if desk.memory.told.get(key) != versions:
        _write_status(desk, of, resource, wanted)
        desk.memory.told[key] = versions
    _record(desk, of, found, before)
    noted = Outcome(xrd=str(xr["metadata"]["name"]), refused=refused)
    desk.site.board.write("Request", f"{of.namespace}/{of.name}", noted if refused else None)


def _secret(desk: _Desk, xr: _Object, of: Subject) -> str:
    replies = desk.site.spec.replies
    if replies is None or not replies.connection_secrets:
        return ""
    namespace, name = reply.secret_reference(xr)
    try:
        path = kinds.SECRET.path(namespace, name)
        found = desk.site.cluster.request("GET", path, doing=f"read Secret {namespace}/{name}")
    except ApiError as error:
        if error.status == 404:
            return ""
        raise
    made = reply.secret(of, xr, found)
    there = _get(desk, kinds.SECRET, of.namespace, name)
    desk.site.told(desk.platform.cluster.name, desk.applier.apply(made, seen(there) if there else None))
    return name


def _get(desk: _Desk, kind: Resource, namespace: str, name: str) -> _Object | None:
    try:
        found: _Object = desk.platform.cluster.request(
            "GET", kind.path(namespace, name), doing=f"read {kind.kind} {namespace}/{name}"
        )
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return found


def _write_status(desk: _Desk, of: Subject, resource: Resource, wanted: _Object) -> None:
    """Server-side apply: what an XR no longer says goes, and what Kratix says stays."""
    body = {
        "apiVersion": of.api_version,
        "kind": of.kind,
        "metadata": {"name": of.name, "namespace": of.namespace, "uid": of.uid},
        "status": wanted,
    }
    # Forced: what the pipeline said of the XR, and Kratix wrote, is what the XR itself says now.
    query: Query = {"fieldManager": desk.applier.owner.manager, "force": "true"}
    path = resource.path(of.namespace, of.name, "status")
    doing = f"apply the status of {of.kind} {of.namespace}/{of.name}"
    desk.platform.cluster.send("PATCH", path, query=query, body=body, content_type=APPLY, doing=doing)


def _record(desk: _Desk, of: Subject, found: Health, before: _Object) -> None:
    if desk.records is None:
        return
    made = health.record(of, found, before, desk.now)
    desk.applier.apply(
        made, seen({"apiVersion": _RECORD.api_version, "kind": _RECORD.kind, **before}) if before else None
    )


def _lost(desk: _Desk, there: set[tuple[str, str]]) -> None:
    """Records whose XR is not on the cluster any more: nothing is known of it, which has to be said."""
    for key, record in (desk.records or {}).items():
        if key in there or record["metadata"].get("deletionTimestamp"):
            continue
        desk.memory.told.pop(key, None)
        of = _recorded(record)
        if of is not None:
            _record(desk, of, health.of_xr(None), record)


def _recorded(record: _Object) -> Subject | None:
    owners: list[_Object] = record["metadata"].get("ownerReferences") or []
    if len(owners) != 1:
        return None
    owner, data = owners[0], record["data"]
    return Subject(
        data["promiseRef"]["name"],
        owner["apiVersion"],
        owner["kind"],
        record["metadata"]["namespace"],
        owner["name"],
        owner["uid"],
        int(data["resourceRef"].get("generation") or 0),
    )


def _key(of: Subject) -> tuple[str, str]:
    return of.namespace, health.record_name(of)
