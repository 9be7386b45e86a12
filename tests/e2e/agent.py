"""What a GitOps agent does: makes a cluster what a folder of the state store says, as Flux does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from kubernetes.dynamic import exceptions

from testbed.cluster import Cluster
from testbed.kratix import Kratix

_Key = tuple[str, str, str, str | None]


class Agent:
    """Applies one Destination's files, and prunes what it applied and is there no longer, unless that says otherwise.

    Args:
        path: The Destination's folder in the state store.
    """

    def __init__(self, store: Kratix, path: str, cluster: Cluster) -> None:
        self._store, self._path, self._cluster = store, path, cluster
        self._applied: dict[_Key, bool] = {}

    def sync(self) -> dict[str, list[str]]:
        """One round: kinds by file. What cannot be applied yet (its CRD is not there) is left for the next."""
        found: dict[str, list[str]] = {}
        wanted: list[_Key] = []
        for path, text in sorted(self._store.files().items()):
            if not path.startswith(f"{self._path}/"):
                continue
            documents = [body for body in yaml.safe_load_all(text) if body and "kind" in body]
            found[path] = [body["kind"] for body in documents]
            for body in documents:
                wanted.append(_key(body))
                if self._apply(body):
                    annotations = body["metadata"].get("annotations") or {}
                    self._applied[_key(body)] = annotations.get("kustomize.toolkit.fluxcd.io/prune") != "disabled"
        for key in [key for key in self._applied if key not in wanted]:
            if self._applied.pop(key):
                self._cluster.delete(*key)
        return found

    def _apply(self, body: Mapping[str, Any]) -> bool:
        try:
            self._cluster.apply(body)
        except exceptions.ResourceNotFoundError:
            return False
        return True


def _key(body: Mapping[str, Any]) -> _Key:
    metadata = body["metadata"]
    return body["apiVersion"], body["kind"], metadata["name"], metadata.get("namespace")
