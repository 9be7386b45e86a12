"""XRDs, Compositions and packages that Promises are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.translate import promise

GROUP = "databases.example.org"
SPEC = {"type": "object", "properties": {"size": {"type": "integer"}}}
IMAGE = "registry.example.org/function-kratix:v1"


def version(name: str = "v1", **fields: Any) -> dict[str, Any]:
    spec = fields.pop("spec", SPEC)
    root = fields.pop("root", {"type": "object", "properties": {"spec": spec}})
    schema = {} if root is None else {"schema": {"openAPIV3Schema": root}}
    return {"name": name, "served": True, "referenceable": True, **schema, **fields}


def xrd(*versions: Mapping[str, Any], api: str = "v2", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"apiextensions.crossplane.io/{api}",
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": f"postgreses.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": "Postgres", "plural": "postgreses"},
            "versions": list(versions or [version()]),
            **spec,
        },
    }


def composition(name: str = "aws", version: str = "v1", **type_: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": name},
        "spec": {"compositeTypeRef": {"apiVersion": f"{GROUP}/{version}", "kind": "Postgres", **type_}, "pipeline": []},
    }


def package(name: str, kind: str = "Function") -> dict[str, Any]:
    return {
        "apiVersion": "pkg.crossplane.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"package": f"registry.example.org/{name}:v1"},
    }


CLAIMS = {"kind": "Database", "plural": "databases"}
OPTIONS = promise.Options(IMAGE, {"crossplane": "enabled"})
