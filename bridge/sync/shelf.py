"""What a bridge made of one kind on a cluster, by what it was made of: a watch with an index."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from bridge.clusters import Cluster
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync.kept import Made
from bridge.watch import Watch


class Shelf:
    """Objects of one kind.

    Args:
        keep: What is kept of each.
        changed: Is called with an object's name and what it is, or was, made of.
        namespace, labels: Which objects; all by default.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        *,
        keep: Callable[[Mapping[str, Any]], Made],
        changed: Callable[[str, frozenset[str]], None],
        clock: Callable[[], float],
        namespace: str = "",
        labels: str = "",
    ) -> None:
        self.resource = resource
        self._namespace = namespace
        self._changed = changed
        self._lock = threading.Lock()
        self._names: dict[str, set[str]] = {}
        self.watch: Watch[Made] = Watch(
            cluster,
            resource,
            keep=keep,
            on_change=self._on_change,
            clock=clock,
            namespace=namespace,
            labels=labels,
        )

    def get(self, name: str) -> Made | None:
        """An object."""
        return self.watch.store.get(Key(self._namespace, name))

    def made_of(self, of: str) -> list[Made]:
        """What was made of a Promise or Destination, by any bridge, by name."""
        with self._lock:
            names = sorted(self._names.get(of, ()))
        return [made for name in names if (made := self.get(name)) is not None and made.of == of]

    def sources(self) -> frozenset[str]:
        """Of what anything here was made."""
        with self._lock:
            return frozenset(self._names)

    def all(self) -> list[Made]:
        """All of them, by name."""
        return sorted((made for _, made in self.watch.store.items()), key=lambda made: made.name)

    def _on_change(self, key: Key, old: Made | None, new: Made | None) -> None:
        with self._lock:
            if old is not None:
                names = self._names.get(old.of, set())
                names.discard(key.name)
                if not names:
                    self._names.pop(old.of, None)
            if new is not None and new.of:
                self._names.setdefault(new.of, set()).add(key.name)
        self._changed(key.name, frozenset(each.of for each in (old, new) if each is not None and each.of))
