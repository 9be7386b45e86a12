"""XRs that may not go before their Promise's delete pipelines have run: which they are, and their finalizer.

Nothing but the XR itself says that somebody deletes it, so it has to be watched. That is a watch for each XRD whose
Promise has delete pipelines, and for no other; of each XR a few words are kept.

The finalizer is put on as soon as an XR is seen, and off again where nothing is to be run: the pipelines are those of
the CompositionRevision that the XR follows. It also goes where nobody would run them any more: where the
CrossplaneCluster says `deletions` no longer, or is deleted itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bridge.clusters import APPLY, MERGE
from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kinds, xrs
from bridge.sync.asked import served
from bridge.sync.kept import Made
from bridge.sync.site import Site
from bridge.sync.ward import Ward, ward
from bridge.watch import Watch
from function.api import names

NAME: Final = "deletion"
LOOK: Final = "deletion-watch"
AGAIN: Final = 60.0
_MANAGER: Final = f"{names.FIELD_MANAGER}-finalizer"

_Object = Mapping[str, Any]


def look(site: Site, xrd: str, clock: Callable[[], float]) -> float | None:
    """Watch the XRs of an XRD, or none any more; returns in how many seconds to look again.

    Raises:
        ClusterError: Something that may work later.
    """
    found = xrs.made_here(site, xrd)
    if found is None or site.by_gitops:
        _unwatch(site, xrd)
        return None
    made, resource = found
    if site.spec.deletions is None:
        _unwatch(site, xrd)
        release(site, made)
        return None
    held = [] if _runs_something(site, made) else list(_held(site, resource))
    if held or _runs_something(site, made):
        _watch(site, xrd, resource, clock)
    else:
        _unwatch(site, xrd)
    # Their own revisions may have delete pipelines yet.
    site.add(NAME, [name_of(xrd, xr["metadata"].get("namespace") or "", xr["metadata"]["name"]) for xr in held])
    return AGAIN if held else None


def name_of(xrd: str, namespace: str, name: str) -> str:
    """What the task for an XR is called."""
    return f"{xrd}/{namespace}/{name}"


def release(site: Site, made: Made) -> int:
    """Take the finalizer off all XRs of an XRD, also off those that are being deleted; returns off how many.

    Raises:
        ClusterError: Something that may work later.
    """
    resource = xrs.kind_of(made.seen.manifest)
    count = 0
    for xr in _held(site, resource) if resource is not None else ():
        unhold(site, xr)
        count += 1
    return count


def release_all(site: Site) -> int:
    """Take the finalizer off all XRs that this bridge looks after on a cluster; returns off how many.

    Raises:
        ClusterError: Something that may work later.
    """
    return sum(release(site, made) for made in site.shelves[kinds.XRD].all() if site.owns(made))


def hold(site: Site, xr: _Object) -> None:
    """Put the finalizer on an XR, whatever core writes meanwhile: it writes a new XR all the time.

    Server-side apply adds it to those that are there. A patch of the list would have to be of its latest version, and
    was refused for half a minute, in which a deletion would have run nothing.

    Raises:
        ClusterError: Among others, it is being deleted.
    """
    metadata = xr["metadata"]
    place = {field: metadata[field] for field in ("name", "namespace", "uid") if metadata.get(field)}
    body = {
        "apiVersion": xr["apiVersion"],
        "kind": xr["kind"],
        # With its UID, so that one that is gone is not made anew.
        "metadata": {**place, "finalizers": [names.DELETE_FINALIZER]},
    }
    found = site.applier.discovery.find(str(xr["apiVersion"]), str(xr["kind"]))
    path = found.path(metadata.get("namespace") or "", metadata["name"])
    query = {"fieldManager": _MANAGER}
    doing = f"put the finalizer on {said(xr)}"
    site.cluster.request("PATCH", path, query=query, body=body, content_type=APPLY, doing=doing)


def unhold(site: Site, xr: _Object) -> None:
    """Take it off, unless the XR has changed since it was read.

    Raises:
        ClusterError: Among others, it has.
    """
    there = xr["metadata"].get("finalizers") or ()
    left = [each for each in there if each != names.DELETE_FINALIZER]
    metadata = {"resourceVersion": xr["metadata"]["resourceVersion"], "finalizers": left}
    patch(site, xr, {"metadata": metadata}, "", f"take the finalizer off {said(xr)}")


def patch(site: Site, xr: _Object, body: _Object, subresource: str, doing: str) -> None:
    """Change an XR, unless it is gone.

    Raises:
        ClusterError: Among others, it has changed since it was read.
    """
    metadata = xr["metadata"]
    group, _, version = str(xr["apiVersion"]).rpartition("/")
    found = site.applier.discovery.find(f"{group}/{version}", str(xr["kind"]))
    path = found.path(metadata.get("namespace") or "", metadata["name"], subresource)
    query = {"fieldManager": names.FIELD_MANAGER}
    try:
        site.cluster.request("PATCH", path, query=query, body=body, content_type=MERGE, doing=doing)
    except ApiError as error:
        if error.status != 404:
            raise


def said(xr: _Object) -> str:
    """An XR in words."""
    metadata = xr["metadata"]
    namespace = metadata.get("namespace")
    return f"{xr['kind']} {namespace}/{metadata['name']}" if namespace else f"{xr['kind']} {metadata['name']}"


def _runs_something(site: Site, made: Made) -> bool:
    """Whether a Composition of the bridge for this XRD has delete pipelines in it."""
    return any(deletes(each.seen.manifest) for each in site.own(kinds.COMPOSITION, made.of))


def deletes(composition: _Object) -> bool:
    """Whether a Composition, or a revision of one, has delete pipelines in it."""
    for step in composition["spec"].get("pipeline") or ():
        found: Any = step.get("input")
        for key in ("promise", "spec", "workflows", "resource", "delete"):
            found = found.get(key) if isinstance(found, Mapping) else None
        if found:
            return True
    return False


def _held(site: Site, resource: Resource) -> Iterator[_Object]:
    for xr in served(site.cluster, resource, {}, f"list {resource.plural}.{resource.group}"):
        if names.DELETE_FINALIZER in (xr["metadata"].get("finalizers") or ()):
            yield xr


def _watch(site: Site, xrd: str, resource: Resource, clock: Callable[[], float]) -> None:
    there = site.wards.get(xrd)
    if site.closed.is_set() or (there is not None and there.resource == resource):
        return
    _unwatch(site, xrd)

    def changed(key: Key, _: Ward | None, __: Ward | None) -> None:
        site.add(NAME, [name_of(xrd, key.namespace, key.name)])

    site.wards[xrd] = Watch(site.cluster, resource, keep=ward, on_change=changed, clock=clock).start()


def _unwatch(site: Site, xrd: str) -> None:
    there = site.wards.pop(xrd, None)
    if there is not None:
        there.stop(timeout=1.0)
