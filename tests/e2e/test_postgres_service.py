"""example/postgres-service, end to end: the real Kratix, and the real core and provider-kubernetes on another cluster.

Kratix runs on the platform's control plane. A provider cluster has Crossplane, this function and provider-kubernetes,
and a dev cluster has neither; both get the state store's files as a GitOps agent applies them, and nothing else. There
are no nodes, so Kratix's Jobs run as processes (jobs.py), and the databases' operator is played: it says that a Cluster
is ready and makes its Secret, as CloudNativePG does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jobs
import pytest
import yaml
from agent import Agent
from developer import Manifest, namespace
from kubernetes.dynamic import exceptions

import service
from testbed import profiles
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed
from testbed.run import Run

_SLOW = 120.0
_API = "services.example.org/v1alpha1"
_CLOUD = "cloud.example.org/v1alpha1"
_CNPG = "postgresql.cnpg.io/v1"
_TEAM = "team-orders"
_CLUSTERS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "clusters.postgresql.cnpg.io"},
    "spec": {
        "group": "postgresql.cnpg.io",
        "scope": "Namespaced",
        "names": {"kind": "Cluster", "plural": "clusters"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@dataclass(frozen=True)
class Platform:
    """The platform's cluster, and the clusters that GitOps agents keep."""

    cluster: Cluster
    cloud: Cluster
    dev: Cluster
    agents: tuple[Agent, ...]
    folder: Path

    def sync(self) -> dict[str, list[str]]:
        return {path: kinds for agent in self.agents for path, kinds in agent.sync().items()}

    def until(self, what: str, holds: Callable[[], Any]) -> Any:
        """Wait, while the agents go on applying."""

        def look() -> Any:
            self.sync()
            return holds()

        return eventually(what, look, timeout=_SLOW, show=self.sync)

    def ask(self, name: str, run: str = "") -> service.Ended:
        """Apply a request of the example, and run the Job that Kratix makes for it."""
        request = service.request(name)
        self.cluster.apply(request)
        return jobs.run(self.cluster, "service", request, self.folder / f"{name}{run}")


@pytest.fixture(scope="module")
def others() -> Iterator[Testbed]:
    """A provider cluster, with Crossplane and provider-kubernetes, and dev clusters."""
    run = Run(f"service-{os.getpid()}")
    testbed = profiles.up("fleet", run, owner=os.getpid())
    try:
        yield testbed
    finally:
        run.end()


@pytest.fixture(scope="module")
def platform(testbed: Testbed, others: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    cluster, cloud, dev = testbed.plane.cluster, others.plane.cluster, others.others[0].cluster
    for each in (cloud, dev):
        each.apply(_CLUSTERS, namespace(_TEAM))
        eventually("CloudNativePG's API is served", partial(each.serves, _CNPG, "Cluster"), timeout=_SLOW)
    others.provider.reach(others.plane, config="cloud")
    cluster.apply(namespace("billing"), namespace(_TEAM), namespace("team-reports"))
    for file in ("destinations.yaml", "context.yaml"):
        cluster.apply(*yaml.safe_load_all((service.EXAMPLE / file).read_text(encoding="utf-8")))
    cluster.apply(service.PROMISE)
    agents = (Agent(testbed.kratix, "cloud-eu", cloud), Agent(testbed.kratix, "dev-dense", dev))
    found = Platform(cluster, cloud, dev, agents, tmp_path_factory.mktemp("jobs"))
    assert jobs.run(cluster, "crossplane", service.PROMISE, found.folder / "promise").completed
    eventually("Kratix serves the Promise's API", partial(cluster.serves, _API, "Postgres"), timeout=_SLOW)
    found.until("the provider cluster serves the XRD's API", partial(cloud.serves, _CLOUD, "CloudPostgres"))
    return found


def _stored(platform: Platform, name: str) -> list[str]:
    return [path for path in platform.sync() if f"/postgres-service/{name}/" in path]


def _ready(manifest: Manifest | None) -> bool:
    conditions = ((manifest or {}).get("status") or {}).get("conditions") or ()
    return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)


