"""Whether an XRD may replace another while XRs exist: whatever was valid stays valid, and no field is dropped.

Core updates the CRD whatever the new schema says, and the API server then refuses every change of an XR that no longer
fits, Crossplane's own updates of its status among them, and drops fields that are no longer declared. Nothing that is
not proved harmless passes: a pattern that differs is taken for a narrower one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from function.api.errors import shorten
from function.api.names import LABEL_LIMIT

_FREE_FORM: Final = "x-kubernetes-preserve-unknown-fields"
_VALIDATIONS: Final = "x-kubernetes-validations"
_ANY: Final = frozenset({"array", "boolean", "integer", "number", "object", "string"})
_NUMBERS: Final = frozenset({"integer", "number"})
# Of which types each bound is, by the direction in which it narrows.
_BOUNDS: Final = (
    ("minimum", 1, _NUMBERS),
    ("maximum", -1, _NUMBERS),
    ("minLength", 1, frozenset({"string"})),
    ("maxLength", -1, frozenset({"string"})),
    ("minItems", 1, frozenset({"array"})),
    ("maxItems", -1, frozenset({"array"})),
    ("minProperties", 1, frozenset({"object"})),
    ("maxProperties", -1, frozenset({"object"})),
)
_EXCLUSIVE: Final = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
# Fields of which any other value than before may refuse more.
_OPAQUE: Final = (
    ("pattern", frozenset({"string"})),
    ("format", _NUMBERS | {"string"}),
    ("uniqueItems", frozenset({"array"})),
    ("x-kubernetes-list-type", frozenset({"array"})),
    ("x-kubernetes-list-map-keys", frozenset({"array"})),
    ("x-kubernetes-map-type", frozenset({"object"})),
    ("x-kubernetes-embedded-resource", frozenset({"object"})),
    ("allOf", _ANY),
    ("anyOf", _ANY),
    ("oneOf", _ANY),
    ("not", _ANY),
)
# What may refuse an object for a field that a default adds to it.
_JUDGING: Final = (_VALIDATIONS, "maxProperties", "allOf", "anyOf", "oneOf", "not")
# What says the same as nothing.
_NEUTRAL: Final = (None, False, "atomic", "granular")

_Schema = Mapping[str, Any]


def breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Why XRs of one XRD might not do under another, a sentence each; none where they do.

    Args:
        old: The XRD that is there.
        new: The one that would replace it.
    """
    return tuple(dict.fromkeys((*fixed(old, new), *_reasons(old["spec"], new["spec"]))))


