"""The kinds that the bridge itself knows, and where an API server has them."""

from __future__ import annotations

from typing import Final

from bridge.api import names as own
from bridge.resources import Resource

_KRATIX, _CROSSPLANE = "platform.kratix.io", "apiextensions.crossplane.io"

CLUSTER: Final = Resource(own.GROUP, "v1alpha1", own.KIND, own.PLURAL, namespaced=False)
PROMISE: Final = Resource(_KRATIX, "v1alpha1", "Promise", "promises", namespaced=False)
DESTINATION: Final = Resource(_KRATIX, "v1alpha1", "Destination", "destinations", namespaced=False)
WORK: Final = Resource(_KRATIX, "v1alpha1", "Work", "works", namespaced=True)
CONFIG_MAP: Final = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
SECRET: Final = Resource("", "v1", "Secret", "secrets", namespaced=True)
NAMESPACE: Final = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
EVENT: Final = Resource("events.k8s.io", "v1", "Event", "events", namespaced=True)
LEASE: Final = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
DEPLOYMENT: Final = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)

XRD: Final = Resource(
    _CROSSPLANE, "v2", "CompositeResourceDefinition", "compositeresourcedefinitions", namespaced=False
)
COMPOSITION: Final = Resource(_CROSSPLANE, "v1", "Composition", "compositions", namespaced=False)
ENVIRONMENT_CONFIG: Final = Resource(
    _CROSSPLANE, "v1beta1", "EnvironmentConfig", "environmentconfigs", namespaced=False
)
CRD: Final = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
# provider-kubernetes has two APIs (apis/cluster, apis/namespaced); a cluster may have either, both or none.
PROVIDER_CONFIG: Final = Resource(
    "kubernetes.crossplane.io", "v1alpha1", "ProviderConfig", "providerconfigs", namespaced=False
)
CLUSTER_PROVIDER_CONFIG: Final = Resource(
    "kubernetes.m.crossplane.io", "v1alpha1", "ClusterProviderConfig", "clusterproviderconfigs", namespaced=False
)
PROVIDER_CONFIGS: Final = (PROVIDER_CONFIG, CLUSTER_PROVIDER_CONFIG)
INVENTORY: Final = (ENVIRONMENT_CONFIG, *PROVIDER_CONFIGS)
OBJECTS: Final = (
    Resource("kubernetes.crossplane.io", "v1alpha2", "Object", "objects", namespaced=False),
    Resource("kubernetes.m.crossplane.io", "v1alpha1", "Object", "objects", namespaced=True),
)
