"""The Crossplane package: its metadata, and the input's CRD against the models it is generated from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from function.api import crd
from function.api.input import parse

PACKAGE = Path(__file__).resolve().parents[1] / "package"
FREE_FORM = "x-kubernetes-preserve-unknown-fields"
# What a structural schema may say in this CRD; not among it: $ref, unions of types, patternProperties, uniqueItems,
# readOnly and whatever else apiextensions-apiserver refuses or ignores.
WORDS = {
    *("type", "description", "default", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems"),
    *("minProperties", "properties", "required", "additionalProperties", "items", FREE_FORM),
    *("format", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
TYPES = {"object", "array", "string", "integer", "number", "boolean"}

Schema = Mapping[str, Any]


def unstructural(schema: Schema, path: str = "") -> Iterator[str]:
    """What Kubernetes would refuse (apiextensions-apiserver, schema/validation.go), with its path."""
    for word in sorted(set(schema) - WORDS):
        yield f"{path}: {word} is not for a structural schema"
    if schema.get("type") not in TYPES and not schema.get(FREE_FORM):
        yield f"{path}: needs a type, or {FREE_FORM}"
    if schema.get("type") == "array" and not isinstance(schema.get("items"), Mapping):
        yield f"{path}: an array needs one schema for its items"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: properties and additionalProperties exclude each other"
    yield from _inconsistent(schema, path)
    for name, field in schema.get("properties", {}).items():
        yield from unstructural(field, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), Mapping):
            yield from unstructural(schema[word], f"{path}[{word}]")
        elif word in schema:
            yield f"{path}: {word} must be a schema"


def _inconsistent(schema: Schema, path: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            yield f"{path}.{name}: required but not a property"
    if "enum" in schema and "default" in schema and schema["default"] not in schema["enum"]:
        yield f"{path}: the default is none of the enum"


@dataclass(frozen=True)
class Case:
    reason: str
    schema: Schema
    mistakes: list[str]


CASES = {
    "fine": Case(
        reason="a typed object with a free-form field is structural",
        schema={"type": "object", "properties": {"a": {"type": "object", FREE_FORM: True}}, "required": ["a"]},
        mistakes=[],
    ),
    "reference": Case(
        reason="references are not resolved by the API server",
        schema={"$ref": "#/$defs/A", "type": "object"},
        mistakes=[": $ref is not for a structural schema"],
    ),
    "untyped": Case(
        reason="each field has one type",
        schema={"type": "object", "properties": {"a": {"description": "any"}}},
        mistakes=[f".a: needs a type, or {FREE_FORM}"],
    ),
    "closed": Case(
        reason="an object is closed by naming its fields",
        schema={"type": "object", "additionalProperties": False},
        mistakes=[": additionalProperties must be a schema"],
    ),
    "default outside the enum": Case(
        reason="a default is validated when the CRD is applied",
        schema={"type": "string", "enum": ["A"], "default": "B"},
        mistakes=[": the default is none of the enum"],
    ),
    "required but unknown": Case(
        reason="a field that is always pruned can never be there",
        schema={"type": "object", "properties": {}, "required": ["a"]},
        mistakes=[".a: required but not a property"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_check_for_structural_schemas(case: Case):
    assert list(unstructural(case.schema)) == case.mistakes, case.reason


def input_schema() -> Schema:
    return crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_the_file_is_what_the_models_say():
    written = (PACKAGE / "input" / crd.FILENAME).read_text(encoding="utf-8")
    assert written == crd.text(), "function/api/input.py changed: run `make update`"


def test_only_one_file_is_in_the_input_folder():
    assert [path.name for path in (PACKAGE / "input").iterdir()] == [crd.FILENAME], "xpkg build packs whatever is there"


def test_the_schema_is_structural():
    assert list(unstructural(input_schema())) == []


def test_the_root_restricts_nothing_of_kubernetes_own():
    assert input_schema()["properties"]["metadata"] == {"type": "object"}, (
        "only name and generateName may be restricted"
    )


def test_every_field_is_described():
    def undescribed(schema: Schema, path: str) -> Iterator[str]:
        for name, field in schema.get("properties", {}).items():
            if not field.get("description") and path + name != "metadata":
                yield path + name
            yield from undescribed(field, f"{path}{name}.")
            yield from undescribed(field.get("items", {}), f"{path}{name}[].")

    assert list(undescribed(input_schema(), "")) == [], (
        "the CRD is the reference that `kubectl explain` and editors show"
    )


def test_defaults_are_the_models_own():
    promise = {
        "apiVersion": "kratix.fn.crossplane.io/v1beta1",
        "kind": "PromiseInput",
        "promise": {"ref": {"name": "p"}},
    }
    schema = input_schema()["properties"]
    written_out = {
        **promise,
        "workflow": {"pipelines": schema["workflow"]["properties"]["pipelines"]["default"]},
        "schedule": _defaults(schema["schedule"]),
        "deliver": _defaults(schema["deliver"]),
        "ttl": schema["ttl"]["default"],
    }
    assert parse(written_out) == parse(promise), "leaving a field out and writing its default out are the same"


def _defaults(schema: Schema) -> dict[str, Any]:
    return {name: field["default"] for name, field in schema["properties"].items() if "default" in field}


def metadata() -> Mapping[str, Any]:
    return yaml.safe_load((PACKAGE / "crossplane.yaml").read_text(encoding="utf-8"))


def test_the_package_is_a_function():
    document = metadata()
    assert (document["apiVersion"], document["kind"]) == ("meta.pkg.crossplane.io/v1", "Function")
    assert document["metadata"]["name"] == "function-kratix"


def test_the_package_says_what_it_can_and_needs():
    spec = metadata()["spec"]
    assert "composition" in spec["capabilities"], "a list without it makes the revision MissingCapabilities"
    assert spec["crossplane"]["version"] == ">=v2.0.0-0", (
        "requirements are read from required_resources, which 2.0 brought"
    )


def test_annotations_are_text():
    annotations = metadata()["metadata"]["annotations"]
    assert {"meta.crossplane.io/" + key for key in ("maintainer", "license", "description", "readme")} <= set(
        annotations
    )
    assert all(isinstance(text, str) and text.strip() for text in annotations.values())
