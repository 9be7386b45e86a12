"""A Destination on a cluster without Kratix: an EnvironmentConfig for scheduling, and ProviderConfigs.

The function reads an EnvironmentConfig's data as if it were the Destination (answers.py: _destinations). Only what it
reads is copied: a Destination's spec says where its state store is, which is nobody's business there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from bridge.translate.api import mapping
from function.api import names
from function.api.errors import InvalidError
from function.api.names import (
    ENVIRONMENT_CONFIG_API_VERSION,
    INVENTORY_LABEL,
    LABEL_LIMIT,
    NAME_LIMIT,
    PROVIDER_CONFIG_ANNOTATION,
    is_subdomain,
)

# On a Destination: the Secret with its kubeconfig, as it is on the Crossplane clusters: NAMESPACE/NAME or .../KEY.
# The bridge names Secrets and never carries one over.
KUBECONFIG_ANNOTATION: Final = f"{names.GROUP}/kubeconfig-secret"

_KUBECONFIG_KEY = "kubeconfig"
_PREFIX = "destination-"
# provider-kubernetes has two APIs (apis/cluster, apis/namespaced); an Object refers to a config of its own.
_PROVIDER_CONFIGS = (
    ("kubernetes.crossplane.io/v1alpha1", "ProviderConfig"),
    ("kubernetes.m.crossplane.io/v1alpha1", "ClusterProviderConfig"),
)


def environment_config(destination: Mapping[str, Any]) -> dict[str, Any]:
    """The EnvironmentConfig that stands for a Destination.

    Raises:
        InvalidError: The Destination cannot be one, with the field's path.
    """
    name, labels, annotations = _identity(destination)
    leaves = bool(destination["metadata"].get("deletionTimestamp"))
    spec = mapping(destination.get("spec") or {}, "spec")
    strict = {"strictMatchLabels": True} if spec.get("strictMatchLabels") is True else {}
    config = annotations.get(PROVIDER_CONFIG_ANNOTATION)
    return {
        "apiVersion": ENVIRONMENT_CONFIG_API_VERSION,
        "kind": "EnvironmentConfig",
        "metadata": {"name": _own_name(name), "labels": {INVENTORY_LABEL: "true"}},
        "data": {
            "name": name,
            "labels": dict(labels),
            **({"annotations": {PROVIDER_CONFIG_ANNOTATION: config}} if config else {}),
            **({"spec": strict} if strict else {}),
            **({"deleting": True} if leaves else {}),
        },
    }


def deleting(config: Mapping[str, Any]) -> dict[str, Any]:
    """The EnvironmentConfig of a Destination that is gone while documents are still placed on it.

    It takes nothing new, and what is there is updated, or moves where the input says so.
    """
    return {**config, "data": {**mapping(config.get("data"), "data"), "deleting": True}}


def provider_configs(destination: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """provider-kubernetes' configs for a Destination that says where its credentials are; none for others.

    Raises:
        InvalidError: The Secret is not named as `NAMESPACE/NAME` or `NAMESPACE/NAME/KEY`.
    """
    name, _, annotations = _identity(destination)
    secret = annotations.get(KUBECONFIG_ANNOTATION)
    if secret is None:
        return
    path = f"metadata.annotations[{KUBECONFIG_ANNOTATION}]"
    parts = secret.split("/")
    if len(parts) not in (2, 3) or not all(parts) or not all(is_subdomain(part) for part in parts[:2]):
        raise InvalidError(path, f"must be NAMESPACE/NAME or NAMESPACE/NAME/KEY of a Secret, not {secret[:80]!r}")
    reference = {"namespace": parts[0], "name": parts[1], "key": parts[2] if len(parts) > 2 else _KUBECONFIG_KEY}
    config = annotations.get(PROVIDER_CONFIG_ANNOTATION, name)
    if not is_subdomain(config):
        cause = f"must be a Kubernetes name, not {config[:80]!r}"
        raise InvalidError(f"metadata.annotations[{PROVIDER_CONFIG_ANNOTATION}]", cause)
    for api_version, kind in _PROVIDER_CONFIGS:
        yield {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": config, "labels": {INVENTORY_LABEL: "true"}},
            "spec": {"credentials": {"source": "Secret", "secretRef": reference}},
        }


def of(manifests: Iterable[Mapping[str, Any]], destination: str) -> list[Mapping[str, Any]]:
    """What of an inventory stands for a Destination: its EnvironmentConfig, and the ProviderConfigs that it names."""
    by_name = {_key(each): each for each in manifests}
    config = by_name.get((ENVIRONMENT_CONFIG_API_VERSION, "EnvironmentConfig", _own_name(destination)))
    if config is None:
        return []
    given = _at(config, "data", "annotations", PROVIDER_CONFIG_ANNOTATION) or destination
    ways = (by_name.get((*kind, str(given))) for kind in _PROVIDER_CONFIGS)
    return [config, *(way for way in ways if way is not None)]


def _key(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(manifest.get("apiVersion")), str(manifest.get("kind")), str(_at(manifest, "metadata", "name"))


def _at(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _identity(destination: Mapping[str, Any]) -> tuple[str, Mapping[str, str], Mapping[str, str]]:
    metadata = mapping(destination.get("metadata"), "metadata")
    name = metadata.get("name")
    if not isinstance(name, str) or not is_subdomain(name):
        raise InvalidError("metadata.name", "must be a Kubernetes name")
    labels, annotations = (_strings(metadata, field) for field in ("labels", "annotations"))
    return name, labels, annotations


def _strings(metadata: Mapping[str, Any], field: str) -> Mapping[str, str]:
    found = mapping(metadata.get(field) or {}, f"metadata.{field}")
    for key, value in found.items():
        if not isinstance(value, str):
            raise InvalidError(f"metadata.{field}[{key}]", f"must be a string, not {type(value).__name__}")
    return found


def _own_name(name: str) -> str:
    own = f"{_PREFIX}{name}"
    return own if len(own) <= NAME_LIMIT else names.bounded(own, name, limit=LABEL_LIMIT)
