"""What the end-to-end tests ask of a platform, in a developer's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.example import Example

KRATIX = "platform.kratix.io/v1alpha1"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    """A cluster with Crossplane, Kratix, the function and example/postgres: the testbed's, or somebody's own.

    Attributes:
        folder: The example as it is on this cluster.
        files: What is in the state store now: each file's text, by its path.
        namespaces: What each of the example's namespaces is called on this cluster.
    """

    cluster: Cluster
    folder: Path
    files: Callable[[], dict[str, str]]
    namespaces: Mapping[str, str]

    @cached_property
    def scene(self) -> Example:
        """The example, read."""
        return example.read(self.folder)

    @property
    def manifests(self) -> list[Mapping[str, Any]]:
        """All that has to be there before the first XR, in the order in which it is deleted again."""
        return [self.scene.composition, self.scene.xrd, *self.scene.required]

    def request(self, name: str, **spec: object) -> Manifest:
        """An XR of the example, by its file's name, with other values in its spec."""
        manifest = dict(self.scene.xrs[name])
        return {**manifest, "spec": {**manifest["spec"], **spec}}

    def budget(self, team: str, *, left: str) -> None:
        """Set what a team has left, in euros a month."""
        name = self.namespaces[team]
        budget = next(m for m in self.scene.required if m["metadata"]["name"] == name)
        self.cluster.apply({**budget, "data": {**budget["data"], "left": left}})

    def install(self) -> None:
        """Apply the example without its XRs, and wait until its API is served."""
        self.cluster.apply(*map(namespace, self.namespaces.values()), *reversed(self.manifests))
        group = self.scene.xrd["spec"]["group"]
        eventually("the XRD's API is served", lambda: self.cluster.serves(f"{group}/v1alpha1", "Postgres"), timeout=60)


def named(manifest: Mapping[str, Any], name: str) -> Manifest:
    """The same request under another name."""
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def namespace(name: str) -> Manifest:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pipeline(name: str, container: Mapping[str, Any]) -> Manifest:
    """A Pipeline of one container of its name."""
    spec = {"containers": [{"name": name, **container}]}
    return {"apiVersion": KRATIX, "kind": "Pipeline", "metadata": {"name": name}, "spec": spec}


def open_xrd(group: str, kind: str, plural: str) -> Manifest:
    """The XRD of a namespaced kind whose spec and `status.kratix` take whatever there is."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    status = {"type": "object", "properties": {"kratix": anything}}
    schema = {"type": "object", "properties": {"spec": anything, "status": status}}
    version = {"name": "v1", "served": True, "referenceable": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.crossplane.io/v2",
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "scope": "Namespaced",
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


def crd(kind: str, plural: str, group: str, *, status: bool = False) -> Manifest:
    """A namespaced kind of its own, in a version v1 that takes all fields; with `status`, that is written by itself."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    **({"subresources": {"status": {}}} if status else {}),
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }


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


def stored(platform: Platform, request: Request) -> dict[str, Manifest]:
    """The documents in the state store that a request of example/postgres led to, by path."""
    below = f"/resources/{request.namespace}/postgres/{request.name}/"
    return {path: yaml.safe_load(text) for path, text in platform.files().items() if below in path}


def until_stored(platform: Platform, request: Request, *, size: str, timeout: float) -> None:
    """Wait until the state store holds the one document of a dev database, with this size."""

    def sizes() -> list[str]:
        return [document["spec"]["storage"]["size"] for document in stored(platform, request).values()]

    eventually(f"{request.name} is stored with {size}", lambda: sizes() == [size], timeout=timeout, show=sizes)


def _owners(manifest: Mapping[str, Any]) -> list[Manifest]:
    return list(manifest["metadata"].get("ownerReferences", ()))
