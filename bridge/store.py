"""What a watch knows: for each object's key, the part of it that is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Set
from typing import Any, Generic, NamedTuple, TypeVar

Kept = TypeVar("Kept")


class Key(NamedTuple):
    """Which object of a kind; a cluster-scoped one has no namespace."""

    namespace: str
    name: str


class NoObjectError(ValueError):
    """What a server sent is no object: it has no name."""


def key_of(manifest: Mapping[str, Any]) -> Key:
    """An object's key.

    Raises:
        NoObjectError: It has none.
    """
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(name, str) or not name:
        raise NoObjectError("an object without a name")
    return Key(str(metadata.get("namespace") or ""), name)


class Store(Generic[Kept]):
    """The store of one watch, which alone writes it; others read it from any thread.

    Args:
        keep: What to keep of an object; None leaves it out.
        on_change: Is called after a change, with the key, what was kept before and what is kept now.
    """

    def __init__(
        self,
        keep: Callable[[Mapping[str, Any]], Kept | None],
        on_change: Callable[[Key, Kept | None, Kept | None], None],
    ) -> None:
        self._keep = keep
        self._on_change = on_change
        self._kept: dict[Key, Kept] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Kept | None:
        """What is kept of an object; None if it is not there or left out."""
        return self._kept.get(key)

    def items(self) -> list[tuple[Key, Kept]]:
        """All that is kept just now, in no order."""
        with self._lock:
            return list(self._kept.items())

    def put(self, manifest: Mapping[str, Any]) -> Key:
        """An object is there, like this.

        Raises:
            NoObjectError: It is none.
        """
        key = key_of(manifest)
        self._set(key, self._keep(manifest))
        return key

    def remove(self, key: Key) -> None:
        """An object is not there any more."""
        self._set(key, None)

    def retain(self, there: Set[Key]) -> None:
        """These objects are there, and no others."""
        for key in sorted(self._kept.keys() - there):
            self._set(key, None)

    def _set(self, key: Key, new: Kept | None) -> None:
        old = self._kept.get(key)
        if old == new:
            return
        with self._lock:
            if new is None:
                del self._kept[key]
            else:
                self._kept[key] = new
        self._on_change(key, old, new)
