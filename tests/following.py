"""A watch that a test follows, whatever server it is on: what it was told, and whether its store is the server's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from bridge.resources import Resource
from bridge.source import Source
from bridge.store import Key
from bridge.watch import Pace, Watch

FAST = Pace(page=3, lasts=30, silence=0.5, base=0.002, cap=0.05)
_PATIENCE = 60.0  # of a busy machine; only what fails waits so long


def content(manifest: Mapping[str, Any]) -> Any:
    """What a test keeps of an object; an object that is made anew differs by its UID."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["uid"], metadata["resourceVersion"], metadata.get("labels")


class Following:
    """Args:
    keep: What the watch keeps.
    """

    def __init__(
        self,
        source: Source,
        resource: Resource,
        *,
        keep: Callable[[Mapping[str, Any]], Any] = content,
        pace: Pace = FAST,
        **more: Any,
    ) -> None:
        self.told: list[tuple[Key, Any, Any]] = []
        self.replayed: dict[Key, Any] = {}
        self.wrong: list[str] = []
        self.watch: Watch[Any] = Watch(
            source, resource, keep=keep, on_change=self._on_change, clock=time.monotonic, pace=pace, **more
        )

    def _on_change(self, key: Key, old: Any, new: Any) -> None:
        if self.replayed.get(key) != old:
            self.wrong.append(f"{key}: told that it was {old}, and it was {self.replayed.get(key)}")
        if old == new:
            self.wrong.append(f"{key}: told of no change")
        self.told.append((key, old, new))  # before `becomes` can see it
        if new is None:
            self.replayed.pop(key)
        else:
            self.replayed[key] = new
        if self.watch.store.get(key) != new:
            self.wrong.append(f"{key}: told before the store changed")

    @property
    def store(self) -> dict[Key, Any]:
        return dict(self.watch.store.items())

    def becomes(self, there: Callable[[], dict[Key, Any]], *, timeout: float = _PATIENCE) -> None:
        """Wait until the store is what is there; what was told comes to the same."""
        ends = time.monotonic() + timeout
        while not (self.store == self.replayed == there()):  # a change is told after it is stored
            assert time.monotonic() < ends, f"store {self.store} is not {there()}; {self.watch.health}"
            time.sleep(0.001)
        assert not self.wrong

    def eventually(self, what: str, holds: Callable[[], object], *, timeout: float = _PATIENCE) -> None:
        ends = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < ends, f"never {what}; {self.watch.health}"
            time.sleep(0.001)

    def __enter__(self) -> Following:
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.watch.stop(timeout=_PATIENCE), "the thread did not end"
