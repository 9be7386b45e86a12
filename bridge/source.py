"""What a watch asks of an API server, and what it is told: the pages of a list, the events of a watch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol


class Lines(Protocol):
    """An open watch."""

    def __iter__(self) -> Iterator[bytes]:
        """Its lines."""

    def interrupt(self) -> None:
        """End the iteration, from another thread."""

    def close(self) -> None:
        """Close it, when the iteration is over."""


class Source(Protocol):
    """What a watch needs of a cluster; `clusters.Cluster` is one."""

    @property
    def name(self) -> str:
        """The cluster's name."""

    def request(self, method: str, path: str, /, *, query: Mapping[str, str | int], doing: str) -> Any:
        """Ask it."""

    def stream(self, path: str, /, *, query: Mapping[str, str | int], read_timeout: float, doing: str) -> Lines:
        """Open a watch."""


class NotUnderstoodError(Exception):
    """What a server sent is neither; the cause, in a few words."""


def page(answer: object) -> tuple[list[Mapping[str, Any]], str, str]:
    """The items of a page of a list, the list's version, and the token for the next page, empty for none.

    Raises:
        NotUnderstoodError: It is no list.
    """
    metadata = answer.get("metadata") if isinstance(answer, Mapping) else None
    items = (answer.get("items") or []) if isinstance(answer, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(items, list) or not version({"metadata": metadata}):
        raise NotUnderstoodError("the answer is no list")
    if not all(isinstance(item, Mapping) for item in items):
        raise NotUnderstoodError("the list has an item that is no object")
    return items, str(metadata["resourceVersion"]), str(metadata.get("continue") or "")


def event(line: bytes) -> tuple[str, Mapping[str, Any]]:
    """The type and the object of an event.

    Raises:
        NotUnderstoodError: It is no event.
    """
    try:
        decoded = json.loads(line)
    except (ValueError, RecursionError):
        raise NotUnderstoodError("a line is not JSON") from None
    manifest = decoded.get("object") if isinstance(decoded, Mapping) else None
    if not isinstance(decoded, Mapping) or not isinstance(manifest, Mapping):
        raise NotUnderstoodError("a line is no event")
    return str(decoded.get("type")), manifest


def version(manifest: Mapping[str, Any]) -> str:
    """An object's resourceVersion; empty for none."""
    metadata = manifest.get("metadata")
    found = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else ""
