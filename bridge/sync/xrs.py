"""XRs, as far as the bridge has to know of them: whether there are any, and what they are placed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.clusters import Query
from bridge.errors import ApiError
from bridge.resources import Resource, UnknownKindError
from bridge.sync import kept, kinds, mirror
from bridge.sync.asked import served
from bridge.sync.intake import Of
from bridge.sync.kept import Made
from bridge.sync.site import Site
from bridge.translate import reply
from function.api import names


def count(site: Site, xrd: Mapping[str, Any]) -> int | None:
    """How many XRs an XRD has; None where that cannot be known.

    One object is asked for: how many others there are, the API server says beside it. The answer is the newest state,
    as no version is asked for. Where the kind is not served, only a CRD that is not there means that there are none.
    """
    resource = kind_of(xrd)
    if resource is None:
        return None
    doing = f"count the XRs of {xrd['metadata']['name']}"
    try:
        answer = site.cluster.request("GET", resource.path(), query={"limit": 1}, doing=doing)
    except ApiError as error:
        if error.status != 404:
            raise
        return None if _has_crd(site, str(xrd["metadata"]["name"]), doing) else 0
    return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount") or 0)


def holds_placements(site: Site, destination: str) -> str:
    """What is still placed on a Destination, in a few words; empty where nothing is.

    Objects carry the Destination as a label (function/compose.py); an XR's status says it of whatever it composes.
    """
    for resource in kinds.OBJECTS if names.is_label_value(destination) else ():
        if _is_served(site, resource):
            query: Query = {"labelSelector": f"{names.DESTINATION_LABEL}={destination}", "limit": 1}
            answer = site.cluster.request("GET", resource.path(), query=query, doing=f"list Objects on {destination}")
            if answer["items"]:
                return f"Object {_where(answer['items'][0])} is placed on it"
    for made in site.shelves[kinds.XRD].all():
        if site.owns(made):
            for xr in _all(site, made.seen.manifest):
                if destination in _placements(xr):
                    return f"{made.seen.manifest['spec']['names']['kind']} {_where(xr)} is placed on it"
    return ""


def kind_of(xrd: Mapping[str, Any]) -> Resource | None:
    """The XRs of an XRD, in a version that is served; None where none is."""
    spec = xrd["spec"]
    served = [version["name"] for version in spec["versions"] if version.get("served")]
    if not served:
        return None
    namespaced = spec.get("scope", "Namespaced") == "Namespaced"
    return Resource(spec["group"], served[0], spec["names"]["kind"], spec["names"]["plural"], namespaced)


def made_here(site: Site, xrd: str) -> tuple[Made, Resource] | None:
    """An XRD that this bridge made, and its XRs' kind; None where it is not there, is another's, or serves nothing."""
    made = site.get(kinds.XRD, xrd)
    resource = kind_of(made.seen.manifest) if made is not None and site.owns(made) else None
    return None if made is None or resource is None else (made, resource)


def made_of(site: Site, promise: kept.Promise) -> list[Made]:
    """The XRDs of a Promise there, also one that was applied just now, which a watch may not show yet."""
    found = {made.name: made for made in site.own(kinds.XRD, promise.name)}
    made = site.seen(kinds.XRD, promise.xrd(site.spec.prefix))
    if made is not None and made.of == promise.name and site.owns(made):
        found[made.name] = made
    return list(found.values())


def mirrored(site: Site, promise: kept.Promise, one: Of | None = None) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The XRs that mirror requests of a Promise, or one of them, by the request's namespace and name.

    Raises:
        ClusterError: They cannot be listed.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    query = {"labelSelector": mirror.selecting(promise.name, one)}
    for made in made_of(site, promise):
        resource = kind_of(made.seen.manifest)
        if resource is None:
            continue
        for xr in served(site.cluster, resource, query, f"list {resource.plural}"):
            of = reply.subject(xr)
            if of is not None:
                found[of[1], of[2]] = xr
    return found


def _has_crd(site: Site, name: str, doing: str) -> bool:
    try:
        site.cluster.request("GET", kinds.CRD.path(name=name), doing=doing)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def _is_served(site: Site, resource: Resource) -> bool:
    try:
        site.applier.discovery.find(resource.api_version, resource.kind)
    except UnknownKindError:
        return False
    return True


def _all(site: Site, xrd: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    resource = kind_of(xrd)
    return iter(()) if resource is None else served(site.cluster, resource, {}, f"list {resource.plural}")


def _placements(xr: Mapping[str, Any]) -> set[object]:
    status = xr.get("status")
    kratix = status.get("kratix") if isinstance(status, Mapping) else None
    found = kratix.get("placements") if isinstance(kratix, Mapping) else None
    return {each.get("destination") for each in found or () if isinstance(each, Mapping)}


def _where(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
