"""What the end-to-end tests ask of a platform, in a developer's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

KRATIX = "platform.kratix.io/v1alpha1"

Manifest = dict[str, Any]


def request(name: str, **spec: object) -> Manifest:
    """An XR of example/postgres, by its file's name, with other values in its spec."""
    manifest = dict(example.load("postgres").xrs[name])
    return {**manifest, "spec": {**manifest["spec"], **spec}}


def named(manifest: Mapping[str, Any], name: str) -> Manifest:
    """The same request under another name."""
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def namespace(name: str) -> Manifest:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


class Request:
    """A request in a cluster: an XR, what it became, and where it went."""

    def __init__(self, cluster: Cluster, manifest: Mapping[str, Any]) -> None:
        self.cluster = cluster
        self.api_version, self.kind = str(manifest["apiVersion"]), str(manifest["kind"])
        self.name = str(manifest["metadata"]["name"])
        self.namespace = str(manifest["metadata"]["namespace"])
        self.apply(manifest)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        self.cluster.apply(manifest)

    def seen(self) -> Manifest:
        return self.cluster.get(self.api_version, self.kind, self.name, self.namespace) or {}

    def condition(self, type_: str) -> Manifest:
        conditions = self.seen().get("status", {}).get("conditions", ())
        return next((item for item in conditions if item["type"] == type_), {})

    def until(self, type_: str, status: str, *, timeout: float, reason: str = "") -> Manifest:
        """Wait for a condition, at the request's own generation where it says of which it is."""

        def holds() -> Manifest:
            condition = self.condition(type_)
            generation = self.seen().get("metadata", {}).get("generation")
            current = condition.get("observedGeneration", generation) == generation
            fits = condition.get("status") == status and reason in ("", condition.get("reason"))
            return condition if current and fits else {}

        what = f"{self.namespace}/{self.name} has {type_}={status} {reason}".rstrip()
        return eventually(what, holds, timeout=timeout, show=lambda: self.seen().get("status", {}).get("conditions"))

    def works(self) -> list[Manifest]:
        """The Works that it owns."""
        uid = self.seen().get("metadata", {}).get("uid")
        found = self.cluster.list(KRATIX, "Work", self.namespace)
        return [work for work in found if any(owner["uid"] == uid for owner in _owners(work))]

    def placements(self) -> dict[str, str]:
        """Its placements, as its status tells them: Destination by document or directory."""
        placements = self.seen().get("status", {}).get("kratix", {}).get("placements", ())
        return {item.get("directory", "."): item["destination"] for item in placements}

    def delete(self) -> None:
        self.cluster.delete(self.api_version, self.kind, self.name, self.namespace)


def stored(testbed: Testbed, request: Request) -> dict[str, Manifest]:
    """The documents in the state store that a request of example/postgres led to, by path."""
    below = f"/resources/{request.namespace}/postgres/{request.name}/"
    return {path: yaml.safe_load(text) for path, text in testbed.kratix.files().items() if below in path}


def until_stored(testbed: Testbed, request: Request, *, size: str, timeout: float) -> None:
    """Wait until the state store holds the one document of a dev database, with this size."""

    def sizes() -> list[str]:
        return [document["spec"]["storage"]["size"] for document in stored(testbed, request).values()]

    eventually(f"{request.name} is stored with {size}", lambda: sizes() == [size], timeout=timeout, show=sizes)


def _owners(manifest: Mapping[str, Any]) -> list[Manifest]:
    return list(manifest["metadata"].get("ownerReferences", ()))
