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

import bridging
import pytest
import simulated
import yaml
from agent import Agent
from bridging import BridgeProcess
from developer import Manifest, crd, namespace
from kubernetes.dynamic import exceptions

import jobs
import service
from testbed import profiles
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed
from testbed.run import Run

_SLOW = 240.0
_API = "services.example.org/v1alpha1"
_CLOUD = "cloud.example.org/v1alpha1"
_CNPG = "postgresql.cnpg.io/v1"
_TEAM = "team-orders"
_SITE = "cloud-eu"
_PROVIDER = "platform-provider-kubernetes"
_OF = {"promise": "crossplane", "name": "eu", "namespace": "platform"}
_CLUSTERS = crd("Cluster", "clusters", "postgresql.cnpg.io", status=True)


@dataclass(frozen=True)
class Platform:
    """The platform's cluster, and the clusters that GitOps agents keep."""

    cluster: Cluster
    cloud: Cluster
    dev: Cluster
    agents: tuple[Agent, ...]
    folder: Path
    others: Testbed

    def sync(self) -> dict[str, list[str]]:
        return {path: kinds for agent in self.agents for path, kinds in agent.sync().items()}

    def until(self, what: str, holds: Callable[[], Any]) -> Any:
        """Wait, while the agents go on applying."""

        def look() -> Any:
            self.sync()
            return holds()

        return eventually(what, look, timeout=_SLOW, show=self.shown)

    def shown(self) -> Any:
        """What tells why something did not come."""
        kinds = (("kubernetes.m.crossplane.io/v1alpha1", "Object"), (_CLOUD, "CloudPostgres"), (_CNPG, "Cluster"))
        found = [item for kind in kinds for item in self.cloud.list(*kind, _TEAM)]
        conditions = {f"{o['kind']} {o['metadata']['name']}": (o.get("status") or {}).get("conditions") for o in found}
        return {"files": self.sync(), "conditions": conditions, "provider": self.others.run.log_end(_PROVIDER)}

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
    found = Platform(cluster, cloud, dev, agents, tmp_path_factory.mktemp("jobs"), others)
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


