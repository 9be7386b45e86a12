"""ResourceBindings: which requests are pinned to a version, as one watch on the platform sees it, and their answers.

The watch is there while a Promise is mirrored. Where nothing is bound it costs nothing; an older Kratix has none of the
kind, and without `versions.yaml` nobody may see it: then nothing new is pinned, and what was pinned before stays so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.clusters import MERGE, Cluster
from bridge.resources import Resource
from bridge.store import Key
from bridge.sync import kept
from bridge.sync.kept import Binding
from bridge.sync.platform import Platform
from bridge.translate import conditions
from bridge.translate.waves import LATEST, Member
from bridge.watch import Watch
from function.api import names
from function.api.errors import shorten

BINDING: Final = Resource("platform.kratix.io", "v1alpha1", "ResourceBinding", "resourcebindings", namespaced=True)
_CONDITION: Final = "UpgradeSucceeded"
_SENTENCE: Final = 1024
_NONE_TO_SEE: Final = (403, 404)

_Object = Mapping[str, Any]


class Bindings:
    """All of a platform; safe to use from several threads.

    Args:
        changed: Is called with a Promise whose bindings are not as they were.
    """

    def __init__(self, platform: Cluster, *, changed: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._started = False
        self.watch: Watch[Binding] = Watch(platform, BINDING, keep=kept.binding, on_change=self._on_change, clock=clock)

    @property
    def watches(self) -> tuple[Watch[Binding], ...]:
        """The one; none where nothing is mirrored."""
        with self._lock:
            return (self.watch,) if self._started else ()

    def start(self) -> None:
        """Watch them, from now on."""
        with self._lock:
            if self._started:
                return
            self._started = True
        self.watch.start()

    @property
    def is_read(self) -> bool:
        """Whether they were read: else one that is not among them may be there."""
        return self.watch.health.synced

    def of(self, promise: str) -> list[Binding] | None:
        """Those of requests of a Promise, by name; None where they have not been read yet."""
        health = self.watch.health
        if not health.synced and health.status not in _NONE_TO_SEE:
            return None
        return [each for _, each in sorted(self.watch.store.items()) if each.promise == promise]

    def stop(self) -> None:
        """End the watch."""
        for watch in self.watches:
            watch.stop(timeout=1.0)

    def _on_change(self, _: Key, old: Binding | None, new: Binding | None) -> None:
        for promise in {each.promise for each in (old, new) if each is not None}:
            self._changed(promise)


def answer(platform: Platform, binding: Binding, member: Member, now: str) -> None:
    """Say what became of a binding's version, as Kratix says it of its own (dynamic_resource_request_controller.go).

    Raises:
        ClusterError: It cannot be said now; also where the binding has changed since.
    """
    body = binding.packed.body
    given = body.get("status") or {}
    desired = member.pinned or member.selected or member.applied
    status, reason, message = "Unknown", "UpgradeInProgress", f"on its way to version {desired or LATEST}"
    after: dict[str, Any] = {}
    if member.state == "failing":
        status, reason, message = "False", "UpgradeFailed", f"version {desired}: {member.said}"
        after["failedVersion"] = desired
    elif member.state == "unknown":
        message = member.said or message
    elif member.state == "good" and member.applied == desired:
        status, reason, message = "True", "UpgradeComplete", f"version {desired} is applied"
        after |= {"lastAppliedVersion": member.applied, "failedVersion": None}
    old: list[_Object] = given.get("conditions") or []
    new = {"type": _CONDITION, "status": status, "reason": reason, "message": shorten(message, _SENTENCE)}
    written = conditions.written(old, new, now)
    if written is None and all(given.get(key) == value for key, value in after.items()):
        return
    metadata = body["metadata"]
    patch = {
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "status": {**after, "conditions": old if written is None else written},
    }
    path = BINDING.path(metadata["namespace"], metadata["name"], "status")
    doing = f"write the status of ResourceBinding {metadata['namespace']}/{metadata['name']}"
    platform.cluster.request(
        "PATCH", path, query={"fieldManager": names.FIELD_MANAGER}, body=patch, content_type=MERGE, doing=doing
    )
