"""What Crossplane keeps of a version's schema, and what a Promise's schema becomes so that nothing is lost unsaid.

Core builds an XR's CRD from parts of the XRD's schema and drops all others without a word (crossplane-runtime,
pkg/xcrd/crd.go: genCrdVersion). It keeps: the root's description and validations; the greatest length of metadata.name;
of spec its description, properties, required fields, validations, oneOf, and whether unknown fields are preserved; of
status the same, but unknown fields are always pruned. Then it puts its own fields over those of the same name.

Each part is kept, said in other words that core keeps, left out with a note, or refused: never dropped in silence
where a request or its status could tell the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.translate.api import Version, mapping, objects
from bridge.translate.status import KRATIX_STATUS
from function.api.errors import InvalidError, join, shorten

_FREE_FORM: Final = "x-kubernetes-preserve-unknown-fields"
_VALIDATIONS: Final = "x-kubernetes-validations"
_ROOT_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_ROOT_KEPT = ("type", "description", "properties", "required", _VALIDATIONS, _FREE_FORM)
_SPEC_KEPT = ("type", "description", "properties", "required", "oneOf", _VALIDATIONS, _FREE_FORM)
_STATUS_KEPT = ("type", "description", "properties")
# Core keeps oneOf alone, and what exactly one of one alternative demands is what that alternative demands.
_AS_ONE_OF = ("anyOf", "allOf", "not")
# For readers; nothing depends on them.
_DOCUMENTATION = ("title", "example", "externalDocs")
# Kratix declares it for every request (promise_controller.go: setStatusFieldsOnCRD), and pipelines write it.
_MESSAGE = {"message": {"type": "string"}}
_STATUS_COLUMN = re.compile(r"\.status\.([A-Za-z_][A-Za-z0-9_]*)")

_Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A version's schema, as an XRD has it.

    Attributes:
        notes: What differs from the Promise's, a sentence each.
    """

    schema: _Schema
    notes: tuple[str, ...]


def kept(version: Version) -> Kept:
    """The schema of a Promise's version for an XRD.

    Raises:
        InvalidError: Crossplane would drop or replace what requests rely on, with the field's path.
    """
    path = f"{version.path}.schema.openAPIV3Schema"
    root = version.schema
    properties = _checked_root(root, path)
    spec, status = (_part(properties, name, f"{path}.properties.{name}") for name in ("spec", "status"))
    if root.get(_FREE_FORM) and "spec" not in properties:
        spec = {_FREE_FORM: True}
    name = _name(properties, f"{path}.properties.metadata")
    rules = _rules(name, f"{path}.properties.metadata.properties.name")
    validations = [*objects(root.get(_VALIDATIONS), join(path, _VALIDATIONS)), *rules]
    schema = {
        "type": "object",
        **({"description": root["description"]} if root.get("description") else {}),
        "required": ["spec"],  # core demands it of every XR
        "properties": {
            **_bounded_name(name),
            "spec": _spec(spec, f"{path}.properties.spec"),
            "status": _status(status, version, f"{path}.properties.status"),
        },
        **({_VALIDATIONS: validations} if validations else {}),
    }
    return Kept(schema, tuple(_notes(root, path)))


def _notes(root: _Schema, path: str) -> Iterator[str]:
    """What is left out; the schema has been checked."""
    properties = root.get("properties") or {}
    if root.get(_FREE_FORM):
        yield f"{path}: fields beside spec and status are not kept, as Crossplane prunes them"
    for field in (properties.get("metadata") or {}).get("properties") or {}:
        if field != "name":
            # A generated name is checked once it is there, as metadata.name.
            yield f"{path}.properties.metadata.{field}: is left out, as Crossplane keeps rules for metadata.name alone"
    if "default" in (properties.get("spec") or {}):
        yield f"{path}.properties.spec.default: is left out, as Crossplane demands a spec of every XR"
    for field in properties.get("status") or {}:
        if field not in (*_STATUS_KEPT, *_DOCUMENTATION):
            # Kratix replaces the whole of status by a free-form object, so none of these ever held a pipeline back.
            yield f"{path}.properties.status.{field}: is left out, and status keeps declared fields alone"


def _checked_root(root: _Schema, path: str) -> _Schema:
    for field in root:
        if field not in (*_ROOT_KEPT, *_DOCUMENTATION):
            raise InvalidError(join(path, field), "is dropped by Crossplane, which keeps validations of spec and below")
    properties = mapping(root.get("properties") or {}, f"{path}.properties")
    for field in properties:
        if field not in _ROOT_FIELDS:
            cause = "is not kept: an XR has spec and status, so put it into spec"
            raise InvalidError(f"{path}.properties.{field}", cause)
    return properties