# Kratix of 2024 has none yet; its fields and states are those of today's, so the API server judges what is written.
_RECORDS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "healthrecords.platform.kratix.io"},
    "spec": {
        "group": "platform.kratix.io",
        "scope": "Namespaced",
        "names": {"kind": "HealthRecord", "plural": "healthrecords"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "data": {
                                "type": "object",
                                "required": ["promiseRef", "state"],
                                "properties": {
                                    "promiseRef": {"type": "object", "properties": {"name": {"type": "string"}}},
                                    "resourceRef": {
                                        "type": "object",
                                        "required": ["name", "namespace"],
                                        "properties": {
                                            "name": {"type": "string"},
                                            "namespace": {"type": "string"},
                                            "generation": {"type": "integer"},
                                        },
                                    },
                                    "state": {
                                        "type": "string",
                                        "enum": ["unknown", "ready", "unhealthy", "healthy", "degraded"],
                                    },
                                    "lastRun": {"type": "integer", "format": "int64"},
                                    "details": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def bridge(platform: Platform, testbed: Testbed, others: Testbed) -> Iterator[BridgeProcess]:
    """The bridge, which brings back what the GitOps agents do not, with the roles for that and no others."""
    bridging.install_platform(platform.cluster)
    bridging.install_crossplane(platform.cloud)
    platform.cluster.apply(_RECORDS)
    for file in ("replies.yaml", "imports.yaml", "connection-secrets.yaml", "installations.yaml"):
        for cluster in (platform.cluster, platform.cloud):
            cluster.apply(*bridging.documents(file))
    process = BridgeProcess(platform.folder / "bridge.kubeconfig", platform.folder / "bridge")
    process.kubeconfig.write_text(bridging.kubeconfig(testbed.plane), encoding="utf-8")
    platform.cluster.apply(bridging.secret(_SITE, bridging.kubeconfig(others.plane)))
    imports = {"image": "registry.example.org/function-kratix:v0.1.0"}
    spec = {"kubeconfig": {"secretRef": {"name": _SITE}}, "imports": imports, "replies": {"connectionSecrets": True}}
    platform.cluster.apply(bridging.crossplane_cluster(_SITE, **spec))
    process.start()
    try:
        bridging.until(platform.cluster, _SITE, "Synced", "True")
        yield process
    finally:
        process.kill()


def _request(platform: Platform, name: str) -> Manifest:
    return platform.cluster.get(_API, "Postgres", name, _TEAM) or {}


def _records(platform: Platform, name: str) -> list[Manifest]:
    found = platform.cluster.list("platform.kratix.io/v1alpha1", "HealthRecord", _TEAM)
    return [record["data"] for record in found if record["data"]["resourceRef"]["name"] == name]


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


def test_simulate_says_what_became_of_it(platform: Platform, prod: Manifest):
    xr = platform.cloud.get(_CLOUD, "CloudPostgres", "orders", _TEAM) or {}
    outcome = simulated.outcomes(service.EXAMPLE / "crossplane")["orders"]
    expected = simulated.expected(outcome)
    assert simulated.conditions(xr["status"]["conditions"]) == expected["conditions"]
    assert simulated.timeless(xr["status"]["kratix"]) == expected["status"]
    composed = [(each, platform.cloud.get(*simulated.ref(each), _TEAM)) for each in outcome["composed"].values()]
    assert [simulated.delivered(found, like=each) for each, found in composed if found] == expected["composed"]


def test_status_health_and_connection_secret_come_back_to_the_requester(
    platform: Platform, prod: Manifest, bridge: BridgeProcess
):
    def said() -> Manifest:
        found: Manifest = (_request(platform, "orders").get("status") or {}).get("crossplane") or {}
        return found

    platform.until("the request says that it is ready", lambda: said().get("message") == "it is ready")
    assert said().items() >= {"cluster": _SITE, "kind": "CloudPostgres", "name": "orders", "namespace": _TEAM}.items()
    assert {(c["type"], c["status"]) for c in said()["conditions"]} >= {("Synced", "True"), ("Ready", "True")}
    secret = platform.until(
        "the connection Secret is in the team's namespace",
        lambda: platform.cluster.get("v1", "Secret", "orders-connection", _TEAM),
    )
    there = platform.cloud.get("v1", "Secret", "orders-connection", _TEAM) or {}
    assert secret["data"] == there["data"]
    assert said()["connectionSecret"] == "orders-connection"
    [owner] = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == _request(platform, "orders")["metadata"]["uid"], "it goes with the request"
    [record] = platform.until("there is a HealthRecord", lambda: _records(platform, "orders"))
    assert (record["state"], record["promiseRef"]) == ("healthy", {"name": "postgres-service"})
    value = there["data"]["uri"]
    assert value not in bridge.log.read_text(encoding="utf-8"), "no secret is in the log"
    checks = _request(platform, "orders")["status"]["checks"]
    assert checks["reason"] == "Audited", "what the pipeline said stays"


def test_a_database_that_is_lost_is_said(platform: Platform, prod: Manifest, bridge: BridgeProcess):
    lost = {"type": "Ready", "status": "False", "reason": "Lost", "lastTransitionTime": "2026-11-25T00:00:00Z"}
    reference = {"apiVersion": _CNPG, "kind": "Cluster", "metadata": {"name": "orders", "namespace": _TEAM}}
    platform.cloud.patch_status({**reference, "status": {"conditions": [lost]}})
    platform.until("it is unhealthy", lambda: [r["state"] for r in _records(platform, "orders")] == ["unhealthy"])
    _operate(platform.cloud, "orders")
    platform.until("it is healthy again", lambda: [r["state"] for r in _records(platform, "orders")] == ["healthy"])


def test_an_xrd_with_the_label_becomes_a_promise(platform: Platform, bridge: BridgeProcess):
    group = "buckets.example.org"
    version = {"name": "v1", "served": True, "referenceable": True}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    xrd = {
        "apiVersion": "apiextensions.crossplane.io/v2",
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": f"buckets.{group}", "labels": {"bridge.kratix.io/import": "true"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Bucket", "plural": "buckets"},
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    step = {"step": "compose", "functionRef": {"name": "function-kratix"}}
    composition = {
        "apiVersion": "apiextensions.crossplane.io/v1",
        "kind": "Composition",
        "metadata": {"name": "buckets"},
        "spec": {
            "compositeTypeRef": {"apiVersion": f"{group}/v1", "kind": "Bucket"},
            "mode": "Pipeline",
            "pipeline": [step],
        },
    }
    platform.cloud.apply(xrd, composition)

    def made() -> list[str]:
        found = platform.cluster.get("platform.kratix.io/v1alpha1", "Promise", "bucket") or {}
        return [item["kind"] for item in found.get("spec", {}).get("dependencies", ())]

    wanted = ["Function", "CompositeResourceDefinition", "Composition"]
    platform.until("there is a Promise with its dependencies, in order", lambda: made() == wanted)
    eventually("Kratix serves it", partial(platform.cluster.serves, f"kratix.{group}/v1", "Bucket"), timeout=_SLOW)
    found = platform.cluster.get("platform.kratix.io/v1alpha1", "Promise", "bucket") or {}
    assert found["spec"]["destinationSelectors"] == [{"matchLabels": {"crossplane": "enabled"}}]

    platform.cloud.delete("apiextensions.crossplane.io/v1", "Composition", "buckets")
    platform.until("it follows", lambda: made() == ["CompositeResourceDefinition"])
    platform.cloud.delete("apiextensions.crossplane.io/v2", "CompositeResourceDefinition", f"buckets.{group}")

    def kept() -> list[str]:
        return [k["name"] for k in bridging.status(platform.cluster, _SITE).get("kept", ()) if k["kind"] == "XRD"]

    platform.until("it is said that the Promise stays", lambda: kept() == [f"buckets.{group}"])
    assert platform.cluster.get("platform.kratix.io/v1alpha1", "Promise", "bucket"), "with it all requests would go"
    platform.sync()
    assert platform.cloud.get("pkg.crossplane.io/v1", "Function", "function-kratix"), "others call it too"


def test_an_installation_says_how_many_managed_resources_it_has(
    platform: Platform, prod: Manifest, bridge: BridgeProcess
):
    """As `stage crossplane` and a GitOps agent would leave it: a request whose status Kratix wrote, and core's Deployment."""
    promise = yaml.safe_load((service.EXAMPLE.parent / "promise-crossplane/promise.yaml").read_text(encoding="utf-8"))
    platform.cluster.apply(promise, namespace("platform"))
    api = "bridge.kratix.io/v1alpha1"
    eventually("Kratix serves it", partial(platform.cluster.serves, api, "Crossplane"), timeout=_SLOW)
    request = {"apiVersion": api, "kind": "Crossplane", "metadata": {"name": "eu", "namespace": "platform"}, "spec": {}}
    platform.cluster.apply(request)
    platform.cluster.patch_status({**request, "status": {"crossplane": {"version": "v2.3.4"}}})
    labels = {f"kratix.fn.crossplane.io/request-{key}": value for key, value in _OF.items()}
    template = {
        "metadata": {"labels": {"app": "crossplane"}},
        "spec": {"containers": [{"name": "core", "image": "core"}]},
    }
    # What the RBAC manager makes for a Provider that is installed as a package, which this one is not.
    groups = ["kubernetes.crossplane.io", "kubernetes.m.crossplane.io"]
    view = {"name": "provider-kubernetes:view", "labels": {"rbac.crossplane.io/aggregate-to-view": "true"}}
    rule = {"apiGroups": groups, "resources": ["*"], "verbs": ["get", "list", "watch"]}
    rbac = "rbac.authorization.k8s.io/v1"
    platform.cloud.apply({"apiVersion": rbac, "kind": "ClusterRole", "metadata": view, "rules": [rule]})
    platform.cloud.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "crossplane", "namespace": "crossplane-system", "labels": labels},
            "spec": {"selector": {"matchLabels": {"app": "crossplane"}}, "template": template},
        }
    )

    def said() -> Manifest:
        found: Manifest = (platform.cluster.get(api, "Crossplane", "eu", "platform") or {}).get("status") or {}
        return dict(found.get("crossplane") or {})

    # The database's Object, and no other: provider-kubernetes has two kinds that are managed, in two groups.
    platform.until("the number is there", lambda: said().get("managedResources") == 1)
    assert (said()["cluster"], said()["version"]) == (_SITE, "v2.3.4")
    assert said()["health"] == "unhealthy", "there is no node for core to run on"

    def recorded() -> list[Any]:
        found = platform.cluster.list("platform.kratix.io/v1alpha1", "HealthRecord", "platform")
        data = [record["data"] for record in found]
        return [(d["promiseRef"]["name"], d["state"], d["details"]["managedResources"]) for d in data]

    wanted = [("crossplane", "unhealthy", 1)]
    eventually("its HealthRecord says so too", lambda: recorded() == wanted, timeout=_SLOW, show=recorded)


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
    assert all(path.startswith("dev-dense/") for path in platform.sync() if "/postgres-service/sandbox/" in path)
