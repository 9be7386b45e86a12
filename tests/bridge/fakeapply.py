"""Server-side apply as the fake API server does it: each manager owns the leaves that it applied; a list is one leaf."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
Manifest = dict[str, Any]

_FREE = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "uid")}


class ConflictsError(Exception):
    def __init__(self, owned: list[tuple[str, Path]]) -> None:
        self.causes = [
            {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": _shown(path)}
            for manager, path in owned
        ]
        super().__init__(f"Apply failed with {len(owned)} conflicts")


Owners = dict[str, list[Path]]


def apply(before: Manifest | None, applied: Manifest, manager: str, *, force: bool = False) -> Manifest:
    """The object after it; `metadata.managedFields` has each manager's leaves."""
    after = copy.deepcopy(before) if before else {"metadata": dict(_place(applied))}
    owners = _owners(after)
    leaves = {path: value for path, value in _leaves(applied) if path not in _FREE}
    owned = [
        (other, path)
        for other, paths in sorted(owners.items())
        for path in paths
        if other != manager and path in leaves and _get(after, path) != leaves[path]
    ]
    if owned and not force:
        raise ConflictsError(owned)
    for other, path in owned:
        owners[other].remove(path)
    others = {path for other, paths in owners.items() if other != manager for path in paths}
    for path in owners.get(manager, []):
        if path not in leaves and path not in others:
            _remove(after, path)
    for path, value in leaves.items():
        _set(after, path, value)
    owners[manager] = sorted(leaves)
    return _owned(after, owners)


def update(before: Manifest, after: Manifest, manager: str) -> Manifest:
    """The object after a PUT: who changes a leaf owns it alone from now on."""
    owners = _owners(before)
    after = copy.deepcopy(after)
    after["metadata"].pop("managedFields", None)
    leaves = dict(_leaves(after))
    for other, paths in owners.items():
        owners[other] = [path for path in paths if path in leaves and leaves[path] == _get(before, path)]
    changed = [path for path in leaves if path not in _FREE and leaves[path] != _get(before, path)]
    owners[manager] = sorted({*owners.get(manager, []), *changed})
    return _owned(after, owners)


def _owners(manifest: Manifest) -> Owners:
    entries = manifest["metadata"].get("managedFields", [])
    return {entry["manager"]: [tuple(path) for path in entry["paths"]] for entry in entries}


def _owned(manifest: Manifest, owners: Owners) -> Manifest:
    manifest["metadata"]["managedFields"] = [
        {"manager": name, "operation": "Apply", "fieldsV1": _fields(paths), "paths": [list(path) for path in paths]}
        for name, paths in sorted(owners.items())
        if paths
    ]
    return manifest


def _fields(paths: list[Path]) -> Manifest:
    """As an API server says which fields a manager has; those of lists it tells too, which is left out."""
    fields: Manifest = {}
    for path in paths:
        at = fields
        for part in path:
            at = at.setdefault(f"f:{part}", {})
    return fields


def _place(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for part in ("name", "namespace"):
        if part in manifest["metadata"]:
            yield part, manifest["metadata"][part]


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value:
        for field, part in value.items():
            yield from _leaves(part, (*path, field))
    else:
        yield path, value


def _get(value: Any, path: Path) -> Any:
    for field in path:
        value = value.get(field) if isinstance(value, Mapping) else None
    return value


def _set(value: Any, path: Path, new: Any) -> None:
    for field in path[:-1]:
        value = value.setdefault(field, {})
    value[path[-1]] = new


def _remove(value: Any, path: Path) -> None:
    parent = _get(value, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)


def _shown(path: Path) -> str:
    return "".join(f".{field}" for field in path)
