"""The Crossplane that a request installed: its health, and how many managed resources it has, back to the request.

`stage crossplane` labels core's Deployment with the request, and refuses to take Crossplane away from managed resources
by what is written here. They are counted by kind, of all kinds in the category `managed`, where every Provider puts its
own; one that cannot be counted makes the number unknown, and never less than it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.sync import kinds
from bridge.sync.asked import pages
from bridge.sync.desk import Desk, Memory
from bridge.sync.platform import Platform
from bridge.sync.site import Site
from bridge.translate import health
from function.api import names

NAME: Final = "installation"
AGAIN: Final = 60.0

_NAMESPACE: Final = "crossplane-system"
_CORE: Final = "crossplane"
_CATEGORY: Final = "managed"
_PACKAGES: Final = tuple(
    Resource("pkg.crossplane.io", "v1", kind, f"{kind.lower()}s", namespaced=False)
    for kind in ("Configuration", "Function", "Provider")
)
_Object = Mapping[str, Any]


def reconcile(site: Site, platform: Platform, memory: Memory, now: int) -> float | None:
    """Look at an installation; returns in how many seconds to look again.

    Raises:
        ClusterError: Something that may work later.
    """
    if site.spec.replies is None:
        return None
    core = _core(site)
    desk = Desk.of(site, platform, memory, now) if core is not None else None
    found = desk.find(core) if desk is not None and core is not None else None
    if desk is None or found is None or not _is_installation(found.body):
        return AGAIN
    packages = [each for kind in _PACKAGES for each in pages(site.cluster, kind, {}, f"list {kind.plural}")]
    managed = _managed(site)
    state = health.of_installation(core, packages, managed)
    said = {"cluster": site.name, "message": state.message, "health": state.state}
    # Left out while it is not known, so that it goes: what was true once must not let Crossplane be deleted.
    counted = {} if managed is None else {"managedResources": managed}
    desk.write(found, state, {"crossplane": {**said, **counted}})
    return AGAIN


def _core(site: Site) -> _Object | None:
    query = {"labelSelector": names.REQUEST_NAME_LABEL}
    try:
        found = pages(site.cluster, kinds.DEPLOYMENT, query, "read core's Deployment", _NAMESPACE)
        return next((each for each in found if each["metadata"]["name"] == _CORE), None)
    except ApiError as error:
        if error.status in (403, 404):  # without the role, nothing is reported
            return None
        raise


def _is_installation(request: _Object) -> bool:
    """Whether Kratix wrote what `stage crossplane` says; another request is none that a Deployment may speak for."""
    said = (request.get("status") or {}).get("crossplane")
    return isinstance(said, Mapping) and isinstance(said.get("version"), str) and "kind" not in said


def _managed(site: Site) -> int | None:
    """How many managed resources there are; None where one of their kinds cannot be counted."""
    count = 0
    try:
        for resource in _kinds(site):
            answer = site.cluster.request("GET", resource.path(), query={"limit": 1}, doing=f"count {resource.plural}")
            count += len(answer["items"]) + int(answer["metadata"].get("remainingItemCount") or 0)
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    return count


def _kinds(site: Site) -> Iterator[Resource]:
    groups = site.cluster.request("GET", "/apis", doing="list API groups")
    for group in groups.get("groups") or ():
        version = str(group["preferredVersion"]["version"])
        # Kubernetes' own have no managed resources.
        if "." not in group["name"] or str(group["name"]).endswith(".k8s.io"):
            continue
        listed = site.cluster.request("GET", f"/apis/{group['name']}/{version}", doing=f"list kinds of {group['name']}")
        for each in listed.get("resources") or ():
            if "/" not in each["name"] and _CATEGORY in (each.get("categories") or ()):
                yield Resource(group["name"], version, each["kind"], each["name"], bool(each.get("namespaced")))
