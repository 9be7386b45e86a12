"""Manifests that a Promise's own workflow delivers, in the order in which they can be applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.errors import FolderError
from bridge.manifest import Manifest
from function.api import manifest, names


def files(given: Sequence[Manifest]) -> list[tuple[str, Mapping[str, Any]]]:
    """File path and document of each manifest; the order of the paths is that of the documents.

    Raises:
        FolderError: There is none, or one is no Kubernetes manifest, with its place and the field's path.
    """
    if not given:
        raise FolderError("cannot write dependencies: DOCUMENTS holds none")
    return list(_files(given))


def _files(given: Sequence[Manifest]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    digits = len(str(len(given)))
    for i, each in enumerate(given, start=1):
        with each.located():
            manifest.check_manifest(each.body, "")
            kind, name = str(each.body["kind"]).lower(), str(each.body["metadata"].get("name", ""))
        safe = name if names.is_subdomain(name) else names.bounded(name, kind, name)
        yield f"{i:0{digits}}-{kind}-{safe}.yaml", each.body
