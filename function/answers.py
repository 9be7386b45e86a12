"""What Crossplane read for a request, its required resources, as plain values; what many XRs share is kept.

Of a Destination only its labels and a few fields are walked, since there can be thousands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import struct_pb2

from function import require
from function.api import destination, names, promise
from function.api.errors import InvalidError
from function.api.input import ContextSource, PromiseInput
from function.kept import Kept
from function.model import Condition, Hold, JsonObject, Request, WorkPlacement, lookup, objects
from function.structs import at, manifest, strings

_MIB = 2**20
# Of each as many as one process serves at once: Promises, what XRs share, inventories.
_promises = Kept[promise.Promise](64, 2 * _MIB)
_shared = Kept[JsonObject](256, 2 * _MIB)
_inventories = Kept[destination.Inventory](2, 16 * _MIB)
_copied_inventories = Kept[destination.Inventory](2, 16 * _MIB)


def promise_of(req: fnv1.RunFunctionRequest, name: str) -> tuple[promise.Promise | None, Hold | None]:
    """The Promise, or why there is none.

    Raises:
        InvalidError: It is not what its kind says.
    """
    items = req.required_resources[require.PROMISE].items
    if not items:
        return None, Hold(names.CHECKS_PASSED, "PromiseMissing", f"Promise {name} is not there", missing=True)
    found = items[0].resource
    path = f"Promise {name}"
    return _promises.get(found, lambda: promise.from_manifest(manifest(found, path), path)), None


def context(req: fnv1.RunFunctionRequest, source: ContextSource, path: str) -> Any:
    """What `context.<name>` is: an object, None where it is not there, or a list by namespace and name."""
    items = req.required_resources[require.CONTEXT + source.name].items
    if source.match_labels is None:
        return _object(items[0].resource, path) if items else None
    values = [_object(item.resource, path) for item in items]
    return sorted(values, key=lambda v: (str(lookup(v, "metadata", "namespace")), str(lookup(v, "metadata", "name"))))


def _object(struct: struct_pb2.Struct, path: str) -> JsonObject:
    return _shared.get(struct, lambda: manifest(struct, path))


def inventory(req: fnv1.RunFunctionRequest, given: PromiseInput) -> destination.Inventory:
    """The Destinations; empty where the input needs none.

    Raises:
        InvalidError: One has no name.
    """
    if require.DESTINATIONS not in req.required_resources:
        return destination.Inventory()
    listed = req.required_resources[require.DESTINATIONS]
    copied = given.schedule.inventory == "EnvironmentConfig"
    kept = _copied_inventories if copied else _inventories

    def made() -> destination.Inventory:
        return destination.Inventory(sorted(_destinations(listed, copied=copied), key=lambda each: each.name))

    return kept.get(listed, made)


def _destinations(listed: fnv1.Resources, *, copied: bool) -> Iterator[destination.Destination]:
    """The inventory; of each Destination only what scheduling needs is walked, since there can be thousands."""
    for item in listed.items:
        resource = item.resource
        metadata = at(resource, "metadata")
        # The bridge copies a Destination's name, labels, annotations and spec into an EnvironmentConfig's data.
        data = at(resource, "data") if copied else None
        source = metadata if data is None else data
        name = at(source, "name") or at(metadata, "name")
        if not isinstance(name, str) or not name:
            raise InvalidError(require.DESTINATIONS, "holds a Destination without a name")
        annotations = at(source, "annotations")
        config = at(annotations, names.PROVIDER_CONFIG_ANNOTATION) if annotations else None
        yield destination.Destination(
            name,
            # Most labels of thousands are the same few texts.
            {sys.intern(key): sys.intern(value) for key, value in strings(at(source, "labels")).items()},
            at(data if copied else resource, "spec", "strictMatchLabels") is True,
            bool(at(metadata, "deletionTimestamp")) or at(data, "deleting") is True,
            config if isinstance(config, str) else name,
        )


def work_placements(req: fnv1.RunFunctionRequest) -> Iterator[WorkPlacement]:
    """Kratix's placements of this XR's Works, each with the pipeline that its Work is of."""
    for key in req.required_resources:
        head, _, pipeline = key.partition(f"{require.PLACEMENTS}/")
        if key == require.PLACEMENTS or (pipeline and not head):
            for item in req.required_resources[key].items:
                yield _work_placement(manifest(item.resource, key), pipeline)


def _work_placement(body: JsonObject, pipeline: str) -> WorkPlacement:
    generation = lookup(body, "spec", "generation")
    return WorkPlacement(
        name=str(lookup(body, "metadata", "name")),
        group_id=str(lookup(body, "metadata", "labels", names.KRATIX_GROUP_ID_LABEL)),
        destination=str(lookup(body, "spec", "targetDestinationName")),
        generation=generation if isinstance(generation, int) else None,
        misplaced=lookup(body, "metadata", "labels", names.KRATIX_MISPLACED_LABEL) == "true",
        conditions=conditions(lookup(body, "status", "conditions")),
        version_id=str(lookup(body, "status", "versionID") or ""),
        pipeline=pipeline,
    )


def status_schema(req: fnv1.RunFunctionRequest, xr: Request) -> JsonObject | None:
    """The schema of the XR's status by its XRD; None where that is not known."""
    for definition in listed(req, require.DEFINITION):
        if lookup(definition, "spec", "names", "kind") == xr.kind:
            for version in objects(lookup(definition, "spec", "versions")):
                if version.get("name") == xr.api_version.rpartition("/")[2]:
                    found = lookup(version, "schema", "openAPIV3Schema", "properties", "status")
                    return found if isinstance(found, Mapping) else {}
    return None


def listed(req: fnv1.RunFunctionRequest, key: str) -> list[JsonObject]:
    """All that answers one requirement, by name; empty where that was not asked for."""
    items = req.required_resources[key].items if key in req.required_resources else ()
    return sorted((manifest(item.resource, key) for item in items), key=lambda v: str(lookup(v, "metadata", "name")))


def conditions(value: object) -> Mapping[str, Condition]:
    """An object's conditions, by type; what is none of them is left out."""
    found = {}
    for item in objects(value):
        type_, status = item.get("type"), names.condition_status(item.get("status"))
        if isinstance(type_, str) and status is not None:
            found[type_] = Condition(type_, status, str(item.get("reason", "")), str(item.get("message", "")))
    return found
