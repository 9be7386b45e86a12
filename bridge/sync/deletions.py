"""An XR that goes, and what its Promise's delete pipelines do before.

Crossplane runs no pipeline for it, so the bridge runs these Jobs itself, on the XR's cluster, with the code that runs
configure pipelines (function/teardown.py): in order, one at a time, with retries, `suspend` and `retryAfter`. How far
they are is a condition of the XR. When the last has succeeded, what ran them is deleted, and the finalizer goes.

While an XR goes it is looked at every few seconds: its Jobs are not watched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bridge import log
from bridge.clusters import MERGE
from bridge.errors import ApiError
from bridge.resources import Resource
from bridge.sync import kinds, wards, xrs
from bridge.sync.asked import pages, read
from bridge.sync.kept import Made
from bridge.sync.site import Site, Task
from bridge.sync.ward import revision, ward
from bridge.translate import conditions
from function import teardown
from function.api import names
from function.api.errors import InvalidError, shorten
from function.api.input import PromiseInput, parse
from function.teardown import Step, There

NAME: Final = wards.NAME
LOOK: Final = wards.LOOK
_POLL: Final = 2.0
_BLOCKED: Final = 15.0
_SENTENCE: Final = 1024
_RBAC: Final = "rbac.authorization.k8s.io"
_REVISION: Final = Resource(
    "apiextensions.crossplane.io", "v1", "CompositionRevision", "compositionrevisions", namespaced=False
)
_JOB: Final = Resource("batch", "v1", "Job", "jobs", namespaced=True)
_POD: Final = Resource("", "v1", "Pod", "pods", namespaced=True)
MADE: Final = (
    kinds.CONFIG_MAP,
    Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True),
    Resource(_RBAC, "v1", "Role", "roles", namespaced=True),
    Resource(_RBAC, "v1", "RoleBinding", "rolebindings", namespaced=True),
    _JOB,
)
_ESCAPE: Final = f"take the finalizer {names.DELETE_FINALIZER} off to let it go without them"

_Object = Mapping[str, Any]
_log = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class Deletions:
    """Runs delete pipelines.

    Attributes:
        image: This project's own, for the reader and the writer in a pod; empty where nobody said it.
    """

    clock: Callable[[], float]
    now: Callable[[], datetime]
    image: str = ""

    def look(self, site: Site, kind: Resource, name: str, of: frozenset[str]) -> None:
        """An XRD or a Composition is not as it was."""
        if not site.ready or site.spec.deletions is None:
            return
        if kind is kinds.XRD:
            site.add(LOOK, [name])
        elif kind is kinds.COMPOSITION:
            site.add(LOOK, {made.name for each in of for made in site.own(kinds.XRD, each)})

    def look_at_all(self, site: Site, within: float) -> None:
        """It is time to look at everything; where there are no deletions once is enough, to release what had some."""
        if kinds.XRD in site.shelves and not site.released:
            site.released = site.spec.deletions is None
            site.add(LOOK, (made.name for made in site.shelves[kinds.XRD].all() if site.owns(made)), within)

    def release(self, site: Site | None) -> None:
        """Before a CrossplaneCluster that was deleted is forgotten, its XRs lose the finalizer that it put on them.

        Raises:
            ClusterError: Something that may work later.
        """
        if site is None or site.by_gitops or site.spec.deletions is None:
            return
        if site.reach.status != "True":
            _log.warning("XRs may keep a finalizer", extra=log.about(cluster=site.name, object=names.DELETE_FINALIZER))
            return
        # Work that is under way must not put it on again.
        site.spec = site.spec.model_copy(update={"deletions": None})
        wards.release_all(site)

    def work(self, site: Site, task: Task) -> float | None:
        """Look at an XRD, or at an XR; returns in how many seconds to look again.

        Raises:
            ClusterError: Something that may work later.
        """
        if task.controller == LOOK:
            return wards.look(site, task.name, self.clock)
        xrd, namespace, name = task.name.split("/")
        found = xrs.made_here(site, xrd)
        if found is None or site.spec.deletions is None:
            return None
        made, resource = found
        xr = read(site.cluster, resource, namespace, name)
        return None if xr is None else self._reconcile(site, made, xr)

    def _reconcile(self, site: Site, made: Made, xr: _Object) -> float | None:
        known = ward(xr)
        if known.leaving and not known.held:
            return None
        try:
            given = _given(site, made, xr)
            if given is None or not teardown.has_pipelines(given):
                if known.held:
                    wards.unhold(site, xr)
                return None
            if known.leaving:
                return self._leave(site, given, xr)
        except InvalidError as error:
            if known.leaving:
                self._say(site, xr, Step(done=False, reason="Invalid", message=f"{error}; mend it, or {_ESCAPE}"))
                return _BLOCKED
        if not known.held:
            wards.hold(site, xr)
        return None

    def _leave(self, site: Site, given: PromiseInput, xr: _Object) -> float | None:
        there = _there(site, given, xr)
        if conditions.find(conditions.of(xr), names.DELETE_WORKFLOW_COMPLETED).get("status") != "True":
            return self._advance(site, given, xr, there)
        for body in there.objects:
            _delete(site, body)
        wards.unhold(site, xr)
        return None

    def _advance(self, site: Site, given: PromiseInput, xr: _Object, there: There) -> float:
        deletions = site.spec.deletions
        image = (deletions.image if deletions else "") or self.image
        step = teardown.advance(given, xr, there, self.now(), image)
        for manifest in step.create:
            try:
                _create(site, manifest, xr)
            except ApiError as error:
                # 403: the bridge lacks a right, or may not hand it on; 422: the server takes no such Job.
                if error.status not in (400, 403, 422):
                    raise
                message = f"cannot {error.doing}: {error.cause}; mend it, or {_ESCAPE}"
                self._say(site, xr, Step(done=False, reason="Refused", message=message))
                return _BLOCKED
        for manifest in step.change:
            _change(site, manifest)
        for body in step.delete:
            _delete(site, body)
        self._say(site, xr, step)
        if step.done:
            return 0.0
        waits = step.due if step.due is not None else _POLL
        return max(_POLL, min(float(waits), _BLOCKED))

    def _say(self, site: Site, xr: _Object, step: Step) -> None:
        new = {
            "type": names.DELETE_WORKFLOW_COMPLETED,
            "status": "True" if step.done else "False",
            "reason": step.reason,
            "message": shorten(step.message, _SENTENCE),
        }
        written = conditions.written(conditions.of(xr), new, conditions.timestamp(self.now()))
        if written is None:
            return
        body = {
            "metadata": {"resourceVersion": xr["metadata"]["resourceVersion"]},
            "status": {"conditions": written},
        }
        wards.patch(site, xr, body, "status", f"write the status of {wards.said(xr)}")


def _given(site: Site, made: Made, xr: _Object) -> PromiseInput | None:
    """The function's input of the revision that an XR follows; of the Composition where core chose none yet.

    Raises:
        InvalidError: The revision is gone, so that nobody knows what there is to run; or its input is not one.
    """
    name = revision(xr)
    if not name:
        # Core has not looked at it, so nothing was made for it that would have to be taken back.
        composition = next(iter(site.own(kinds.COMPOSITION, made.of)), None)
        found: _Object | None = composition.seen.manifest if composition else None
    else:
        found = read(site.cluster, _REVISION, "", name)
        if found is None:
            raise InvalidError(f"CompositionRevision {name}", "is not there, so what is to be run is not known")
    for step in (found or {}).get("spec", {}).get("pipeline") or ():
        given = step.get("input") or {}
        if given.get("kind") == names.INPUT_KIND:
            return parse(given)
    return None


def _there(site: Site, given: PromiseInput, xr: _Object) -> There:
    namespace, uid = teardown.namespace(given, xr), str(xr["metadata"]["uid"])
    mine = f"{names.DELETED_UID_LABEL}={uid}"
    output = f"{names.OUTPUT_OF_LABEL}={teardown.output_of(given, xr)}"
    configuring = f"{names.PROMISE_LABEL}={given.promise_name},{names.ACTION_LABEL}=configure"
    pods = _list(site, _POD, output, namespace) if given.workflow.read_pods else ()
    return There(
        # Roles of permissions may be in other namespaces where the XR is cluster-scoped.
        objects=tuple(each for kind in MADE for each in _list(site, kind, mine, _reach(xr, namespace))),
        outputs=tuple(_list(site, kinds.CONFIG_MAP, output, namespace)),
        pods=tuple(pods),
        configuring=tuple(_list(site, _JOB, configuring, namespace)),
    )


def _reach(xr: _Object, namespace: str) -> str:
    return namespace if xr["metadata"].get("namespace") else ""


def _list(site: Site, kind: Resource, selector: str, namespace: str) -> Iterator[_Object]:
    yield from pages(site.cluster, kind, {"labelSelector": selector}, f"list {kind.plural}", namespace)


def _resource(body: _Object) -> Resource:
    return next(kind for kind in MADE if kind.kind == body["kind"])


def _create(site: Site, manifest: _Object, xr: _Object) -> None:
    resource, metadata = _resource(manifest), manifest["metadata"]
    doing = f"create {manifest['kind']} {metadata['namespace']}/{metadata['name']} for {wards.said(xr)}"
    query = {"fieldManager": names.FIELD_MANAGER}
    try:
        site.cluster.request("POST", resource.path(metadata["namespace"]), query=query, body=manifest, doing=doing)
    except ApiError as error:
        if error.status != 409:  # made a moment ago: the next look sees it
            raise


def _change(site: Site, manifest: _Object) -> None:
    metadata = manifest["metadata"]
    path = _resource(manifest).path(metadata["namespace"], metadata["name"])
    body: dict[str, Any] = {"metadata": {"annotations": metadata.get("annotations") or {}}}
    if manifest.get("spec", {}).get("suspend") is True:
        body["spec"] = {"suspend": True}
    doing = f"change {manifest['kind']} {metadata['namespace']}/{metadata['name']}"
    site.cluster.request("PATCH", path, body=body, content_type=MERGE, doing=doing)


def _delete(site: Site, body: _Object) -> None:
    metadata = body["metadata"]
    doing = f"delete {body['kind']} {metadata['namespace']}/{metadata['name']}"
    options = {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": "Background"}
    try:
        path = _resource(body).path(metadata["namespace"], metadata["name"])
        site.cluster.request("DELETE", path, body=options, doing=doing)
    except ApiError as error:
        if error.status not in (404, 409):  # gone, or another under its name
            raise