def _operate(cluster: Cluster, name: str) -> None:
    """What CloudNativePG does with a Cluster."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-app", "namespace": _TEAM},
            "stringData": {"uri": f"postgresql://app:drawn@{name}-rw.{_TEAM}:5432/app"},
        }
    )
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "ClusterIsReady",
        "lastTransitionTime": "2026-11-25T00:00:00Z",
    }
    reference = {"apiVersion": _CNPG, "kind": "Cluster", "metadata": {"name": name, "namespace": _TEAM}}
    cluster.patch_status({**reference, "status": {"conditions": [ready]}})


@pytest.fixture(scope="module")
def prod(platform: Platform) -> Manifest:
    """The request for prod, delegated: the XR on the provider cluster."""
    assert platform.ask("prod").completed
    found: Manifest = platform.until(
        "the agent brings the XR", lambda: platform.cloud.get(_CLOUD, "CloudPostgres", "orders", _TEAM)
    )
    return found


def test_only_provider_clusters_get_the_xrd(platform: Platform):
    found = {path.partition("/")[0]: [] for path in platform.sync()}
    for path, kinds in sorted(platform.sync().items()):
        if "/dependencies/postgres-service/" in path:
            found[path.partition("/")[0]] += kinds
    assert found == {"cloud-eu": ["CompositeResourceDefinition", "Composition"], "dev-dense": []}


def test_prod_is_made_by_crossplane_on_the_provider_cluster(platform: Platform, prod: Manifest):
    assert prod["spec"] | {"crossplane": None} == {
        "costCentre": "CC-1001",
        "storageGB": 100,
        "version": "17",
        "crossplane": None,
    }, "decorated before it was delegated"
    database = platform.until(
        "provider-kubernetes makes the database", lambda: platform.cloud.get(_CNPG, "Cluster", "orders", _TEAM)
    )
    assert database["metadata"]["labels"] == {"example.org/cost-centre": "CC-1001"}
    assert (database["spec"]["instances"], database["spec"]["storage"]) == (3, {"size": "100Gi"})
    assert not _ready(platform.cloud.get(_CLOUD, "CloudPostgres", "orders", _TEAM)), "nothing is ready before it is"
    _operate(platform.cloud, "orders")
    platform.until("the XR is Ready", lambda: _ready(platform.cloud.get(_CLOUD, "CloudPostgres", "orders", _TEAM)))
    secret = platform.until(
        "it has a connection Secret", lambda: platform.cloud.get("v1", "Secret", "orders-connection", _TEAM)
    )
    assert set(secret["data"]) == {"uri"}
    assert all(path.startswith("cloud-eu/") for path in _stored(platform, "orders"))
    assert platform.dev.list(_CNPG, "Cluster") == []


def test_dev_shares_the_dense_cluster_without_crossplane(platform: Platform):
    assert platform.ask("dev").completed
    database = platform.until("the agent brings it", lambda: platform.dev.get(_CNPG, "Cluster", "sandbox", _TEAM))
    assert database["spec"]["resources"]["requests"] == {"cpu": "50m", "memory": "128Mi"}
    assert database["metadata"]["labels"]["example.org/cost-centre"] == "CC-1001"
    assert all(path.startswith("dev-dense/") for path in _stored(platform, "sandbox"))
    assert platform.cloud.get(_CLOUD, "CloudPostgres", "sandbox", _TEAM) is None


@pytest.mark.parametrize(("name", "request_name"), [("denied", "reports"), ("insecure", "vectors")])
def test_what_a_gate_denies_is_not_delivered(platform: Platform, name: str, request_name: str):
    ended = platform.ask(name)
    assert not ended.completed
    assert "ChecksPassed is False" in ended.said
    namespace_ = service.request(name)["metadata"]["namespace"]
    works = platform.cluster.list("platform.kratix.io/v1alpha1", "Work", namespace_)
    assert [w for w in works if w["spec"].get("resourceName") == request_name] == []
    assert _stored(platform, request_name) == []


def test_a_database_does_not_move_between_environments(platform: Platform, prod: Manifest):
    request = service.request("prod")
    with pytest.raises(exceptions.UnprocessibleEntityError, match="does not move between environments"):
        platform.cluster.apply({**request, "spec": {**request["spec"], "env": "dev"}})


def test_a_change_is_judged_again_and_reaches_the_database(platform: Platform, prod: Manifest):
    request = service.request("prod")
    larger = {**request, "spec": {**request["spec"], "storageGB": 200}}
    platform.cluster.apply(larger)
    assert jobs.run(platform.cluster, "service", larger, platform.folder / "larger").completed

    def size() -> Any:
        return (platform.cloud.get(_CNPG, "Cluster", "orders", _TEAM) or {}).get("spec", {}).get("storage")

    platform.until("the database is larger", lambda: size() == {"size": "200Gi"})
    platform.cluster.apply({**request, "spec": {**request["spec"], "storageGB": 4000}})
    ended = jobs.run(platform.cluster, "service", request, platform.folder / "huge")
    assert "team-orders has 600 euros a month left; this database costs 4150" in ended.said
    platform.sync()
    assert size() == {"size": "200Gi"}, "what was delivered before stays"


def test_a_request_that_goes_takes_its_database_with_it(platform: Platform, prod: Manifest):
    platform.cluster.delete(_API, "Postgres", "orders", _TEAM)
    platform.until("the XR goes", lambda: not platform.cloud.get(_CLOUD, "CloudPostgres", "orders", _TEAM))
    platform.until("the database goes", lambda: not platform.cloud.get(_CNPG, "Cluster", "orders", _TEAM))
    assert platform.dev.get(_CNPG, "Cluster", "sandbox", _TEAM), "another's stays"
