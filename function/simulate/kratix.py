"""Kratix as a function: Works are scheduled, WorkPlacements are written, and the state store holds their files.

Follows internal/controller/scheduler.go and workplacement_controller.go of Kratix. Which Destinations take a group is
the function's own scheduling, which has Kratix's semantics; what Kratix leaves to chance is a hash there, so that a
folder has one outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from function import schedule
from function.api import names, work
from function.api.destination import Destination
from function.api.input import Schedule as Policy
from function.api.names import KRATIX_API_VERSION
from function.cel import Scope
from function.model import Group, JsonObject, Selector, lookup, objects
from function.simulate.cluster import Cluster, Ref, conditioned, stored
from function.simulate.core import owner

_MISPLACED = "Target destination no longer matches destinationSelectors"
_WRITTEN = "WorkloadsWrittenToTargetDestination"


def reconcile(cluster: Cluster) -> Cluster:
    """Schedule every Work and write every WorkPlacement."""
    works = cluster.matching(KRATIX_API_VERSION, "Work")
    for body in works:
        cluster = _scheduled(body, cluster)
    there = {Ref.of(body) for body in works}
    for placement in cluster.matching(KRATIX_API_VERSION, "WorkPlacement"):
        if any(_owner(reference, placement) not in there for reference in _work_owners(placement)):
            cluster = cluster.lacking(Ref.of(placement))
        else:
            cluster = cluster.having(_written(placement, cluster))
    return cluster


def _work_owners(placement: JsonObject) -> list[Mapping[str, Any]]:
    references = objects(lookup(placement, "metadata", "ownerReferences"))
    return [reference for reference in references if reference.get("kind") == "Work"]


def _owner(reference: Mapping[str, Any], placement: JsonObject) -> Ref:
    return Ref(KRATIX_API_VERSION, "Work", Ref.of(placement).namespace, str(reference.get("name")))


def _scheduled(body: JsonObject, cluster: Cluster) -> Cluster:
    """Scheduler.ReconcileWork: each group to its Destinations, placements of groups that are gone deleted."""
    unscheduled, misplaced = [], []
    groups = objects(lookup(body, "spec", "workloadGroups"))
    for group in groups:
        placements = _placed(body, group, cluster)
        cluster = cluster.having(*placements)
        if not placements:
            unscheduled.append(str(group.get("id")))
        elif any(lookup(p, "metadata", "labels", names.KRATIX_MISPLACED_LABEL) for p in placements):
            misplaced.append(str(group.get("id")))
    ids = {group.get("id") for group in groups}
    dangling = [Ref.of(p) for p in _existing(body, cluster) if _group_of(p) not in ids]
    status = {
        **(lookup(body, "status") or {}),
        "workPlacements": len(groups),
        "workPlacementsCreated": len(groups) - len(unscheduled),
    }
    status["conditions"] = conditioned(status.get("conditions"), *_work_conditions(unscheduled, misplaced))
    return cluster.lacking(*dangling).having({**body, "status": status})


def _work_conditions(unscheduled: Sequence[str], misplaced: Sequence[str]) -> list[JsonObject]:
    if unscheduled:
        message = f"No matching destination found for workloadGroups: [{','.join(unscheduled)}]"
        status, reason, ready, pending = "False", "UnscheduledWorkloads", "UnscheduledWorkloads", "Pending"
    elif misplaced:
        message = f"{_MISPLACED} for workloadGroups: [{','.join(misplaced)}]"
        status, reason, ready, pending = "False", "DestinationSelectorMismatch", "Misplaced", "Misplaced"
    else:
        message = "All workplacements scheduled successfully"
        status, reason, ready, pending = "True", "AllWorkplacementsScheduled", "AllWorkplacementsScheduled", "Ready"
    return [
        {"type": "ScheduleSucceeded", "status": status, "reason": reason, "message": message},
        {"type": "Ready", "status": status, "reason": ready, "message": pending},
    ]


def _placed(body: JsonObject, group: Mapping[str, Any], cluster: Cluster) -> list[JsonObject]:
    """Scheduler.reconcileWorkloadGroup: the group's placements as they should be."""
    id_, request = str(group.get("id")), bool(lookup(body, "spec", "resourceName"))
    there = {
        str(lookup(placement, "spec", "targetDestinationName")): placement
        for placement in _existing(body, cluster)
        if _group_of(placement) == id_
    }
    wanted = Group(str(group.get("directory")), id_, _selectors(body, group), ())
    policy = Policy(placement="One" if request else "All")
    chosen = schedule.place((wanted,), _inventory(cluster), {id_: tuple(there)}, policy, Ref.of(body), Scope({}))
    return [
        _placement(body, group, p.destination, there.get(p.destination), misplaced=p.state == "Misplaced")
        for p in chosen.placements
    ]


