"""What Crossplane applied of an object that is there, by the field managers that the API server notes in it.

Server-side apply makes whoever applies a field its owner, so an object that others write to as well, as an autoscaler
does, must not be applied again as it was observed: only what of it is Crossplane's (KEP-555: fieldsV1).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from function.model import JsonObject, lookup, objects

# Of composed resources; behind it is a digest of the XR (composition_functions.go: ComposedFieldOwnerName).
_MANAGER = "apiextensions.crossplane.io/composed"
# Crossplane sets the one anew; the other it looks at in an object without a name alone.
_CROSSPLANES = ("ownerReferences", "generateName")
_SERVERS = ("creationTimestamp", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def of(observed: JsonObject) -> dict[str, Any]:
    """An object as Crossplane applied it last, to be applied again without taking a field over from others.

    Where no field manager is noted, as in what a file holds, that is all but the status and what only a server sets.
    """
    if _noted(observed):
        fields: dict[str, Any] = {}
        for applied in _applied(observed):
            fields = _both(fields, applied)
        made = _owned(observed, fields) if fields else {}
    else:
        made = dict(observed)
    metadata = made.get("metadata") or {}
    kept = {field: value for field, value in metadata.items() if field not in (*_CROSSPLANES, *_SERVERS)}
    named = {field: value for field in ("name", "namespace") if (value := lookup(observed, "metadata", field))}
    made = {field: value for field, value in made.items() if field not in ("metadata", "status")}
    return {"apiVersion": observed.get("apiVersion"), "kind": observed.get("kind"), **made, "metadata": kept | named}


def is_known(observed: JsonObject) -> bool:
    """Whether an API server has noted what Crossplane applied of an object."""
    return any(True for _ in _applied(observed))


def _applied(observed: JsonObject) -> Iterator[Mapping[str, Any]]:
    for entry in _noted(observed):
        fields = entry.get("fieldsV1")
        crossplanes = str(entry["manager"]).startswith(_MANAGER) and entry.get("operation") == "Apply"
        if crossplanes and isinstance(fields, Mapping):
            yield fields


def _noted(observed: JsonObject) -> list[Mapping[str, Any]]:
    return [entry for entry in objects(lookup(observed, "metadata", "managedFields")) if entry.get("manager")]


def _both(one: Mapping[str, Any], other: object) -> dict[str, Any]:
    """The fields of two managers, as the hand-over of an object from one XR to another leaves them."""
    found = dict(one)
    for step, fields in other.items() if isinstance(other, Mapping) else ():
        found[step] = _both(found[step], fields) if isinstance(found.get(step), Mapping) else fields
    return found


def _owned(value: Any, fields: object) -> Any:
    """What of a value is owned: all of it where no step into it is."""
    if not isinstance(fields, Mapping) or not fields:
        return value
    if isinstance(value, Mapping):
        own = {step.removeprefix("f:"): inner for step, inner in fields.items() if step.startswith("f:")}
        return {field: _owned(value[field], inner) for field, inner in own.items() if field in value}
    if isinstance(value, list):
        return list(_items(value, fields))
    return value


def _items(value: list[Any], fields: Mapping[str, Any]) -> Iterator[Any]:
    """The items of a list that are owned, in its order: by their keys, or by what they are."""
    owned, by = {}, set()
    for step, inner in fields.items():
        what = _read(step[2:]) if step.startswith(("k:", "v:")) else None
        owned[step[:2] + _text(what)] = inner
        if step.startswith("k:") and isinstance(what, Mapping):
            by.add(tuple(what))
    for item in value:
        if "v:" + _text(item) in owned:
            yield item
        for keys in by if isinstance(item, Mapping) else ():
            found = "k:" + _text({key: item.get(key) for key in keys})
            if found in owned:
                yield _owned(item, owned[found])


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # no API server wrote it


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
