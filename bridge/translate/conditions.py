"""Conditions as the bridge writes them, beside those that others write of the same object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_Condition = Mapping[str, Any]


def timestamp(now: datetime) -> str:
    """A time as Kubernetes writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An object's conditions, in their order; what is none is left out."""
    status = manifest.get("status")
    found: object = status.get("conditions") if isinstance(status, Mapping) else None
    items: Sequence[Any] = found if isinstance(found, list) else ()
    return [dict(item) for item in items if isinstance(item, Mapping) and isinstance(item.get("type"), str)]


def find(conditions: Sequence[_Condition], type_: str) -> _Condition:
    """The condition of a type; an empty one where there is none."""
    return next((each for each in conditions if each.get("type") == type_), {})


def since(before: _Condition, status: str, now: str) -> str:
    """When the status became what it is."""
    stays = before.get("lastTransitionTime") if before.get("status") == status else None
    return str(stays or now)


def written(before: Sequence[_Condition], condition: _Condition, now: str) -> list[_Condition] | None:
    """All conditions, one of them anew; None where it is so already.

    Args:
        condition: Without its time.
    """
    earlier = find(before, condition["type"])
    if all(earlier.get(field) == value for field, value in condition.items()):
        return None
    others = [each for each in before if each.get("type") != condition["type"]]
    return [*others, {**condition, "lastTransitionTime": since(earlier, condition["status"], now)}]
