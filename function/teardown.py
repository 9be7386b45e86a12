"""An XR that goes: how far its Promise's delete pipelines are, and which objects run them.

Crossplane calls no function for an XR with a deletion timestamp (composite/reconciler.go), so the bridge asks instead.
Jobs, order, retries, suspension and manual runs are those of a configure workflow (workflow.py, steer.py). Unlike
Kratix, which runs the first delete pipeline alone (lib/workflow/reconciler.go: ReconcileDelete), all run, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from function import pods, runs, validate, workflow
from function.api import names
from function.api.destination import Inventory
from function.api.errors import InvalidError
from function.api.input import PromiseInput
from function.model import Host, Observed, Progress, Request, Seen, lookup, run_namespace, texts

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class There:
    """What of a delete workflow is there.

    Attributes:
        objects: Jobs and all that belongs to them.
        outputs: The ConfigMaps that their writers stored.
        configuring: Jobs of the Promise's configure pipelines.
    """

    objects: tuple[_Object, ...]
    outputs: tuple[_Object, ...]
    pods: tuple[_Object, ...]
    configuring: tuple[_Object, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done now.

    Attributes:
        done: Every pipeline has succeeded. What ran them may go once that is noted: without it they would run again.
        create: Objects to make, in the order in which they depend.
        change: Objects that get annotations, or are suspended: name, as they are to be.
        delete: Objects to delete.
        due: Seconds until something has to be done again; None where nothing is planned.
    """

    done: bool
    reason: str
    message: str
    create: tuple[_Object, ...] = ()
    change: tuple[_Object, ...] = ()
    delete: tuple[_Object, ...] = ()
    due: int | None = None


def has_pipelines(given: PromiseInput) -> bool:
    """Whether there is anything to run for an XR of a Composition with this input, before it goes."""
    spec = given.promise.spec
    return given.workflow.pipelines != "None" and bool(lookup(spec, "workflows", "resource", "delete"))


def namespace(given: PromiseInput, xr: _Object) -> str:
    """Where its pipelines run.

    Raises:
        InvalidError: The input's Promise cannot be read.
    """
    return run_namespace(_request(xr).namespace, validate.plan(given).promise, given)


def output_of(given: PromiseInput, xr: _Object) -> str:
    """By which label's value its outputs and its pods are found."""
    return names.output_of(given.promise_name, _request(xr).identity)


def advance(given: PromiseInput, xr: _Object, there: There, now: datetime, image: str) -> Step:
    """What is to be done for an XR that goes.

    Args:
        given: The input of the Composition revision that it was made by, with the Promise in it.
        image: This project's own, for the reader and the writer; empty where the input says it.

    Raises:
        InvalidError: A Pipeline cannot be read or run, with the path of the field.
    """
    plan = validate.plan(given)
    if plan.promise is None:
        raise InvalidError("promise.ref", "is not pinned by its Composition; the bridge runs no pipelines of it")
    if paused := _paused(xr, paused_promise=plan.promise.paused):
        return Step(done=False, reason=names.PAUSED, message=paused)
    running = next((job for job in pods.owned(xr["metadata"]["uid"], there.configuring) if _runs(job)), None)
    if running is not None and not there.objects:
        pipeline = texts(lookup(running, "metadata", "labels")).get(names.PIPELINE_LABEL, "")
        message = f"pipeline {pipeline} of the configure workflow still runs; delete pipelines follow"
        return Step(done=False, reason="Superseded", message=message)
    observed = {key: Observed(key, body) for body in there.objects if (key := _key(body))}
    seen = Seen(
        input=given,
        request=_request(xr),
        promise=plan.promise,
        context={},
        destinations=Inventory(),
        observed={},
        jobs=observed,
        strangers={},
        existing=frozenset(observed),
        adopted={},
        work_placements=(),
        outputs=there.outputs,
        pods=there.pods,
        schema=None,
        host=Host(now, image),
        requirements=(),
        earlier={},
        status={},
    )
    return _step(workflow.advance(seen, "delete"), there, xr)


def _step(progress: Progress, there: There, xr: _Object) -> Step:
    wanted = {item.key: _marked(item.key, item.manifest, xr) for item in progress.composed}
    known = {_key(body): body for body in there.objects}
    create = [manifest for key, manifest in wanted.items() if key not in known]
    change = [manifest for key, manifest in wanted.items() if key in known and _differs(manifest, known[key])]
    delete = [body for key, body in sorted(known.items()) if key not in wanted and not progress.done]
    return Step(
        done=progress.done,
        reason=progress.reason,
        message=progress.message,
        create=() if progress.done else tuple(sorted(create, key=_order)),
        change=() if progress.done else tuple(change),
        delete=tuple(delete),
        due=progress.due,
    )


def _order(manifest: _Object) -> int:
    return ("ConfigMap", "ServiceAccount", "Role", "RoleBinding", "Job").index(str(manifest["kind"]))


def _differs(manifest: _Object, there: _Object) -> bool:
    annotations = texts(lookup(there, "metadata", "annotations"))
    suspended = lookup(manifest, "spec", "suspend") is True and lookup(there, "spec", "suspend") is not True
    return suspended or any(annotations.get(key) != value for key, value in _annotations(manifest).items())


def _annotations(manifest: _Object) -> Mapping[str, str]:
    return texts(lookup(manifest, "metadata", "annotations"))


def _marked(key: str, manifest: _Object, xr: _Object) -> _Object:
    metadata = dict(manifest["metadata"])
    uid = {names.DELETED_UID_LABEL: str(lookup(xr, "metadata", "uid") or "")}
    metadata["labels"] = {**metadata.get("labels", {}), **uid}
    metadata["annotations"] = {**metadata.get("annotations", {}), names.KEY_ANNOTATION: key}
    return {**manifest, "metadata": metadata}


def _key(body: _Object) -> str:
    return texts(lookup(body, "metadata", "annotations")).get(names.KEY_ANNOTATION, "")


def _request(xr: _Object) -> Request:
    metadata = xr["metadata"]
    return Request(
        str(xr["apiVersion"]), str(xr["kind"]), str(metadata["name"]), str(metadata.get("namespace") or ""), xr
    )


def _paused(xr: _Object, *, paused_promise: bool) -> str:
    """Kratix lets nothing go either while it is paused (dynamic_resource_request_controller.go: reconcileIfPaused)."""
    paused = lookup(xr, "metadata", "labels", names.KRATIX_PAUSED_LABEL) == "true"
    whose = "its Promise" if paused_promise else "it"
    is_paused = paused or paused_promise
    return f"it stays while the label {names.KRATIX_PAUSED_LABEL} of {whose} is true" if is_paused else ""


def _runs(job: _Object) -> bool:
    return runs.ended(job) is None and names.ENDED_ANNOTATION not in _annotations(job)
