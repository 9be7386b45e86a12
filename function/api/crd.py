"""The CustomResourceDefinition of the function's input, generated from its models.

`python -m function.api.crd FOLDER` writes it. It travels in the package, for people, editors and validators to read;
Crossplane never installs it. It says all that a structural schema can (types, fields, enums, defaults, patterns,
lengths); rules over several fields are the models' alone.

A structural schema (Kubernetes, apiextensions-apiserver, schema/validation.go) has neither `$ref` nor a union of types
nor `additionalProperties: false`: unknown fields are pruned because they are not named, and free-form objects say
`x-kubernetes-preserve-unknown-fields`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from function.api.input import PromiseInput
from function.api.names import GROUP, INPUT_API_VERSION, INPUT_KIND

PLURAL: Final = f"{INPUT_KIND.lower()}s"
FILENAME: Final = f"{GROUP}_{PLURAL}.yaml"

_FREE_FORM: Final = "x-kubernetes-preserve-unknown-fields"
_KEPT: Final = frozenset({"type", "description", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems"})
# What every Kubernetes object has. A structural schema may say no more about metadata.
_ROOT: Final = {
    "apiVersion": {"type": "string", "description": f"Always {INPUT_API_VERSION}."},
    "kind": {"type": "string", "description": f"Always {INPUT_KIND}."},
    "metadata": {"type": "object"},
}

_Schema = Mapping[str, Any]


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition as plain values."""
    version = INPUT_API_VERSION.rpartition("/")[2]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["crossplane"],
                "kind": INPUT_KIND,
                "listKind": f"{INPUT_KIND}List",
                "plural": PLURAL,
                "singular": INPUT_KIND.lower(),
            },
            "scope": "Namespaced",
            "versions": [
                {"name": version, "schema": {"openAPIV3Schema": _input_schema()}, "served": True, "storage": True}
            ],
        },
    }


def text() -> str:
    """The CustomResourceDefinition as the file in the package has it."""
    head = "# Generated from function/api/input.py by `make update`. Do not edit.\n"
    return head + yaml.safe_dump(definition(), sort_keys=False, width=120, allow_unicode=True)


def _input_schema() -> dict[str, Any]:
    raw = PromiseInput.model_json_schema(by_alias=True)
    schema = structural(raw, raw.get("$defs", {}))
    properties = {**schema["properties"], **_ROOT}
    required = [name for name in schema["required"] if name not in _ROOT]
    return {**schema, "properties": properties, "required": required}


def structural(schema: _Schema, definitions: Mapping[str, _Schema]) -> dict[str, Any]:
    """One JSON schema of pydantic's as a structural schema.

    Args:
        schema: The schema of a model or a field.
        definitions: What its `$ref`s refer to, by name.
    """
    merged = _resolved(schema, definitions)
    result: dict[str, Any] = {key: value for key, value in merged.items() if key in _KEPT}
    if merged.get("type") == "object" and "minLength" in result:
        # pydantic counts a validated dict's entries as a string's characters.
        result["minProperties"] = result.pop("minLength")
    if merged.get("default") is not None:
        result["default"] = merged["default"]
    if "const" in merged:
        result["enum"] = [merged["const"]]
    if "properties" in merged:
        result["properties"] = {name: structural(field, definitions) for name, field in merged["properties"].items()}
        if "required" in merged:
            result["required"] = list(merged["required"])
    elif isinstance(merged.get("additionalProperties"), Mapping):
        result["additionalProperties"] = structural(merged["additionalProperties"], definitions)
    elif merged.get("type") in ("object", None):
        # A free-form object, or a value of several types.
        result[_FREE_FORM] = True
    if "items" in merged:
        result["items"] = structural(merged["items"], definitions)
    return result


def _resolved(schema: _Schema, definitions: Mapping[str, _Schema]) -> dict[str, Any]:
    """The schema with its reference followed and "or null" taken away: a field that may be null may be left out."""
    # What stands beside a reference or a union (description, default) is about this field and wins.
    own = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
    if "$ref" in schema:
        return {**_resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions), **own}
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        return {**_resolved(choices[0], definitions), **own}
    return own


def main() -> None:
    """Write the CustomResourceDefinition into the folder named on the command line."""
    Path(sys.argv[1], FILENAME).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
