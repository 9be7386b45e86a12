"""example/object: documents delivered by the real provider-kubernetes to two other clusters, without Kratix."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from developer import Request, namespace

from testbed import example, profiles
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed
from testbed.run import Run

_API = "xp.fleet.example.org/v1alpha1"
_SLOW = 120.0
_RULES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "prometheusrules.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "PrometheusRule", "plural": "prometheusrules"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Testbed]:
    run = Run(f"fleet-{os.getpid()}")
    testbed = profiles.up("fleet", run, owner=os.getpid())
    try:
        yield testbed
    finally:
        run.end()


def test_a_team_space_on_every_cluster_of_its_region(fleet: Testbed):
    eu_1, eu_2 = fleet.others
    platform, loaded = fleet.plane.cluster, example.load("object")
    eu_1.cluster.apply(_RULES, namespace("monitoring"))
    for config, cluster in {"eu-1-admin": eu_1, "eu-2": eu_2, "watch": eu_1}.items():
        fleet.provider.reach(cluster, config=config)
    platform.apply(namespace("tenants"), *loaded.required, loaded.xrd, loaded.composition)
    eventually("the XRD's API is served", lambda: platform.serves(_API, "TeamSpace"), timeout=_SLOW)
    [xr] = loaded.xrs.values()
    space = Request(platform, xr)
    space.until("Ready", "True", timeout=_SLOW)
    for cluster in (eu_1.cluster, eu_2.cluster):
        quota = cluster.get("v1", "ResourceQuota", "space", "team-orders")
        assert quota
        assert quota["spec"]["hard"] == {"requests.cpu": "8", "requests.memory": "32Gi"}
        assert cluster.get("networking.k8s.io/v1", "NetworkPolicy", "from-own-namespace", "team-orders")
    rules = eu_1.cluster.get("monitoring.coreos.com/v1", "PrometheusRule", "team-orders", "monitoring")
    assert rules, "alerts are for the cluster that watches the others"
    assert eu_2.cluster.list("monitoring.coreos.com/v1", "PrometheusRule") == []

    space.apply({**xr, "spec": {**xr["spec"], "cpu": 4}})
    for cluster in (eu_1.cluster, eu_2.cluster):

        def cpu(cluster: Cluster = cluster) -> str:
            quota = cluster.get("v1", "ResourceQuota", "space", "team-orders") or {}
            return str(quota.get("spec", {}).get("hard", {}).get("requests.cpu"))

        eventually("the quota is the new one", lambda cpu=cpu: cpu() == "4", timeout=_SLOW, show=cpu)

    space.delete()
    eventually("the XR is gone", lambda: not space.seen(), timeout=_SLOW)
    for cluster in (eu_1.cluster, eu_2.cluster):
        eventually(
            "the namespace is gone",
            lambda cluster=cluster: not cluster.get("v1", "Namespace", "team-orders"),
            timeout=_SLOW,
            show=lambda cluster=cluster: cluster.get("v1", "Namespace", "team-orders"),
        )
