"""What of a Kubernetes object comes in: all of it but the notes of who wrote which field, unless these are needed."""

from __future__ import annotations

from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from delivering import delivered
from google.protobuf import struct_pb2

import build
from function import structs
from function.fn import run

NOTED = [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:size": {}}}}]


def struct(body: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    structs.fill(made, body)
    return made


def test_a_manifest_has_all_but_its_field_managers() -> None:
    metadata = {"name": "a", "labels": {"managedFields": "a label"}, "generation": 3}
    body = {
        "kind": "Thing",
        "metadata": metadata,
        "spec": {"managedFields": NOTED, "metadata": {"managedFields": NOTED}},
        "managedFields": NOTED,
    }
    noted = {**body, "metadata": {**metadata, "managedFields": NOTED}}
    assert structs.manifest(struct(noted), "it") == body
    assert structs.plain(struct(noted), "it") == noted


@pytest.mark.parametrize("metadata", [None, "a", 3, [{"managedFields": 1}], {}])
def test_a_manifest_whose_metadata_is_no_object_is_as_it_is(metadata: Any) -> None:
    body = {"kind": "Thing", "metadata": metadata}
    assert structs.manifest(struct(body), "it") == body
    assert structs.manifest(struct({}), "it") == {}


@pytest.mark.parametrize("where", ["request", "context.budget"])
def test_expressions_see_no_field_managers(where: str) -> None:
    source = f"has({where}.metadata.name) && !has({where}.metadata.managedFields)"
    req = delivered("Work")
    structs.fill(req.input, {"checks": [{"name": "unseen", "expression": source}]})
    for noted in (req.observed.composite, req.required_resources["kratix/context/budget"].items[0]):
        _note(noted.resource, NOTED)
    assert build.conditions(run(req))["ChecksPassed"] == ("True", "Passed")


def test_what_is_composed_as_itself_is_held_by_its_field_managers() -> None:
    req = delivered("Composed")
    (key,) = req.observed.resources
    there = req.observed.resources[key].resource
    there.fields["data"].struct_value.fields["theirs"].string_value = "written by another"
    _note(there, [{**NOTED[0], "manager": "apiextensions.crossplane.io/composed/1", "operation": "Apply"}])
    fields = there.fields["metadata"].struct_value.fields["managedFields"].list_value.values[0].struct_value
    structs.fill(fields, {"fieldsV1": {"f:data": {"f:env": {}}}})
    assert build.composed(run(_unanswered(req)))[key]["data"] == {"env": "env dev"}


def _note(there: struct_pb2.Struct, entries: list[dict[str, Any]]) -> None:
    structs.fill(there.fields["metadata"].struct_value, {"managedFields": entries})


def _unanswered(req: fnv1.RunFunctionRequest) -> fnv1.RunFunctionRequest:
    """The first call of the next reconcile, whose answer holds what is there."""
    req.required_resources.clear()
    return req