def _selectors(body: JsonObject, group: Mapping[str, Any]) -> tuple[Selector, ...]:
    if lookup(body, "metadata", "labels", names.KRATIX_DRY_RUN_LABEL) == "true":
        return (Selector({names.KRATIX_DRY_RUN_LABEL: "true"}, "promise"),)
    listed = objects(group.get("destinationSelectors"))
    return tuple(Selector(s.get("matchLabels") or {}, s.get("source") or "resource-workflow") for s in listed)


def _inventory(cluster: Cluster) -> tuple[Destination, ...]:
    return tuple(
        Destination(
            name=Ref.of(body).name,
            labels=lookup(body, "metadata", "labels") or {},
            strict_match_labels=lookup(body, "spec", "strictMatchLabels") is True,
            deleting=bool(lookup(body, "metadata", "deletionTimestamp")),
        )
        for body in cluster.matching(KRATIX_API_VERSION, "Destination")
    )


def _existing(body: JsonObject, cluster: Cluster) -> list[JsonObject]:
    ref = Ref.of(body)
    return cluster.matching(KRATIX_API_VERSION, "WorkPlacement", ref.namespace, {names.KRATIX_WORK_LABEL: ref.name})


def _group_of(placement: JsonObject) -> object:
    return lookup(placement, "metadata", "labels", names.KRATIX_GROUP_ID_LABEL)


def _placement(
    body: JsonObject, group: Mapping[str, Any], target: str, existing: JsonObject | None, *, misplaced: bool
) -> JsonObject:
    ref, given = Ref.of(body), str(group.get("id"))
    labels = {names.KRATIX_WORK_LABEL: ref.name, names.KRATIX_GROUP_ID_LABEL: given, names.KRATIX_TARGET_LABEL: target}
    pipeline = lookup(body, "metadata", "labels", names.KRATIX_PIPELINE_LABEL)
    if pipeline:
        labels[names.KRATIX_PIPELINE_LABEL] = pipeline
    metadata: dict[str, Any] = {"name": work.placement_name(ref.name, target, given), "ownerReferences": [owner(body)]}
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    if existing is not None:
        metadata = {**existing["metadata"], "ownerReferences": [owner(body)]}
        if lookup(body, "spec", "resourceName"):
            # Only of dependencies are the labels written anew; a request's placement keeps even the label misplaced.
            labels = {**(metadata.get("labels") or {}), **labels}
    if misplaced:
        labels[names.KRATIX_MISPLACED_LABEL] = "true"
    metadata["labels"] = labels
    made = work.placement(
        metadata,
        str(lookup(body, "spec", "promiseName")),
        str(lookup(body, "spec", "resourceName") or ""),
        given,
        target,
        objects(group.get("workloads")),
    )
    made["spec"]["generation"] = lookup(body, "metadata", "generation") or 1
    made["status"] = dict(lookup(existing, "status") or {})
    condition = {
        "type": "ScheduleSucceeded",
        "status": "True",
        "reason": "ScheduledToDestination",
        "message": "Scheduled to correct Destination",
    }
    if misplaced:
        condition |= {"status": "False", "reason": "DestinationSelectorMismatch", "message": _MISPLACED}
    made["status"]["conditions"] = conditioned(made["status"].get("conditions"), condition)
    return stored(made, existing)


def _written(placement: JsonObject, cluster: Cluster) -> JsonObject:
    """A WorkPlacement once its writer has run; one whose Destination is gone is not written."""
    if _destination(placement, cluster) is None:
        return placement
    status = dict(lookup(placement, "status") or {})
    written: JsonObject = {
        "type": "WriteSucceeded",
        "status": "True",
        "reason": "WorkloadsWrittenToStateStore",
        "message": "Workloads written to State Store",
    }
    ready: JsonObject = {"type": "Ready", "status": "True", "reason": _WRITTEN, "message": "Ready"}
    conditions = objects(status.get("conditions"))
    if any((c.get("type"), c.get("status")) == ("ScheduleSucceeded", "False") for c in conditions):
        ready = {"type": "Ready", "status": "False", "reason": "Misplaced", "message": "Misplaced"}
    status["conditions"] = conditioned(status.get("conditions"), written, ready)
    return {**placement, "status": status}


def _destination(placement: JsonObject, cluster: Cluster) -> JsonObject | None:
    target = str(lookup(placement, "spec", "targetDestinationName"))
    return cluster.get(Ref(KRATIX_API_VERSION, "Destination", "", target))


def placements_of(composed: Iterable[Ref], cluster: Cluster) -> list[JsonObject]:
    """The WorkPlacements among these objects, and those of the Works among them."""
    refs = set(composed)
    return [
        placement
        for placement in cluster.matching(KRATIX_API_VERSION, "WorkPlacement")
        if refs & {Ref.of(placement), *(_owner(reference, placement) for reference in _work_owners(placement))}
    ]