def fixed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What of an XRD cannot be changed at all: the API server refuses it (xrd_types.go), with XRs or without."""
    before, after = ({**each["spec"], "scope": each["spec"].get("scope", "Namespaced")} for each in (old, new))
    values = [(field, before[field], after[field]) for field in ("group", "scope")]
    names = sorted(before["names"].keys() | after["names"].keys())
    values += [(f"names.{field}", before["names"].get(field), after["names"].get(field)) for field in names]
    for path, value, other in values:
        if value != other:
            yield f"{path}: cannot change from {_shown(value)} to {_shown(other)}"


def _reasons(old: _Schema, new: _Schema) -> Iterator[str]:
    versions = {version["name"]: version for version in new["versions"]}
    for version in old["versions"]:
        name, other = version["name"], versions.get(version["name"])
        if other is None:
            # Until every XR is written anew the API server needs the versions that were stored.
            how = "stored" if version["referenceable"] else "served"
            yield f"{name}: the version would be gone, and XRs are {how} in it"
            continue
        if version["served"] and not other["served"]:
            yield f"{name}: the version would no longer be served"
        yield from _roots(version, other, name)
    for stored in _stored(old):
        for other in _stored(new):
            if stored["name"] != other["name"]:
                # Versions are converted by no webhook: what is stored is read as the other version as it is.
                yield from _roots(stored, other, f"{stored['name']} read as {other['name']}")


def _stored(spec: _Schema) -> list[_Schema]:
    """The version that is stored; none in an XRD that core cannot serve."""
    return [version for version in spec["versions"] if version["referenceable"]]


def _roots(old: _Schema, new: _Schema, name: str) -> Iterator[str]:
    before, after = (_whole(version) for version in (old, new))
    properties = after["properties"]
    status, declared = properties["status"], before["properties"]["status"].get("properties", {})
    # A status is written anew, so a field that is gone from it loses nothing; one that is left has to be as it was.
    # What is below status.kratix the function writes, and nobody else.
    kept = {**declared, **status.get("properties", {}), "kratix": declared.get("kratix", {_FREE_FORM: True})}
    after = {**after, "properties": {**properties, "status": {**status, "properties": kept}}}
    for reason in _narrowed(before, after, ""):
        yield f"{name} {reason}"


def _whole(version: _Schema) -> dict[str, Any]:
    """A version's schema with what core adds to each: a name is a label's value (xcrd/crd.go: genCrdVersion)."""
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    properties = schema.get("properties") or {}
    name = ((properties.get("metadata") or {}).get("properties") or {}).get("name") or {}
    longest = min(name.get("maxLength", LABEL_LIMIT), LABEL_LIMIT)
    metadata = {"type": "object", "properties": {"name": {"type": "string", "maxLength": longest}}}
    objects = {part: {"type": "object", **(properties.get(part) or {})} for part in ("spec", "status")}
    return {**schema, "type": "object", "required": ["spec"], "properties": {**objects, "metadata": metadata}}


def _narrowed(old: _Schema, new: _Schema, path: str, judge: str = "") -> Iterator[str]:
    """Why a value of the old schema might not do under the new one.

    Args:
        judge: The nearest object around it whose rules see its fields.
    """
    if new.get(_FREE_FORM) and new.keys() <= {_FREE_FORM, "description"}:
        return
    types = _types(old)
    if not types <= _types(new):
        yield f"{path or 'root'}: was {_said(old)}, and would have to be {_said(new)}"
        return
    said = (*_values(old, new), *_bounds(old, new, types), *_opaque(old, new, types), *_rules(old, new))
    yield from (f"{path or 'root'}: {reason}" for reason in said)
    judge = path or "root" if any(new.get(field) for field in _JUDGING) else judge
    if "array" in types and isinstance(new.get("items"), Mapping):
        yield from _narrowed(old.get("items") or {_FREE_FORM: True}, new["items"], f"{path}[]", judge)
    if "object" in types:
        yield from _required(old, new, path)
        yield from _fields(old, new, path, judge)


def _types(schema: _Schema) -> frozenset[str]:
    """Which types a value may have."""
    if schema.get("x-kubernetes-int-or-string"):
        return frozenset({"integer", "string"})
    type_ = schema.get("type")
    if not type_:
        return _ANY
    return _NUMBERS if type_ == "number" else frozenset({type_})


def _said(schema: _Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    return str(schema.get("type") or "anything")


def _values(old: _Schema, new: _Schema) -> Iterator[str]:
    if old.get("nullable") and not new.get("nullable"):
        yield "could be null, and would no longer be"
    if not new.get("enum"):
        return
    left = ", ".join(map(_shown, new["enum"]))
    if not old.get("enum"):
        yield f"would take {shorten(left)} alone"
    gone = [value for value in old.get("enum") or () if value not in new["enum"]]
    if gone:
        yield f"would no longer take {', '.join(map(_shown, gone))}"


def _bounds(old: _Schema, new: _Schema, types: frozenset[str]) -> Iterator[str]:
    for field, sign, of in _BOUNDS:
        if field not in new or not types & of:
            continue
        # No length and no number of items is below 0.
        before = old.get(field, 0 if sign > 0 and field != "minimum" else None)
        exclusive = _EXCLUSIVE.get(field, "")
        if before is None:
            yield f"would get the {field} {_shown(new[field])}"
        elif (sign * new[field], bool(new.get(exclusive))) > (sign * before, bool(old.get(exclusive))):
            yield f"its {field} would go from {_shown(before)} to {_shown(new[field])}{_alone(new, exclusive)}"
    step, before = new.get("multipleOf"), old.get("multipleOf")
    if step and types & _NUMBERS and (not before or before % step):
        yield f"would have to be a multiple of {_shown(step)}"


def _alone(new: _Schema, exclusive: str) -> str:
    return " exclusively" if new.get(exclusive) else ""


def _opaque(old: _Schema, new: _Schema, types: frozenset[str]) -> Iterator[str]:
    for field, of in _OPAQUE:
        value = new.get(field)
        if value in _NEUTRAL or not types & of or value == old.get(field):
            continue
        before = "not there before" if field not in old else f"not {_shown(old[field])}"
        yield f"would have the {field} {_shown(value)}, {before}"


def _rules(old: _Schema, new: _Schema) -> Iterator[str]:
    known = {rule.get("rule") for rule in old.get(_VALIDATIONS) or ()}
    for rule in new.get(_VALIDATIONS) or ():
        # A rule over oldSelf judges a change, not what is stored, unless it says that it judges both.
        if rule.get("rule") not in known and ("oldSelf" not in str(rule.get("rule")) or rule.get("optionalOldSelf")):
            yield f"would have the rule {shorten(str(rule.get('rule')))}, not there before"


def _required(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    before, after = (schema.get("properties") or {} for schema in (old, new))
    for field in new.get("required") or ():
        if "default" in (after.get(field) or {}):
            continue
        if field not in (old.get("required") or ()):
            yield f"{_join(path, field)}: would be required, and an XR need not have it"
        elif "default" in (before.get(field) or {}):
            yield f"{_join(path, field)}: is required and would lose its default, so an XR need not have it"


def _fields(old: _Schema, new: _Schema, path: str, judge: str) -> Iterator[str]:
    before, after = (schema.get("properties") or {} for schema in (old, new))
    rest, next_rest = _rest(old), _rest(new)
    for field, schema in before.items():
        other = after.get(field, next_rest)
        if other is None:
            yield f"{_join(path, field)}: would be gone, and its values with it"
        else:
            yield from _narrowed(schema, other, _join(path, field), judge)
    for field, schema in after.items():
        if judge and "default" in schema and "default" not in before.get(field, {}):
            yield f"{_join(path, field)}: would get a default, which the rules of {judge} might refuse"
        if field not in before and rest is not None:
            yield from _narrowed(rest, schema, _join(path, field), judge)
    if rest is not None and next_rest is None:
        yield f"{path or 'root'}: could have other fields than those declared, which would be dropped"
    elif rest is not None and next_rest is not None:
        yield from _narrowed(rest, next_rest, _join(path, "*"), judge)


def _rest(schema: _Schema) -> _Schema | None:
    """What a field may hold that is not declared; None where it is dropped."""
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        return others
    if others or schema.get(_FREE_FORM) or schema.get("x-kubernetes-embedded-resource"):
        return {_FREE_FORM: True}
    return None


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _shown(value: object) -> str:
    return shorten(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
