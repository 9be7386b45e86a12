"""Delivery: documents and placements to Works, WorkPlacements, Objects, or the documents themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from function import readiness
from function.api import files, names, object, work
from function.api.destination import Destination
from function.api.errors import InvalidError
from function.model import Composed, Delivery, Document, Group, JsonObject, Observed, Schedule, Seen, lookup, texts

MAX_WORK = 1024 * 1024  # etcd takes no object over 1.5 MiB
_MAX_STATUS = 4096


def compose(seen: Seen, documents: Sequence[Document], schedule: Schedule) -> Delivery:
    """What to compose so that each Destination gets its documents.

    Raises:
        InvalidError: Something that Kratix or Crossplane would choke on; nothing is emitted then.
    """
    composers: dict[str, Callable[[Seen, Sequence[Document], Schedule], Iterator[Composed]]] = {
        "Work": _work,
        "WorkPlacement": _placements,
        "Object": _objects,
        "Composed": _composed,
    }
    composed = tuple(composers[seen.input.deliver.as_](seen, documents, schedule))
    delivery = _delivery(seen, composed)
    kept = _kept(seen, composed, schedule, delivered=delivery.delivered)
    return _delivery(seen, (*composed, *kept)) if kept else delivery


def _kept(seen: Seen, composed: Sequence[Composed], schedule: Schedule, *, delivered: bool) -> tuple[Composed, ...]:
    """What is composed no longer but stays for now, so that nothing is without its documents in between (rule 1).

    While a directory has no Destination everything stays where it is; after a change of `deliver.as` the old way stays
    until the new one has delivered.

    Raises:
        InvalidError: Documents that were composed as themselves, which cannot be rebuilt, have no Destination now.
    """
    taken = {item.key for item in composed}
    kept = []
    for key, observed in sorted(seen.observed.items()):
        before = _labels(observed).get(names.DELIVER_LABEL)
        changed = before != seen.input.deliver.as_ and not delivered
        if key in taken or not (schedule.unplaced or changed):
            continue
        if before == "Composed":
            if schedule.unplaced and seen.input.deliver.as_ != "Work":
                raise InvalidError("deliver.as", "cannot change from Composed while no Destination takes the documents")
            continue
        manifest = _rebuilt(observed.manifest)
        kept.append(Composed(key, manifest, ready=not _problem(seen, manifest, observed)))
    return tuple(kept)


def hold(seen: Seen, *, waiting: bool) -> Delivery | None:
    """What was delivered, as it was: rebuilt from what is observed, whose spec is this function's alone (rule 1).

    Args:
        waiting: Crossplane will call again in this same reconcile, so nothing of this answer is applied.

    Returns:
        None where that cannot be done: an object that was composed as itself has fields of others in its spec, and
        applying them would take them over.
    """
    kept = []
    for key, observed in sorted({**seen.strangers, **seen.observed}.items()):
        if _labels(observed).get(names.DELIVER_LABEL) == "Composed" and not waiting:
            return None
        manifest = _rebuilt(observed.manifest)
        if key in seen.strangers:
            # An input that names another Promise by mistake must not delete what the right one delivered.
            held = {names.HELD_ANNOTATION: _labels(observed)[names.PROMISE_LABEL]}
            manifest["metadata"]["annotations"] = {**manifest["metadata"].get("annotations", {}), **held}
        kept.append(Composed(key, manifest, ready=not _problem(seen, manifest, observed)))
    return _delivery(seen, kept)


def _rebuilt(manifest: JsonObject) -> dict[str, Any]:
    named = {field: value for field in ("name", "namespace") if (value := lookup(manifest, "metadata", field))}
    own = {
        field: ours
        for field in ("labels", "annotations")
        if (ours := {k: v for k, v in texts(lookup(manifest, "metadata", field)).items() if _is_ours(k)})
    }
    body = {k: v for k, v in manifest.items() if k not in ("metadata", "status")}
    if isinstance(body.get("spec"), Mapping):
        # Kratix writes a Work back with a time that is null (work_types.go: LastExecutionTimestamp); it is not ours.
        body["spec"] = {k: v for k, v in body["spec"].items() if v is not None}
    return {**body, "metadata": {**named, **own}}


def _is_ours(key: str) -> bool:
    path_labels = (
        names.KRATIX_WORK_LABEL,
        names.KRATIX_GROUP_ID_LABEL,
        names.KRATIX_TARGET_LABEL,
        names.KRATIX_PIPELINE_LABEL,
    )
    return key.startswith(f"{names.GROUP}/") or key in path_labels


def _work(seen: Seen, _: Sequence[Document], schedule: Schedule) -> Iterator[Composed]:
    if not schedule.groups:
        return
    groups = [
        {
            "destinationSelectors": [
                {"matchLabels": dict(s.match_labels), "source": s.source} for s in group.selectors
            ],
            "directory": group.directory,
            "id": group.id,
            "workloads": _workloads(group),
        }
        for group in schedule.groups
    ]
    _check_ids(schedule.groups)
    _check_size(workload for group in groups for workload in group["workloads"])
    given, xr = seen.input, seen.request
    metadata = _work_metadata(seen, work.name(xr.kind, xr.name, given.promise_name, xr.identity))
    manifest = work.work(metadata, given.promise_name, _resource_name(seen), groups)
    yield _settled(seen, f"{given.promise_name}/work", manifest)


def _placements(seen: Seen, _: Sequence[Document], schedule: Schedule) -> Iterator[Composed]:
    given, xr = seen.input, seen.request
    work_name = work.name(xr.kind, xr.name, given.promise_name, xr.identity)
    _check_ids(schedule.groups)
    for group in schedule.groups:
        targets = [placement.destination for placement in schedule.placements if placement.group_id == group.id]
        workloads = _workloads(group) if targets else []
        _check_size(workloads)
        for target in targets:
            metadata = _work_metadata(seen, work.placement_name(work_name, target, group.id))
            # The labels Kratix's scheduler would set: its writers find a Destination's placements by them.
            metadata["labels"] |= {
                names.KRATIX_WORK_LABEL: work_name,
                names.KRATIX_GROUP_ID_LABEL: group.id,
                names.KRATIX_TARGET_LABEL: target,
                names.DESTINATION_LABEL: target,
                names.DIRECTORY_ID_LABEL: group.id,
            }
            manifest = work.placement(metadata, given.promise_name, _resource_name(seen), group.id, target, workloads)
            yield _settled(seen, f"{given.promise_name}/{group.id[: work.SHORT_ID]}/{target}", manifest)


def _work_metadata(seen: Seen, name: str) -> dict[str, Any]:
    given, xr = seen.input, seen.request
    label = work.pipeline_label(xr.kind, (*xr.identity, given.deliver.as_))
    labels = _own_labels(seen) | {names.KRATIX_PIPELINE_LABEL: label}
    return {"name": name, "namespace": xr.namespace or given.deliver.namespace, "labels": labels}


def _resource_name(seen: Seen) -> str:
    """Kratix puts a Work with a resource name on one Destination and one without on all (work_types.go)."""
    return seen.request.name if seen.input.schedule.placement == "One" else ""


def _workloads(group: Group) -> list[dict[str, str]]:
    return [files.workload(document.filepath, document.manifest) for document in group.documents]


def _check_ids(groups: Sequence[Group]) -> None:
    taken: dict[str, Group] = {}
    for group in groups:
        other = taken.setdefault(group.id[: work.SHORT_ID], group)
        if other is not group:
            raise InvalidError(
                "schedule.selectors",
                f"directories {other.directory} and {group.directory} have ids that begin alike "
                f"({group.id[: work.SHORT_ID]}), so Kratix would write both to one folder; rename one",
            )


def _check_size(workloads: Any) -> None:
    size = sum(len(workload["content"]) for workload in workloads)
    if size > MAX_WORK:
        raise InvalidError(
            "documents", f"are {size / 1024:.0f} KiB when packed; one Work may hold {MAX_WORK // 1024} KiB"
        )


def _objects(seen: Seen, _: Sequence[Document], schedule: Schedule) -> Iterator[Composed]:
    given, xr = seen.input, seen.request
    wanted = given.deliver.object
    api_version = wanted.api_version or (object.NAMESPACED if xr.namespace else object.LEGACY)
    if xr.namespace and api_version == object.LEGACY:
        raise InvalidError(
            "deliver.object.apiVersion",
            f"{api_version} is cluster-scoped, and a namespaced XR composes only namespaced objects",
        )
    inventory = {destination.name: destination for destination in seen.destinations}
    for group in schedule.groups:
        for placement in schedule.placements:
            if placement.group_id != group.id:
                continue
            target = placement.destination
            config = _provider_config(inventory.get(target), target, seen, api_version)
            for document in group.documents:
                key = f"{given.promise_name}/{target}/{document.name}"
                metadata: dict[str, Any] = {
                    "name": names.bounded(f"{xr.name}-{document.name}-{target}", key, *xr.identity),
                    "labels": _own_labels(seen) | {names.DESTINATION_LABEL: target, names.DIRECTORY_ID_LABEL: group.id},
                    "annotations": {
                        names.DOCUMENT_ANNOTATION: document.name,
                        names.PROVIDER_CONFIG_ANNOTATION: config["name"],
                    },
                }
                if api_version == object.NAMESPACED:
                    metadata["namespace"] = xr.namespace or given.deliver.namespace
                yield _settled(
                    seen, key, object.object_(api_version, metadata, document.manifest, config, wanted.readiness)
                )


def _provider_config(destination: Destination | None, target: str, seen: Seen, api_version: str) -> dict[str, str]:
    if destination is not None:
        name = destination.provider_config
    else:
        # The Destination is gone but its documents stay (Kratix's Keep): so does the way to reach them.
        kept = (_annotations(o) for o in seen.observed.values() if _labels(o).get(names.DESTINATION_LABEL) == target)
        name = next(
            (a[names.PROVIDER_CONFIG_ANNOTATION] for a in kept if names.PROVIDER_CONFIG_ANNOTATION in a), target
        )
    if api_version == object.LEGACY:
        return {"name": name}
    return {"kind": seen.input.deliver.object.provider_config_kind, "name": name}


def _composed(seen: Seen, documents: Sequence[Document], _: Schedule) -> Iterator[Composed]:
    for document in documents:
        adopted = document.name in seen.adopted
        metadata = document.manifest["metadata"]
        namespace = metadata.get("namespace")
        if seen.request.namespace and namespace not in (None, seen.request.namespace):
            raise InvalidError(
                f"{document.path}.manifest.metadata.namespace",
                f"is {namespace}, but a namespaced XR composes only in its own namespace, {seen.request.namespace}",
            )
        labels = {**metadata.get("labels", {}), **_own_labels(seen)}
        manifest = {**document.manifest, "metadata": {**metadata, "labels": labels}}
        key = document.name if adopted else f"{seen.input.promise_name}/{document.name}"
        yield _settled(seen, key, manifest)


def _own_labels(seen: Seen) -> dict[str, str]:
    return {names.PROMISE_LABEL: seen.input.promise_name, names.DELIVER_LABEL: seen.input.deliver.as_}


def _settled(seen: Seen, key: str, manifest: JsonObject) -> Composed:
    return Composed(key, manifest, ready=not _problem(seen, manifest, seen.observed.get(key)))


def _problem(seen: Seen, manifest: JsonObject, observed: Observed | None) -> str:
    """Why a composed resource has not arrived; empty where it has."""
    body = observed.manifest if observed else None
    mode = manifest["metadata"]["labels"].get(names.DELIVER_LABEL)
    if mode == "Work":
        return readiness.of_work(body, manifest["spec"], seen.work_placements)
    if mode == "WorkPlacement":
        return readiness.of_placement(body, manifest["spec"])
    if mode == "Object":
        return readiness.of_object(body, manifest["spec"])
    return readiness.of_composed(body)


def _delivery(seen: Seen, composed: Sequence[Composed]) -> Delivery:
    if not composed:
        return Delivery((), delivered=True, reason="NothingToDeliver", message="there is nothing to deliver")
    _check_keys(composed)
    problems = [(item, _problem(seen, item.manifest, seen.observed.get(item.key))) for item in composed]
    details = tuple(_detail(seen, item, problem) for item, problem in problems)
    open_ = [(item, problem) for item, problem in problems if problem]
    if not open_:
        message = f"all is delivered ({_count(composed)})"
        return Delivery(tuple(composed), delivered=True, reason="Delivered", message=message, details=details)
    item, problem = open_[0]
    more = f", and {len(open_) - 1} more" if len(open_) > 1 else ""
    message = f"{_kind(item)} {item.manifest['metadata'].get('name', item.key)}: {problem}{more}"
    return Delivery(tuple(composed), delivered=False, reason="Delivering", message=message, details=details)


def _check_keys(composed: Sequence[Composed]) -> None:
    taken: set[str] = set()
    for item in composed:
        if item.key in taken:
            raise InvalidError("documents", f"two of them are composed as {item.key}; give one another name")
        taken.add(item.key)


def _kind(item: Composed) -> str:
    return str(item.manifest.get("kind"))


def _count(composed: Sequence[Composed]) -> str:
    kinds: dict[str, int] = {}
    for item in composed:
        kinds[_kind(item)] = kinds.get(_kind(item), 0) + 1
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(kinds.items()))


def _detail(seen: Seen, item: Composed, problem: str) -> JsonObject:
    metadata = item.manifest["metadata"]
    detail: dict[str, Any] = {
        "kind": _kind(item),
        "name": metadata.get("name", item.key),
        "ready": not problem,
    }
    if metadata.get("labels", {}).get(names.DESTINATION_LABEL):
        detail["destination"] = metadata["labels"][names.DESTINATION_LABEL]
    if problem:
        detail["message"] = problem
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


def _labels(observed: Observed) -> Mapping[str, str]:
    return texts(lookup(observed.manifest, "metadata", "labels"))


def _annotations(observed: Observed) -> Mapping[str, str]:
    return texts(lookup(observed.manifest, "metadata", "annotations"))
