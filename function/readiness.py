"""Whether what was composed has arrived: all of it, and one function for each kind, from its conditions to why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from function.api import names, work
from function.model import (
    Composed,
    Delivery,
    JsonObject,
    Observed,
    Seen,
    WorkPlacement,
    lookup,
    objects,
    texts,
)

NOT_APPLIED = "not applied yet"
# Kinds that are ready by another condition than Ready.
_CONDITION = {
    "Deployment": "Available",
    "APIService": "Available",
    "Job": "Complete",
    "CustomResourceDefinition": "Established",
}
_MAX_STATUS = 4096
# What only the specs of Crossplane's managed resources and XRs have.
_CROSSPLANES = ("forProvider", "crossplane")


def problem(seen: Seen, manifest: JsonObject, observed: Observed | None) -> str:
    """Why a composed resource has not arrived; empty where it has."""
    body = observed.manifest if observed else None
    mode = lookup(manifest, "metadata", "labels", names.DELIVER_LABEL)
    spec = manifest["spec"] if isinstance(manifest.get("spec"), Mapping) else {}
    if mode == "Work":
        pipeline = texts(lookup(manifest, "metadata", "labels")).get(names.PIPELINE_LABEL, "")
        return of_work(body, spec, [p for p in seen.work_placements if p.pipeline == pipeline])
    if mode == "WorkPlacement":
        return of_placement(body, spec)
    if mode == "Object":
        return of_object(body, spec)
    return of_composed(body)


def delivery(seen: Seen, composed: Sequence[Composed]) -> Delivery:
    """What is composed, with how far all of it has come."""
    if not composed:
        return Delivery((), delivered=True, reason="NothingToDeliver", message="there is nothing to deliver")
    problems = [(item, problem(seen, item.manifest, seen.observed.get(item.key))) for item in composed]
    details = tuple(_detail(seen, item, why) for item, why in problems)
    open_ = [(item, why) for item, why in problems if why]
    if not open_:
        message = f"all is delivered ({_count(composed)})"
        return Delivery(tuple(composed), delivered=True, reason="Delivered", message=message, details=details)
    item, why = open_[0]
    more = f", and {len(open_) - 1} more" if len(open_) > 1 else ""
    message = f"{_kind(item)} {item.manifest['metadata'].get('name', item.key)}: {why}{more}"
    return Delivery(tuple(composed), delivered=False, reason="Delivering", message=message, details=details)


def _kind(item: Composed) -> str:
    return str(item.manifest.get("kind"))


def _count(composed: Sequence[Composed]) -> str:
    kinds: dict[str, int] = {}
    for item in composed:
        kinds[_kind(item)] = kinds.get(_kind(item), 0) + 1
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(kinds.items()))


def _detail(seen: Seen, item: Composed, why: str) -> JsonObject:
    metadata = item.manifest["metadata"]
    detail: dict[str, Any] = {
        "kind": _kind(item),
        "name": metadata.get("name", item.key),
        "ready": not why,
    }
    if metadata.get("labels", {}).get(names.DESTINATION_LABEL):
        detail["destination"] = metadata["labels"][names.DESTINATION_LABEL]
    if why:
        detail["message"] = why
    observed = seen.observed.get(item.key)
    if _kind(item) == "Object" and observed:
        status = _remote_status(observed.manifest)
        if status is not None:
            detail["status"] = status
    return detail


def _remote_status(observed: JsonObject) -> Mapping[str, Any] | None:
    """The status that the remote object has, as provider-kubernetes saw it; left out where it is large."""
    status = lookup(observed, "status", "atProvider", "manifest", "status")
    return status if isinstance(status, Mapping) and len(repr(status)) <= _MAX_STATUS else None


def of_work(observed: JsonObject | None, spec: JsonObject, placements: Sequence[WorkPlacement]) -> str:
    """Why a Work's files are not all written; empty where they are.

    Args:
        placements: That Work's own.

    A Work's own Ready means scheduled, not written. So: it must be observed as composed, each workload group must have
    a WorkPlacement, and each of them must carry this generation and be written.
    """
    if observed is None or lookup(observed, "spec", "workloadGroups") != spec.get("workloadGroups"):
        return NOT_APPLIED
    generation = lookup(observed, "metadata", "generation")
    for group in objects(spec.get("workloadGroups")):
        own = [placement for placement in placements if placement.group_id == group.get("id")]
        directory = group.get("directory", work.ROOT)
        files = "the files" if directory == work.ROOT else f"the files in {directory}"
        if not own:
            return f"{files} wait for Kratix to choose a Destination"
        for placement in own:
            if placement.generation is not None and generation is not None and placement.generation != generation:
                return f"{files} on {placement.destination} wait for Kratix to take the new content"
            problem = _placement_problem(placement)
            if problem:
                return f"{files} on {placement.destination} {problem}"
    return ""


def _placement_problem(placement: WorkPlacement) -> str:
    conditions = placement.conditions
    scheduled, written = conditions.get("ScheduleSucceeded"), conditions.get("WriteSucceeded")
    if scheduled is None and written is None:
        # Kratix before 2025 has neither condition; there the commit that it wrote is the only sign.
        return "" if placement.version_id else "are not written yet"
    if written is None or written.status != "True":
        reason = f" ({written.reason})" if written is not None and written.status == "False" and written.reason else ""
        return f"are not written yet{reason}"
    if scheduled is not None and scheduled.status == "False":
        return "are where their selectors no longer match"
    return ""


def of_placement(observed: JsonObject | None, spec: JsonObject) -> str:
    """Why a WorkPlacement of our own is not written yet; empty where it is."""
    if observed is None or any(lookup(observed, "spec", key) != value for key, value in spec.items()):
        return NOT_APPLIED
    written = _condition(observed, "WriteSucceeded")
    if written is None and lookup(observed, "status", "versionID"):
        return ""
    if written is None or written.get("status") != "True":
        reason = (written or {}).get("reason")
        return f"is not written yet ({reason})" if reason else "is not written yet"
    return ""


def of_object(observed: JsonObject | None, spec: JsonObject) -> str:
    """Why a provider-kubernetes Object is not ready; empty where it is."""
    manifest = lookup(spec, "forProvider", "manifest")
    if observed is None or lookup(observed, "spec", "forProvider", "manifest") != manifest:
        return NOT_APPLIED
    generation = lookup(observed, "metadata", "generation")
    for type_ in ("Synced", "Ready"):
        condition = _condition(observed, type_)
        if condition is None:
            return f"is not {type_.lower()} yet"
        seen = condition.get("observedGeneration")
        if isinstance(seen, int) and isinstance(generation, int) and seen < generation:
            return f"is not {type_.lower()} yet at its new generation"
        if condition.get("status") != "True":
            reason = condition.get("reason")
            return f"is not {type_.lower()}{f' ({reason})' if reason else ''}"
    return ""


def of_composed(observed: JsonObject | None) -> str:
    """Why a composed resource is not ready, by the conditions that Kubernetes' kinds use; empty where it is.

    An object without conditions is ready once it is there, as a ConfigMap is; not one that only has none yet: a kind of
    Kubernetes whose controller gives it some, and a managed resource or an XR of Crossplane, which its spec tells.
    """
    if observed is None:
        return NOT_APPLIED
    kind = str(observed.get("kind"))
    type_ = _CONDITION.get(kind, "Ready")
    condition = _condition(observed, type_)
    if condition is None:
        gets_some = kind in _CONDITION or any(lookup(observed, "spec", field) for field in _CROSSPLANES)
        return f"has no condition {type_} yet" if gets_some or lookup(observed, "status", "conditions") else ""
    if condition.get("status") == "True":
        return ""
    reason = condition.get("reason")
    return f"is not {type_.lower()}{f' ({reason})' if reason else ''}"


def _condition(observed: JsonObject, type_: str) -> JsonObject | None:
    conditions = objects(lookup(observed, "status", "conditions"))
    return next((condition for condition in conditions if condition.get("type") == type_), None)
