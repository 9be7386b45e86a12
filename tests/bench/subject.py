"""Promises and Destinations of the size that Kratix's marketplace has them."""

from __future__ import annotations

from typing import Any

import promises
from bridge.api import names

Manifest = dict[str, Any]

GROUP = "caches.example.org"
_PLANS = ("size", "engine", "storageClass", "region", "owner", "costCentre")
_FLAGS = ("backups", "monitoring", "encryption", "public")


def promise(number: int, revision: int = 0) -> Manifest:
    """One with an API of a dozen fields and a pipeline; each revision has another version and another description."""
    properties: Manifest = {
        plan: {"type": "string", "default": "small", "pattern": "^[a-z][a-z0-9-]*$", "description": f"The {plan}."}
        for plan in _PLANS
    }
    properties |= {flag: {"type": "boolean", "default": False} for flag in _FLAGS}
    properties["replicas"] = {"type": "integer", "minimum": 1, "maximum": 9, "default": 3}
    spec = {"type": "object", "description": f"Revision {revision}.", "properties": properties}
    columns = [{"name": "Size", "type": "string", "jsonPath": ".spec.size"}]
    pipeline = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "configure"},
        "spec": {"containers": [{"name": "make", "image": "ghcr.io/example/make:v1.0.0"}]},
    }
    return promises.promise(
        promise_name(number),
        labels={"kratix.io/promise-version": f"v1.0.{revision}", names.PUBLISH_LABEL: "true"},
        api=promises.api(promises.version(spec=spec, additionalPrinterColumns=columns), kind=f"Service{number:04}"),
        destinationSelectors=[{"matchLabels": {"environment": "dev"}}],
        workflows={"resource": {"configure": [pipeline]}},
    )


def mark(kind: str, revision: int) -> str:
    """What an XRD or a Composition of a revision has in it, as JSON, and of no other revision."""
    return f"Revision {revision}." if kind == "CompositeResourceDefinition" else f'"v1.0.{revision}"'


def promise_name(number: int) -> str:
    return f"service-{number:04}"


def xrd(number: int) -> str:
    """The name of its XRD and of its Composition."""
    return f"service{number:04}s.xp.{GROUP}"


def destination(number: int) -> Manifest:
    labels = {"environment": ("dev", "test", "prod")[number % 3], "region": f"eu-{number % 7}", "zone": f"{number:04}"}
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Destination",
        "metadata": {"name": f"cluster-{number:04}", "labels": labels},
        "spec": {"path": f"clusters/{number:04}", "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}},
    }
