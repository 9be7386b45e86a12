"""What of an XRD a Promise does not keep, in a sentence each: what is refused is definition.py's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.translate import definition as xrd
from bridge.translate.definition import Definition
from function.api import names


def notes(definition: Definition) -> Iterator[str]:
    """What requesters of the Promise have not, or have otherwise, in the XRD's order."""
    if definition.has_claims:
        yield f"spec.names: {definition.kind} is not offered, as people create claims of it"
    if not definition.namespaced:
        yield f"spec.scope: requests are in a namespace, as Kratix demands, and {definition.kind} is not"
    for i, version in enumerate(definition.versions):
        yield from _version(version, f"spec.versions[{i}]")


def _version(version: Mapping[str, Any], path: str) -> Iterator[str]:
    if not version["served"]:
        yield f"{path}: {version['name']} is left out, as it is not served"
        return
    if (version.get("subresources") or {}).get("scale"):
        yield f"{path}.subresources.scale: is left out, as Kratix gives requests no scale"
    root = xrd.schema(version)
    path = f"{path}.schema.openAPIV3Schema"
    name = (((root.get("properties") or {}).get("metadata") or {}).get("properties") or {}).get("name") or {}
    limit = name.get("maxLength")
    if isinstance(limit, int) and limit > names.LABEL_LIMIT:
        at = f"{path}.properties.metadata.properties.name.maxLength"
        yield f"{at}: is {names.LABEL_LIMIT} instead of {limit}, as names become labels"
