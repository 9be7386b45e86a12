"""How a request, or an XR, is: ready, under way, or stuck, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from bridge.status import kept, model
from bridge.status.model import Condition, State
from function.api import names

# Reasons of the function's conditions with which an XR does not go on by itself (docs/conditions.md).
_STUCK: Final[Mapping[str, Collection[str]]] = {
    names.CHECKS_PASSED: ("Denied", "PromiseMissing", "ContextMissing", "Invalid"),
    names.WORKFLOW_COMPLETED: ("PipelineBlocked", "PipelineFailed", "WorkflowSuspended", "Invalid"),
    names.SCHEDULED: ("NoMatchingDestination", "Misplaced", "Invalid"),
    names.DELIVERED: ("Invalid", "InvalidInput"),
}


def mirrored(promise: kept.Promise, request: kept.Request) -> model.Request:
    """A request of the platform that is an XR somewhere."""
    told = request.crossplane
    placed = told.get("placement")
    placement = placed if isinstance(placed, Mapping) else {}
    state, message = _judged(request)
    return model.Request(
        promise.name,
        promise.api.kind if promise.api else "",
        request.namespace,
        request.name,
        state,
        str(told.get("ready") or "Unknown"),
        message,
        str(told.get("cluster") or ""),
        str(placement.get("state") or ""),
        str(placement.get("reason") or ""),
        request.conditions,
    )


def _judged(request: kept.Request) -> tuple[State, str]:
    told = request.crossplane
    said = str(told.get("message") or "")
    if request.leaving:
        return "UnderWay", said or "it is being deleted"
    if not told:
        return "UnderWay", "the bridge has not looked at it yet"
    if told.get("unknownSince"):
        return "Stuck", f"{said} (since {told['unknownSince']})"
    if not told.get("cluster"):
        return "Stuck", said
    why = _obstacle(request.conditions)
    if why:
        return "Stuck", why
    return ("Ready", said) if told.get("ready") == "True" else ("UnderWay", _progress(request.conditions) or said)


def xr(promise: kept.Promise, cluster: str, xr: kept.Xr) -> model.Request:
    """An XR that was asked for on its own cluster."""
    ready, why = _find_condition(xr.conditions, "Ready"), _obstacle(xr.conditions)
    state: State = "Stuck" if why else "Ready" if ready.status == "True" else "UnderWay"
    # Of an XR under way Ready says no more than which composed resources are not ready.
    progress = _progress(xr.conditions) if state == "UnderWay" else ""
    message = why or progress or ready.message or ready.reason or "nothing is known of it yet"
    if xr.leaving:
        state, message = "UnderWay", "it is being deleted"
    return model.Request(
        promise.name,
        promise.api.kind if promise.api else "",
        xr.namespace,
        xr.name,
        state,
        ready.status or "Unknown",
        message,
        cluster,
        conditions=xr.conditions,
        mirrored=False,
        destinations=xr.destinations,
    )


def _obstacle(given: Sequence[Condition]) -> str:
    """Why an XR with these conditions does not go on by itself; empty where it is ready, or goes on."""
    for type_, reasons in _STUCK.items():
        found = _find_condition(given, type_)
        if found.status == "False" and found.reason in reasons:
            return f"{type_}: {kept.why(found)}"
    synced = _find_condition(given, "Synced")
    return f"Synced: {kept.why(synced)}" if synced.status == "False" else ""


def _progress(given: Sequence[Condition]) -> str:
    """How far an XR is that is under way: what of the function's it waits for; empty where that is nothing."""
    each = (_find_condition(given, type_) for type_ in names.CONDITIONS)
    awaited = next((found for found in each if found.status not in ("", "True")), None)
    return f"{awaited.type}: {kept.why(awaited)}" if awaited else ""


def _find_condition(given: Sequence[Condition], type_: str) -> Condition:
    return next((each for each in given if each.type == type_), Condition(type_))


def called(request: model.Request) -> str:
    """As a person would name it, with its cluster."""
    where = f" on {request.cluster}" if request.cluster else ""
    namespace = f"{request.namespace}/" if request.namespace else ""
    return f"{request.kind} {namespace}{request.name}{where}"
