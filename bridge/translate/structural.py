"""What the API server asks of a CRD's schema and an XRD's author may not know of: the mistakes that are made.

An XRD's schema is free-form to the API server, so they show late and elsewhere: as an XRD that is never established, or
as a Promise that Kratix's webhook refuses without a word of the file. The API server still judges the whole
(apiextensions-apiserver, pkg/apiserver/schema/validation.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from function.api.errors import InvalidError, join, shorten

_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_FREE_FORM: Final = "x-kubernetes-preserve-unknown-fields"
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
# Deeper than that no API server takes a schema: it would be larger than an object may be.
_DEEPEST: Final = 64


def check(schema: Mapping[str, Any], path: str) -> None:
    """Refuse what no API server would serve.

    Args:
        schema: Of spec or status, which are objects also where they do not say so.

    Raises:
        InvalidError: With the path of the field.
    """
    _check(schema, path, 0)


def _check(schema: object, path: str, depth: int) -> None:
    if not isinstance(schema, Mapping):
        raise InvalidError(path, "must be an object")
    if depth > _DEEPEST:
        raise InvalidError(path, f"is nested deeper than {_DEEPEST} levels")
    _check_type(schema, path, depth)
    properties, rest = schema.get("properties"), schema.get("additionalProperties")
    if properties is not None and not isinstance(properties, Mapping):
        raise InvalidError(f"{path}.properties", "must be an object")
    if properties and rest is not None:
        raise InvalidError(f"{path}.additionalProperties", "must not be there where properties are")
    for name, child in (properties or {}).items():
        _check(child, join(f"{path}.properties", name), depth + 1)
    if isinstance(rest, Mapping):
        _check(rest, f"{path}.additionalProperties", depth + 1)
    if "items" in schema:
        _check(schema["items"], f"{path}.items", depth + 1)


def _check_type(schema: Mapping[str, Any], path: str, depth: int) -> None:
    type_ = schema.get("type")
    if schema.get(_INT_OR_STRING) is True:
        if type_:
            raise InvalidError(f"{path}.type", f"must not be there beside {_INT_OR_STRING}, which says it")
        return
    if not type_:
        if depth > 0 and not schema.get(_FREE_FORM):
            raise InvalidError(f"{path}.type", f"is required, or {_INT_OR_STRING}, or {_FREE_FORM}")
        return
    if type_ not in _TYPES:
        raise InvalidError(f"{path}.type", f"must be one of {', '.join(_TYPES)}, not {shorten(str(type_))}")
    if type_ == "array" and "items" not in schema:
        raise InvalidError(f"{path}.items", "is required of an array")
