"""XRs against their XRD's schema, as an API server would: defaults first, then every field.

Unknown fields are errors here; an API server would prune them without a word. `x-kubernetes-validations` (CEL) are not
evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jsonschema

from bridge.known import guess
from function.api.errors import InvalidError, field_path, join, shorten

_JSON_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
# What Crossplane adds to every XR's spec: its own field since version 2, these before.
_RESERVED = (
    "claimRef",
    "compositionRef",
    "compositionRevisionRef",
    "compositionRevisionSelector",
    "compositionSelector",
    "compositionUpdatePolicy",
    "crossplane",
    "publishConnectionDetailsTo",
    "resourceRefs",
    "writeConnectionSecretToRef",
)


def complete(xr: Mapping[str, Any], xrd: Mapping[str, Any]) -> Mapping[str, Any]:
    """The XR with the defaults of its XRD.

    Raises:
        InvalidError: The version is not served, or a field is not what the schema says, with the field's path.
    """
    version = str(xr["apiVersion"]).rpartition("/")[2]
    versions = {v["name"]: v for v in xrd["spec"]["versions"] if v["served"]}
    if version not in versions:
        raise InvalidError("apiVersion", f"the XRD serves {', '.join(sorted(versions)) or 'no version'}, not {version}")
    schema = (versions[version].get("schema") or {}).get("openAPIV3Schema") or {}
    schema = {**schema, "properties": {k: v for k, v in (schema.get("properties") or {}).items() if k == "spec"}}
    own = {field: xr[field] for field in xr if field not in ("apiVersion", "kind", "metadata", "status")}
    given = _defaulted(own, schema)
    _check_known(given, schema, "")
    _validate(given, schema)
    return {**xr, **given}


def _defaulted(value: Any, schema: Mapping[str, Any]) -> Any:
    """Defaults are set where a field is missing, or null and not nullable (as structural schemas are defaulted)."""
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_defaulted(item, schema["items"]) for item in value]
    if not isinstance(value, Mapping):
        return value
    filled = dict(value)
    properties = schema.get("properties") or {}
    for name, child in properties.items():
        missing = name not in filled or (filled[name] is None and not child.get("nullable"))
        if missing and "default" in child:
            filled[name] = child["default"]
    rest = schema.get("additionalProperties")
    for name, item in filled.items():
        child = properties.get(name, rest)
        if isinstance(child, Mapping):
            filled[name] = _defaulted(item, child)
    return filled


def _check_known(value: Any, schema: Mapping[str, Any], path: str) -> None:
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for i, item in enumerate(value):
            _check_known(item, schema["items"], f"{path}[{i}]")
    if not isinstance(value, Mapping) or schema.get("x-kubernetes-embedded-resource"):
        return
    properties = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    known = {*properties, *(_RESERVED if path == "spec" else ())}
    open_ = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or rest is True
    for name, item in value.items():
        child = properties.get(name, rest)
        if isinstance(child, Mapping):
            _check_known(item, child, join(path, name))
        elif name not in known and not open_:
            raise InvalidError(join(path, name), f"unknown field{guess(name, known)}")


def _validate(value: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    try:
        errors = jsonschema.Draft4Validator(_draft4(schema)).iter_errors(
            value
        )  # OpenAPI 3.0: exclusiveMinimum is a bool
        first = min(errors, key=lambda error: [str(part) for part in error.absolute_path], default=None)
    except (jsonschema.SchemaError, jsonschema.exceptions.UnknownType, re.error) as error:
        why = shorten(str(error).partition("\n")[0])
        raise InvalidError("spec", f"cannot be checked, since the XRD's schema is broken: {why}") from None
    if first is not None:
        raise InvalidError(field_path(first.absolute_path), _cause(first))


def _cause(error: jsonschema.ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "required":
        missing = [name for name in wanted if name not in error.instance] if isinstance(error.instance, Mapping) else []
        return f"lacks the required field{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    if error.validator == "enum":
        return f"must be one of {', '.join(map(str, wanted))}, not {shorten(repr(error.instance))}"
    if error.validator == "type":
        words = [
            _JSON_TYPES.get(str(type_), str(type_)) for type_ in (wanted if isinstance(wanted, list) else [wanted])
        ]
        return f"must be {' or '.join(words)}, not {shorten(repr(error.instance))}"
    return shorten(error.message, 160)


def _draft4(schema: Any) -> Any:
    """An OpenAPI schema as JSON Schema: what Kubernetes adds to the one is said in the other's words."""
    if isinstance(schema, list):
        return [_draft4(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {
        key: _mapped(value)
        if key == "properties"
        else value
        if key in ("enum", "default", "required")
        else _draft4(value)
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key not in ("format", "nullable", "default", "example")
    }
    if schema.get("x-kubernetes-int-or-string"):
        found["type"] = ["integer", "string"]
    if schema.get("nullable"):
        if "type" in found:
            found["type"] = [*(found["type"] if isinstance(found["type"], list) else [found["type"]]), "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    return found


def _mapped(properties: Any) -> Any:
    return (
        {name: _draft4(child) for name, child in properties.items()} if isinstance(properties, Mapping) else properties
    )
