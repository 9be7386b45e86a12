"""What to compose: documents and placements to Works, WorkPlacements, Objects, or the documents themselves.

All that Kratix or Crossplane would choke on is refused here, before anything is emitted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from function.api import files, names, object, work
from function.api.destination import Destination
from function.api.errors import InvalidError
from function.model import Document, File, Group, JsonObject, Observed, Schedule, Seen, lookup, texts

MAX_WORK = 1024 * 1024  # etcd takes no object over 1.5 MiB

_Keyed = tuple[str, JsonObject]


def resources(seen: Seen, documents: Sequence[Document], schedule: Schedule) -> tuple[_Keyed, ...]:
    """Composed resources by key, as `deliver.as` asks for.

    Raises:
        InvalidError: Something that may not be emitted, with the path of the field.
    """
    composers: dict[str, Callable[[Seen, Sequence[Document], Schedule], Iterator[_Keyed]]] = {
        "Work": _work,
        "WorkPlacement": _placements,
        "Object": _objects,
        "Composed": _composed,
    }
    found = tuple(composers[seen.input.deliver.as_](seen, documents, schedule))
    taken: set[str] = set()
    for key, _ in found:
        if key in taken:
            raise InvalidError("documents", f"two of them are composed as {key}; give one another name")
        taken.add(key)
    return found


def _work(seen: Seen, _: Sequence[Document], schedule: Schedule) -> Iterator[_Keyed]:
    # As in Kratix: a Work for each pipeline. The key of the one of native and adopted documents is older than these.
    for pipeline in dict.fromkeys(group.pipeline for group in schedule.groups):
        key = f"{seen.input.promise_name}/work"
        own = [group for group in schedule.groups if group.pipeline == pipeline]
        key = f"{key}/{pipeline}" if pipeline else key
        yield key, _one_work(seen, key, pipeline, own)


def _one_work(seen: Seen, key: str, pipeline: str, own: Sequence[Group]) -> JsonObject:
    groups = [
        {
            "destinationSelectors": [
                {"matchLabels": dict(s.match_labels), "source": s.source} for s in group.selectors
            ],
            "directory": group.directory,
            "id": group.id,
            "workloads": _workloads(group),
        }
        for group in own
    ]
    _check_ids(own)
    _check_size(workload for group in groups for workload in group["workloads"])
    metadata = _work_metadata(seen, key, pipeline, _work_name(seen, pipeline))
    return work.work(metadata, seen.input.promise_name, _resource_name(seen), groups)


def _work_name(seen: Seen, pipeline: str) -> str:
    xr = seen.request
    return work.name(xr.kind, xr.name, seen.input.promise_name, xr.identity, pipeline)


def _placements(seen: Seen, _: Sequence[Document], schedule: Schedule) -> Iterator[_Keyed]:
    given = seen.input
    for pipeline in dict.fromkeys(group.pipeline for group in schedule.groups):
        _check_ids([group for group in schedule.groups if group.pipeline == pipeline])
    for group in schedule.groups:
        work_name = _work_name(seen, group.pipeline)
        targets = _targets(group, schedule)
        workloads = _workloads(group) if targets else []
        _check_size(workloads)
        for target in targets:
            inner = f"{group.pipeline}/" if group.pipeline else ""
            key = f"{given.promise_name}/{inner}{group.id[: work.SHORT_ID]}/{target}"
            metadata = _work_metadata(seen, key, group.pipeline, work.placement_name(work_name, target, group.id))
            # The labels Kratix's scheduler would set: its writers find a Destination's placements by them.
            metadata["labels"] |= {
                names.KRATIX_WORK_LABEL: work_name,
                names.KRATIX_GROUP_ID_LABEL: group.id,
                names.KRATIX_TARGET_LABEL: target,
                names.DESTINATION_LABEL: target,
                names.DIRECTORY_ID_LABEL: group.id,
            }
            manifest = work.placement(metadata, given.promise_name, _resource_name(seen), group.id, target, workloads)
            yield key, manifest


def _targets(group: Group, schedule: Schedule) -> list[str]:
    mine = (p for p in schedule.placements if (p.pipeline, p.group_id) == (group.pipeline, group.id))
    return [placement.destination for placement in mine]


def _work_metadata(seen: Seen, key: str, pipeline: str, name: str) -> dict[str, Any]:
    given, xr = seen.input, seen.request
    label = work.pipeline_label(pipeline or xr.kind, (*xr.identity, given.deliver.as_, *filter(None, [pipeline])))
    labels = _own_labels(seen, pipeline) | {names.KRATIX_PIPELINE_LABEL: label}
    return {"name": name, "namespace": _namespace(seen, key), "labels": labels}


def _namespace(seen: Seen, key: str) -> str:
    """Crossplane keeps what is there in its namespace, whatever is asked for later (composition_functions.go)."""
    if seen.request.namespace:
        return seen.request.namespace
    there = seen.observed.get(key)
    kept = lookup(there.manifest, "metadata", "namespace") if there else None
    return kept or seen.input.deliver.namespace


def _resource_name(seen: Seen) -> str:
    """Kratix puts a Work with a resource name on one Destination and one without on all (work_types.go)."""
    return seen.request.name if seen.input.schedule.placement == "One" else ""


def _workloads(group: Group) -> list[dict[str, str]]:
    """The group's files, by path; a pipeline's file goes out as it was written where nothing in it was decorated."""
    made = []
    for path, shared in itertools.groupby(group.documents, key=lambda document: document.filepath):
        documents = list(shared)
        file, manifest = documents[0].file, documents[0].manifest
        if file is not None:
            made.append(files.workload_of(path, _content(file, documents)))
        elif manifest is not None:
            made.append(files.workload(path, manifest))
    return made


def _content(file: File, documents: Sequence[Document]) -> bytes:
    changed = {d.part: d.manifest for d in documents if d.manifest is not None and d.manifest != file.parts[d.part]}
    if not changed:
        return file.content
    return files.stream([changed.get(i, part) for i, part in enumerate(file.parts)])


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


def _objects(seen: Seen, _: Sequence[Document], schedule: Schedule) -> Iterator[_Keyed]:
    given, xr = seen.input, seen.request
    wanted = given.deliver.object
    api_version = wanted.api_version or (object.NAMESPACED if xr.namespace else object.LEGACY)
    if xr.namespace and api_version == object.LEGACY:
        raise InvalidError(
            "deliver.object.apiVersion",
            f"{api_version} is cluster-scoped, and a namespaced XR composes only namespaced objects",
        )
    inventory = seen.destinations.by_name
    for group in schedule.groups:
        for target in _targets(group, schedule):
            config = _provider_config(inventory.get(target), target, seen, api_version)
            for document in group.documents:
                if document.manifest is None:
                    continue
                key = _object_key(seen, f"{given.promise_name}/{target}/{document.identity}", api_version)
                metadata: dict[str, Any] = {
                    "name": names.bounded(f"{xr.name}-{document.identity}-{target}", key, *xr.identity),
                    "labels": _own_labels(seen, group.pipeline)
                    | {names.DESTINATION_LABEL: target, names.DIRECTORY_ID_LABEL: group.id},
                    "annotations": {
                        names.DOCUMENT_ANNOTATION: document.name,
                        names.PROVIDER_CONFIG_ANNOTATION: config["name"],
                    },
                }
                if api_version == object.NAMESPACED:
                    metadata["namespace"] = _namespace(seen, key)
                yield key, object.object_(api_version, metadata, document.manifest, config, wanted.readiness)


def _object_key(seen: Seen, key: str, api_version: str) -> str:
    """The key, or one of the API's own where an Object of another API has it, or had it.

    Crossplane collects garbage by keys alone: under the same key that one would be forgotten, and live on.
    """
    if seen.request.namespace:
        return key  # only one API will do
    own = f"{key}@{api_version.partition('/')[0]}"
    there = seen.observed.get(key)
    if own in seen.observed or (there is not None and there.manifest.get("apiVersion") != api_version):
        return own
    return key


def _provider_config(destination: Destination | None, target: str, seen: Seen, api_version: str) -> dict[str, str]:
    if destination is not None:
        name = destination.provider_config
    else:
        # The Destination is gone but its documents stay (Kratix's Keep): so does the way to reach them.
        kept = (
            _texts(o, "annotations")
            for o in seen.observed.values()
            if _texts(o, "labels").get(names.DESTINATION_LABEL) == target
        )
        name = next(
            (a[names.PROVIDER_CONFIG_ANNOTATION] for a in kept if names.PROVIDER_CONFIG_ANNOTATION in a), target
        )
    if api_version == object.LEGACY:
        return {"name": name}
    return {"kind": seen.input.deliver.object.provider_config_kind, "name": name}


def _composed(seen: Seen, documents: Sequence[Document], _: Schedule) -> Iterator[_Keyed]:
    for document in documents:
        namespace = lookup(document.manifest, "metadata", "namespace")
        if seen.request.namespace and namespace not in (None, seen.request.namespace):
            raise InvalidError(
                f"{document.path}, metadata.namespace"
                if document.file
                else f"{document.path}.manifest.metadata.namespace",
                f"is {namespace}, but a namespaced XR composes only in its own namespace, {seen.request.namespace}",
            )
    yield from itself(seen, documents)


def itself(seen: Seen, documents: Sequence[Document]) -> Iterator[_Keyed]:
    """Documents by key as they are composed on this cluster, whatever `deliver.as` says now."""
    for document in documents:
        if document.manifest is None:
            continue
        metadata = document.manifest["metadata"]
        own = _own_labels(seen, document.pipeline) | {names.DELIVER_LABEL: "Composed"}
        labels = {**(metadata.get("labels") or {}), **own}
        manifest = {**document.manifest, "metadata": {**metadata, "labels": labels}}
        key = document.name if document.name in seen.adopted else f"{seen.input.promise_name}/{document.identity}"
        yield key, manifest


def _own_labels(seen: Seen, pipeline: str) -> dict[str, str]:
    labels = {names.PROMISE_LABEL: seen.input.promise_name, names.DELIVER_LABEL: seen.input.deliver.as_}
    return labels | ({names.PIPELINE_LABEL: pipeline} if pipeline else {})


def _texts(observed: Observed, field: str) -> Mapping[str, str]:
    return texts(lookup(observed.manifest, "metadata", field))
