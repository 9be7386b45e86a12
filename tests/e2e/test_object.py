"""example/object: documents delivered by the real provider-kubernetes to two other clusters, without Kratix."""

from __future__ import annotations

import copy

import pytest
from developer import KRATIX, Request

from testbed import example
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SLOW = 120.0
_OBJECT = "kubernetes.m.crossplane.io/v1alpha1"
_WRITTEN = {
    "type": "WriteSucceeded",
    "status": "True",
    "reason": "Written",
    "message": "by this test",
    "lastTransitionTime": "2026-11-27T20:00:00Z",
}
_INVENTORY = ("apiextensions.crossplane.io/v1beta1", "EnvironmentConfig")


@pytest.fixture(scope="module")
def space(fleet: Testbed) -> Request:
    [xr] = example.load("object").xrs.values()
    return Request(fleet.plane.cluster, xr)


def _cpu(cluster: Cluster) -> str:
    quota = cluster.get("v1", "ResourceQuota", "space", "team-orders") or {}
    return str(quota.get("spec", {}).get("hard", {}).get("requests.cpu"))


def test_a_team_space_on_every_cluster_of_its_region(fleet: Testbed, space: Request):
    eu_1, eu_2 = (other.cluster for other in fleet.others)
    space.until("Ready", "True", timeout=_SLOW)
    for cluster in (eu_1, eu_2):
        quota = cluster.get("v1", "ResourceQuota", "space", "team-orders")
        assert quota
        assert quota["spec"]["hard"] == {"requests.cpu": "8", "requests.memory": "32Gi"}
        assert cluster.get("networking.k8s.io/v1", "NetworkPolicy", "from-own-namespace", "team-orders")
    rules = eu_1.get("monitoring.coreos.com/v1", "PrometheusRule", "team-orders", "monitoring")
    assert rules, "alerts are for the cluster that watches the others"
    assert eu_2.list("monitoring.coreos.com/v1", "PrometheusRule") == []


# The seven Objects come with so many updates that Crossplane's circuit breaker drops events of this XR for five minutes.
def test_a_changed_request_changes_what_is_on_the_clusters(fleet: Testbed, space: Request):
    [xr] = example.load("object").xrs.values()
    space.apply({**xr, "spec": {**xr["spec"], "cpu": 4}})
    for other in fleet.others:
        eventually("the quota is the new one", lambda c=other.cluster: _cpu(c) == "4", timeout=_SLOW)


def test_what_was_delivered_stays_while_the_inventory_is_missing(fleet: Testbed, space: Request):
    """Every Destination is gone, as after a bridge that starts with an empty cache: rule 1."""
    platform = fleet.plane.cluster
    space.until("Ready", "True", timeout=_SLOW)
    before = {m["metadata"]["name"]: m["metadata"]["uid"] for m in platform.list(_OBJECT, "Object", "tenants")}
    inventory = [m for m in example.load("object").required if m["kind"] == "EnvironmentConfig"]
    for config in inventory:
        platform.delete(*_INVENTORY, config["metadata"]["name"])
    eventually("the inventory is empty", lambda: not platform.list(*_INVENTORY), timeout=_SLOW)
    [xr] = example.load("object").xrs.values()
    space.apply({**xr, "metadata": {**xr["metadata"], "labels": {"touched": "yes"}}})  # a reconcile, now
    try:
        scheduled = space.until("Scheduled", "False", timeout=_SLOW)
        assert "eu-1" in scheduled["message"], "it says which Destination is gone"
        after = {m["metadata"]["name"]: m["metadata"]["uid"] for m in platform.list(_OBJECT, "Object", "tenants")}
        assert after == before
        for other in fleet.others:
            assert other.cluster.get("v1", "Namespace", "team-orders")
    finally:
        platform.apply(*inventory)
    space.until("Ready", "True", timeout=_SLOW)
    after = {m["metadata"]["name"]: m["metadata"]["uid"] for m in platform.list(_OBJECT, "Object", "tenants")}
    assert after == before


def test_what_objects_made_stays_when_files_bring_it(fleet: Testbed, space: Request):
    """A change to WorkPlacements and back: provider-kubernetes deletes its Objects, and nothing of what they made."""
    platform = fleet.plane.cluster
    fleet.kratix.install_api()
    composition = example.load("object").composition
    by_files = copy.deepcopy(dict(composition))
    by_files["spec"]["pipeline"][0]["input"]["deliver"] = {"as": "WorkPlacement"}
    before = [_made(other.cluster) for other in fleet.others]
    assert all(uid for made in before for uid in made.values())

    def are_gone() -> bool:
        for placement in platform.list(KRATIX, "WorkPlacement", "tenants"):
            del placement["metadata"]["resourceVersion"]  # core may have written since
            # As Kratix's writer says it: no Kratix runs here.
            platform.patch_status({**placement, "status": {"conditions": [_WRITTEN]}})
        return not platform.list(_OBJECT, "Object", "tenants")

    platform.apply(by_files)
    try:
        eventually("the Objects are gone", are_gone, timeout=2 * _SLOW)
        assert [_made(other.cluster) for other in fleet.others] == before
    finally:
        platform.apply(composition)
    eventually("the files are gone", lambda: not platform.list(KRATIX, "WorkPlacement", "tenants"), timeout=2 * _SLOW)
    space.until("Ready", "True", timeout=_SLOW)
    assert [_made(other.cluster) for other in fleet.others] == before


def _made(cluster: Cluster) -> dict[str, str]:
    """The UIDs of what a team has on a cluster; empty for what is not there, or goes."""
    found = {
        "namespace": cluster.get("v1", "Namespace", "team-orders"),
        "quota": cluster.get("v1", "ResourceQuota", "space", "team-orders"),
    }
    return {
        what: each["metadata"]["uid"] if each and "deletionTimestamp" not in each["metadata"] else ""
        for what, each in found.items()
    }


def test_deletion_removes_everything_from_the_clusters(fleet: Testbed, space: Request):
    space.delete()
    eventually("the XR is gone", lambda: not space.seen(), timeout=_SLOW)
    for other in fleet.others:

        def left(cluster: Cluster = other.cluster) -> object:
            return cluster.get("v1", "Namespace", "team-orders")

        eventually("the namespace is gone", lambda left=left: not left(), timeout=_SLOW, show=left)
