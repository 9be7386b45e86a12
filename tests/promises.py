"""Promises for the tests, each after the shape of a real one in Kratix's marketplace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]


def version(
    name: str = "v1alpha1",
    spec: Mapping[str, Any] | None = None,
    *,
    served: bool = True,
    storage: bool = True,
    root: Mapping[str, Any] | None = None,
    **more: Any,
) -> Manifest:
    """A version of a CRD; `root` is added to the root of its schema, `more` to the version."""
    own = dict(spec) if spec is not None else {"type": "object", "properties": {"size": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": own}, **(root or {})}
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def api(*versions: Manifest, kind: str = "Cache", group: str = "caches.example.org", **more: Any) -> Manifest:
    """A CRD; `more` goes to its spec."""
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": list(versions) or [version()],
            **more,
        },
    }


def promise(name: str = "cache", *, labels: Mapping[str, str] | None = None, **spec: Any) -> Manifest:
    """A Promise with an API, unless `spec` says otherwise."""
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": name, "labels": {"kratix.io/promise-version": "v1.0.0", **(labels or {})}},
        "spec": {"api": api(), **spec},
    }


# One lower-case word for everything, a pattern for an enum, and pipelines of both kinds.
LOWER_CASE = promise(
    "queue",
    api={
        **api(),
        "metadata": {"name": "queue.example.org"},
        "spec": {
            "group": "example.org",
            "names": {"kind": "queue", "plural": "queue", "singular": "queue"},
            "scope": "Namespaced",
            "versions": [
                version(
                    spec={
                        "type": "object",
                        "properties": {"size": {"type": "string", "default": "small", "pattern": "^(small|large)$"}},
                    }
                )
            ],
        },
    },
    destinationSelectors=[{"matchLabels": {"environment": "dev"}}],
)

# Printer columns with JSONPath, as of v1beta1; one shows a status field that only a pipeline knows of.
COLUMNS = promise(
    "db",
    api=api(
        version(
            additionalPrinterColumns=[
                {"name": "Size", "type": "string", "JSONPath": ".spec.size"},
                {"name": "Endpoint", "type": "string", "JSONPath": ".status.endpoint"},
            ]
        ),
        kind="DB",
    ),
)

# Two versions, one of them deprecated; validations, defaults, scale, and a name's pattern.
VERSIONS = promise(
    "broker",
    labels={"kratix.io/promise-version": "v2.0.0"},
    api=api(
        version("v1", storage=False, deprecated=True, deprecationWarning="use v2"),
        version(
            "v2",
            {
                "type": "object",
                "required": ["replicas"],
                "properties": {
                    "replicas": {"type": "integer", "minimum": 1, "default": 3},
                    "size": {"type": "string"},
                    "settings": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
                "x-kubernetes-validations": [{"rule": "self.replicas % 2 == 1", "message": "replicas must be odd"}],
            },
            root={"description": "A message broker."},
            subresources={
                "status": {},
                "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
            },
        ),
        kind="Broker",
    ),
)

NO_API = promise("ingress", api=None)
