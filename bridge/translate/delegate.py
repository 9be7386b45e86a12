"""A request, delegated: the XR (or claim) that stands for it on a cluster that has Crossplane.

It has the request's name and namespace where it can keep both. Where all XRs share a namespace, or have none, requests
of one name in two namespaces would be one XR, so its name carries a digest of whose it is; rule 4: never of the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from function.api import names
from function.api.errors import InvalidError

# Labels of these belong to what runs on Kratix's cluster; its GitOps agent would take the XR for its own.
_FOREIGN: Final = ("kratix.io", "kubernetes.io", "k8s.io", "argoproj.io", "fluxcd.io", "crossplane.io")
_SECRETS_NAMESPACE: Final = "crossplane-system"


@dataclass(frozen=True, slots=True)
class Target:
    """What requests are delegated to.

    Attributes:
        promise: The Promise's name.
        namespaced: Whether XRs are in a namespace.
        namespace: Where all of them go; empty: each in its request's.
        connection_secret: Whether they are asked for a Secret with connection details.
        name_limit: How long their names may be.
    """

    promise: str
    group: str
    kind: str
    namespaced: bool = True
    namespace: str = ""
    connection_secret: bool = False
    name_limit: int = names.LABEL_LIMIT


def xr(request: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """The XR for a request.

    Raises:
        InvalidError: The request's name is too long to be kept.
    """
    metadata: Mapping[str, Any] = request["metadata"]
    name, namespace = identity(metadata, target)
    version = str(request["apiVersion"]).rpartition("/")[2]
    spec = dict(request.get("spec") or {})
    if target.connection_secret:
        place = {} if target.namespaced else {"namespace": _SECRETS_NAMESPACE}
        spec["writeConnectionSecretToRef"] = {"name": f"{name}-connection", **place}
    annotations = _own(metadata.get("annotations"))
    own = {
        names.REQUEST_PROMISE_LABEL: target.promise,
        names.REQUEST_NAME_LABEL: metadata["name"],
        names.REQUEST_NAMESPACE_LABEL: metadata.get("namespace", ""),
    }
    return {
        "apiVersion": f"{target.group}/{version}",
        "kind": target.kind,
        "metadata": {
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            "labels": {**_own(metadata.get("labels")), **own},
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": spec,
    }


def status(delegated: Mapping[str, Any]) -> dict[str, Any]:
    """What the request's status says of its XR."""
    metadata: Mapping[str, Any] = delegated["metadata"]
    where = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    reference = {
        "apiVersion": delegated["apiVersion"],
        "kind": delegated["kind"],
        **{field: metadata[field] for field in ("name", "namespace") if field in metadata},
    }
    secret = delegated["spec"].get("writeConnectionSecretToRef")
    return {
        "message": f"delegated to Crossplane as {delegated['kind']} {where}{metadata['name']}",
        "crossplane": {**reference, **({"connectionSecret": secret["name"]} if secret else {})},
    }


def identity(metadata: Mapping[str, Any], target: Target) -> tuple[str, str]:
    """Name and namespace of a request's XR.

    Raises:
        InvalidError: The request's name is too long to be kept.
    """
    name, namespace = str(metadata["name"]), str(metadata.get("namespace", ""))
    kept = target.namespaced and not target.namespace
    limit = target.name_limit if kept else names.LABEL_LIMIT
    if len(name) > limit:
        raise InvalidError("metadata.name", f"must have at most {limit} characters")
    if kept:
        return name, namespace
    if target.name_limit < names.BOUNDED_MIN:
        raise InvalidError(
            "metadata.name", f"cannot be made different from all others in {target.name_limit} characters"
        )
    made = names.bounded(f"{namespace}-{name}", target.promise, namespace, name, limit=target.name_limit)
    return made, target.namespace if target.namespaced else ""


def _own(labels: object) -> dict[str, str]:
    given = labels if isinstance(labels, Mapping) else {}
    return {key: value for key, value in given.items() if isinstance(value, str) and not _is_foreign(key)}


def _is_foreign(key: str) -> bool:
    domain, slash, _ = key.rpartition("/")
    return bool(slash) and any(domain == owner or domain.endswith(f".{owner}") for owner in _FOREIGN)
