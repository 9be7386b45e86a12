"""provider-kubernetes' Object: one manifest on another cluster.

Two APIs: `kubernetes.crossplane.io/v1alpha2` is cluster-scoped, `kubernetes.m.crossplane.io/v1alpha1` is namespaced
and says the kind of its provider config (provider-kubernetes, apis/cluster and apis/namespaced).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEGACY = "kubernetes.crossplane.io/v1alpha2"
NAMESPACED = "kubernetes.m.crossplane.io/v1alpha1"


def object_(
    api_version: str,
    metadata: Mapping[str, Any],
    manifest: Mapping[str, Any],
    provider_config: Mapping[str, str],
    readiness: str,
) -> dict[str, Any]:
    """An Object.

    Args:
        provider_config: `name`, and for the namespaced API `kind`.
        readiness: `readiness.policy`.
    """
    return {
        "apiVersion": api_version,
        "kind": "Object",
        "metadata": dict(metadata),
        "spec": {
            "forProvider": {"manifest": dict(manifest)},
            "providerConfigRef": dict(provider_config),
            "readiness": {"policy": readiness},
        },
    }


def orphaned(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """An Object that leaves what it made where it is, once it is deleted; the namespaced API has no deletionPolicy."""
    policy: dict[str, Any] = {"managementPolicies": ["Observe", "Create", "Update", "LateInitialize"]}
    if manifest["apiVersion"] == LEGACY:
        policy = {"deletionPolicy": "Orphan"}
    return {**manifest, "spec": {**manifest["spec"], **policy}}