def _part(properties: _Schema, name: str, path: str) -> _Schema:
    part = mapping(properties.get(name) or {}, path)
    if part.get("type", "object") != "object":
        raise InvalidError(f"{path}.type", f"must be object, not {shorten(str(part['type']))}")
    return part


def _name(properties: _Schema, path: str) -> _Schema:
    metadata = mapping(properties.get("metadata") or {}, path)
    of_metadata = mapping(metadata.get("properties") or {}, f"{path}.properties")
    return mapping(of_metadata.get("name") or {}, f"{path}.properties.name")


def _bounded_name(name: _Schema) -> dict[str, Any]:
    """The one rule for a name that core keeps as it is."""
    if "maxLength" not in name:
        return {}
    bounded = {"type": "string", "maxLength": name["maxLength"]}
    return {"metadata": {"type": "object", "properties": {"name": bounded}}}


def _rules(name: _Schema, path: str) -> Iterator[Mapping[str, str]]:
    """What core drops of the rules for a name, in CEL, which it keeps."""
    for field, value in name.items():
        if field == "pattern":
            rule, message = f"self.metadata.name.matches({_quoted(value)})", f"must match {value}"
        elif field == "minLength":
            rule, message = f"size(self.metadata.name) >= {value}", f"must have at least {value} characters"
        elif field == "enum":
            rule, message = f"self.metadata.name in {_quoted(value)}", f"must be one of {', '.join(map(str, value))}"
        elif field in ("type", "maxLength", "description", *_DOCUMENTATION):
            continue
        else:
            raise InvalidError(
                join(path, field), "is dropped by Crossplane; say it as a rule of the root's validations"
            )
        yield {"rule": rule, "message": f"metadata.name {message}"}


def _quoted(value: object) -> str:
    """A string or a list of strings in CEL, whose quoting is JSON's."""
    return json.dumps(value, ensure_ascii=False)


def _spec(spec: _Schema, path: str) -> dict[str, Any]:
    if "crossplane" in mapping(spec.get("properties") or {}, f"{path}.properties"):
        cause = "is Crossplane's own field of every XR; call it something else"
        raise InvalidError(f"{path}.properties.crossplane", cause)
    for field in spec:
        if field not in (*_SPEC_KEPT, *_AS_ONE_OF, *_DOCUMENTATION, "default"):
            raise InvalidError(
                join(path, field), "is dropped by Crossplane from an XR's spec; say it of a field below it"
            )
    found = {"type": "object", **{field: spec[field] for field in _SPEC_KEPT if field in spec}}
    if any(field in spec for field in _AS_ONE_OF):
        found["oneOf"] = [{field: spec[field] for field in (*_AS_ONE_OF, "oneOf") if field in spec}]
    return found


def _status(status: _Schema, version: Version, path: str) -> dict[str, Any]:
    properties = mapping(status.get("properties") or {}, f"{path}.properties")
    if "kratix" in properties:
        cause = "is where function-kratix writes placements and progress; call it something else"
        raise InvalidError(f"{path}.properties.kratix", cause)
    if "conditions" in properties:
        where = f"{path}.properties.conditions"
        if mapping(properties["conditions"], where).get("type") != "array":
            raise InvalidError(where, "is Crossplane's own list of conditions; call it something else")
    declared = {field: schema for field, schema in properties.items() if field != "conditions"}
    return {
        "type": "object",
        **({"description": status["description"]} if status.get("description") else {}),
        "properties": {**_MESSAGE, **_shown(version), **declared, "kratix": KRATIX_STATUS},
    }


def _shown(version: Version) -> dict[str, Any]:
    """Status fields that a printer column shows: pipelines write them, and undeclared they would be pruned."""
    found = {}
    for column in objects(version.body.get("additionalPrinterColumns"), f"{version.path}.additionalPrinterColumns"):
        match = _STATUS_COLUMN.match(str(path_of(column)))
        if match and match[1] not in ("conditions", "kratix", *_MESSAGE):
            found[match[1]] = {_FREE_FORM: True}
    return found


def path_of(column: _Schema) -> object:
    """A printer column's jsonPath.

    Go reads field names in any case, and Promises in Kratix's marketplace write JSONPath, as v1beta1 had it.
    """
    return next((value for field, value in column.items() if field.lower() == "jsonpath"), None)
