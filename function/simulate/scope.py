"""Which kinds are cluster-scoped: from the definitions that are there, else by what is well known."""

from __future__ import annotations

from function.api import names, object
from function.model import JsonObject, lookup
from function.simulate.cluster import Cluster


def group(api_version: str) -> str:
    """The API group of an apiVersion; empty for core's own."""
    return api_version.rpartition("/")[0]


_WELL_KNOWN = {
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.crossplane.io", "Composition"),
    ("apiextensions.crossplane.io", "CompositeResourceDefinition"),
    ("apiextensions.crossplane.io", "EnvironmentConfig"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("pkg.crossplane.io", "Configuration"),
    ("pkg.crossplane.io", "Function"),
    ("pkg.crossplane.io", "Provider"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
    (group(names.KRATIX_API_VERSION), "Destination"),
    (group(names.KRATIX_API_VERSION), "Promise"),
    (group(object.LEGACY), "Object"),
}
_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_XRDS = tuple((f"apiextensions.crossplane.io/{version}", "CompositeResourceDefinition") for version in ("v1", "v2"))


def is_cluster_scoped(body: JsonObject, cluster: Cluster) -> bool:
    """Whether an object's kind is cluster-scoped, as far as it can be known without an API server."""
    wanted = group(str(body.get("apiVersion", ""))), str(body.get("kind", ""))
    for api_version, kind in (_CRD, *_XRDS):
        for definition in cluster.matching(api_version, kind):
            if (lookup(definition, "spec", "group"), lookup(definition, "spec", "names", "kind")) == wanted:
                # A v1 XRD is of legacy, cluster-scoped XRs unless it says otherwise; a v2 XRD of namespaced ones.
                default = "Cluster" if api_version.endswith("crossplane.io/v1") else "Namespaced"
                return str(lookup(definition, "spec", "scope") or default) != "Namespaced"
    return wanted in _WELL_KNOWN
