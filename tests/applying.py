"""A cluster on which one Thing is applied, by a bridge and by others; the same for the fake server and the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bridge.apply import Action, Applier
from bridge.clusters import APPLY, Cluster
from bridge.errors import ApiError
from bridge.observed import Owner, Ref, Seen, ref, seen
from bridge.resources import Resource

RESOURCE = Resource("example.org", "v1", "Thing", "things", namespaced=False)
OWNER = Owner("platform/bridge")


def manifest(name: str = "a", **spec: Any) -> dict[str, Any]:
    """A Thing; a field of its spec that is None is left out."""
    whole = {"size": 1, "colour": "blue", **spec}
    return {
        "apiVersion": RESOURCE.api_version,
        "kind": RESOURCE.kind,
        "metadata": {"name": name, "labels": {"mine": "yes"}},
        "spec": {field: value for field, value in whole.items() if value is not None},
    }


MANIFEST = manifest()


class World:
    """Args:
    dry_run: Of the bridge.
    """

    def __init__(self, cluster: Cluster, *, dry_run: bool = False) -> None:
        self.cluster = cluster
        self.dry_run = dry_run
        self.applier = Applier(cluster, OWNER, dry_run=dry_run)

    def restarted(self) -> World:
        """After a restart: nothing is remembered."""
        return World(self.cluster, dry_run=self.dry_run)

    def dry(self) -> World:
        return World(self.cluster, dry_run=True)

    def apply(self, desired: Mapping[str, Any]) -> Action:
        return self.applier.apply(desired, self.look_up(ref(desired))).action

    def delete(self, name: str = "a") -> Action:
        there = self.look(name)
        assert there
        return self.applier.delete(RESOURCE.api_version, ref(manifest(name)), there).action

    def look(self, name: str = "a") -> Seen | None:
        try:
            return seen(self.object(name))
        except ApiError as error:
            assert error.status == 404
            return None

    def look_up(self, which: Ref) -> Seen | None:
        return self.look(which.name)

    def object(self, name: str = "a") -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.request("GET", RESOURCE.path(name=name))
        return found

    def others(self, part: Mapping[str, Any], *, force: bool = False, name: str = "a") -> None:
        """Somebody else applies a part of an object."""
        body = {"apiVersion": RESOURCE.api_version, "kind": RESOURCE.kind, **part}
        body["metadata"] = {"name": name, **part.get("metadata", {})}
        query = {"fieldManager": "somebody", **({"force": "true"} if force else {})}
        self.cluster.request("PATCH", RESOURCE.path(name=name), query=query, body=body, content_type=APPLY)

    def tell(self, status: Mapping[str, Any], name: str = "a") -> None:
        """Somebody else applies an object's status."""
        body = {"apiVersion": RESOURCE.api_version, "kind": RESOURCE.kind, "metadata": {"name": name}, "status": status}
        path, query = RESOURCE.path(name=name, subresource="status"), {"fieldManager": "somebody", "force": "true"}
        self.cluster.request("PATCH", path, query=query, body=body, content_type=APPLY)

    def edit(self, change: Callable[[dict[str, Any]], Any], name: str = "a") -> None:
        """Somebody else changes an object, as with `kubectl edit`."""
        there = self.object(name)
        change(there)
        self.cluster.request("PUT", RESOURCE.path(name=name), query={"fieldManager": "editor"}, body=there)
