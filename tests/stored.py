"""Objects as an API server hands them to Crossplane: with what it notes itself, which is most of what an XR holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf import struct_pb2

from function import structs
from function.api import names

_WHEN = "2026-11-24T08:00:00Z"


def as_stored(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionRequest:
    """A request of the simulated core, as the real one makes it: what is in it has `managedFields`.

    But for the inventory: 5,000 Destinations would be 7.5 MB with them, and other functions take 4 MB.
    """
    made = fnv1.RunFunctionRequest()
    made.CopyFrom(req)
    _note(made.observed.composite.resource, ("kubectl", "apiextensions.crossplane.io/composite", "crossplane-core"))
    for resource in made.observed.resources.values():
        _note(resource.resource, ("apiextensions.crossplane.io/composed/b1d52553099750e9e8893bf888cfded5",))
    for key, found in made.required_resources.items():
        for item in found.items if key != names.REQUIRED_DESTINATIONS else ():
            _note(item.resource, ("kubectl", "kratix-manager"))
    return made


def _note(struct: struct_pb2.Struct, managers: tuple[str, ...]) -> None:
    body = structs.plain(struct, "an object")
    noted = {"creationTimestamp": _WHEN, "resourceVersion": "6648", "uid": "057df0ed-2da9-40fb-afe7-f0b61323e400"}
    entries = list(_entries(body, managers))
    metadata = {**noted, **body["metadata"], "managedFields": entries}
    structs.fill(struct, {"metadata": metadata})


def _entries(body: Mapping[str, Any], managers: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Of the first manager what was asked for; of the others the status, which core both applies and updates."""
    metadata = {field: body["metadata"][field] for field in ("labels", "annotations") if field in body["metadata"]}
    asked = {field: body[field] for field in body if field not in ("apiVersion", "kind", "metadata", "status")}
    yield _entry(body, managers[0], _fields({"metadata": metadata, **asked}))
    for manager in managers[1:] if "status" in body else ():
        yield {**_entry(body, manager, {"f:status": _fields(body["status"])}), "subresource": "status"}


def _entry(body: Mapping[str, Any], manager: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"apiVersion": body["apiVersion"], "fieldsType": "FieldsV1", "manager": manager, "operation": "Apply"}
    return {**entry, "time": _WHEN, "fieldsV1": fields}


def _fields(value: Any) -> dict[str, Any]:
    """The field set of a value (KEP-555): of lists only conditions have keys, all others are one field."""
    if isinstance(value, Mapping):
        return {f"f:{key}": _conditions(value[key]) if key == "conditions" else _fields(value[key]) for key in value}
    return {}


def _conditions(listed: Any) -> dict[str, Any]:
    keys = [json.dumps({"type": each["type"]}, separators=(",", ":")) for each in listed]
    return {f"k:{key}": {".": {}, **_fields(each)} for key, each in zip(keys, listed, strict=True)}
