"""The bridge as a Promise, on the real Kratix: its files reach the platform's Destination, and what they say runs a bridge.

The testbed has no node, so Kratix's Jobs and the bridge's pod run as processes, with the rights that the Promise grants.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from agent import Agent
from bridging import KIND, XRD, BridgeProcess, crossplane_cluster, kubeconfig, until
from developer import KRATIX, Manifest

import jobs
from bridge import bundle
from bridge.api import names
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

_SLOW = 90.0
_START = 300.0  # of a process, on a busy machine
_PROMISE = Path(__file__).resolve().parents[2] / "package/deploy/bridge" / bundle.FILENAME
_PLATFORM, _CLUSTER, _WORKER = "with-kratix", "with-crossplane", "with-neither"
_LABELS: dict[str, dict[str, str]] = {
    _PLATFORM: {"bridge": "enabled", "kratix": "enabled", "crossplane": "enabled"},
    _CLUSTER: {"bridge": "enabled", "crossplane": "enabled"},
    _WORKER: {"environment": "worker"},
}


def _promise() -> Manifest:
    made: Manifest = yaml.safe_load(_PROMISE.read_text(encoding="utf-8"))
    return made


def _stored(testbed: Testbed) -> dict[str, set[str]]:
    """Kinds by Destination, of what the Promise has in the state store."""
    found: dict[str, set[str]] = {}
    for path, text in testbed.kratix.files().items():
        if f"/dependencies/{bundle.NAME}/" in path:
            kinds = {body["kind"] for body in yaml.safe_load_all(text) if body}
            found.setdefault(path.partition("/")[0], set()).update(kinds)
    return found


@pytest.fixture(scope="module")
def delivered(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """The Promise, with its pipelines run, on a platform that has Crossplane too, and a Crossplane cluster."""
    cluster = testbed.plane.cluster
    for name, labels in _LABELS.items():
        spec = {"path": name, "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}}
        metadata = {"name": name, "labels": labels}
        cluster.apply({"apiVersion": KRATIX, "kind": "Destination", "metadata": metadata, "spec": spec})
    promise = _promise()
    cluster.apply(promise)
    root = tmp_path_factory.mktemp("bundle")
    for pipeline in bundle.SELECTORS:
        assert jobs.run(cluster, pipeline, promise, root / pipeline, promise=promise).completed
    yield testbed


def test_each_destination_gets_what_it_needs(delivered: Testbed):
    roles = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    account = {"Namespace", "ServiceAccount"}
    wanted = {
        _PLATFORM: {*account, *roles, "CustomResourceDefinition", "Deployment"},
        _CLUSTER: {*account, *roles},
    }
    eventually(
        "the files are in the state store, and a worker has none",
        lambda: _stored(delivered) == wanted,
        timeout=_SLOW,
        show=lambda: _stored(delivered),
    )


def _published(cluster: Cluster) -> Any:
    return cluster.get(*XRD, "bundles.xp.bundle.example.org")


def test_what_an_agent_applies_of_it_runs_a_bridge(delivered: Testbed, tmp_path: Path):
    cluster = delivered.plane.cluster
    agent = Agent(delivered.kratix, _PLATFORM, cluster)

    def applied() -> bool:
        agent.sync()
        return cluster.serves(*KIND) and bool(cluster.get("apps/v1", "Deployment", _NAME, names.NAMESPACE))

    eventually("the bridge is installed by what is in the state store", applied, timeout=_SLOW)
    [container] = (cluster.get("apps/v1", "Deployment", _NAME, names.NAMESPACE) or {})["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == bundle.IMAGE
    assert list(container["command"]) == ["kratix-crossplane", "bridge"]
    config = tmp_path / "platform.kubeconfig"
    config.write_text(kubeconfig(delivered.plane), encoding="utf-8")
    process = BridgeProcess(config, tmp_path / "bridge")
    process.start()
    try:
        cluster.apply(crossplane_cluster("here", inCluster={}), _api())
        # Kratix writes one file after the other: what the bridge may read of Crossplane can come last.
        until(cluster, "here", "Synced", "True", timeout=_START, meanwhile=agent.sync)
        eventually("the Promise is published by it", lambda: _published(cluster), timeout=_SLOW)
        assert process.stop() == 0
    finally:
        process.kill()


_NAME = "kratix-crossplane-bridge"


def _api() -> Manifest:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    group = "bundle.example.org"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"bundles.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Bundle", "plural": "bundles", "singular": "bundle"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    metadata = {"name": "bundle", "labels": {"bridge.kratix.io/publish": "true"}}
    spec = {"api": crd, "destinationSelectors": [{"matchLabels": {"environment": "worker"}}]}
    return {"apiVersion": KRATIX, "kind": "Promise", "metadata": metadata, "spec": spec}


def test_what_must_not_go_stays_when_the_promise_goes(delivered: Testbed):
    """CrossplaneClusters and kubeconfigs; the Deployment goes, and with it nothing that was published."""
    cluster = delivered.plane.cluster
    agent = Agent(delivered.kratix, _PLATFORM, cluster)
    agent.sync()
    cluster.delete(KRATIX, "Promise", bundle.NAME)
    eventually("its files go", lambda: _stored(delivered) == {}, timeout=_SLOW, show=lambda: _stored(delivered))
    agent.sync()
    assert cluster.get("apps/v1", "Deployment", _NAME, names.NAMESPACE) is None
    assert cluster.serves(*KIND)
    assert cluster.get("v1", "Namespace", names.NAMESPACE)
    assert _published(cluster), "what was published stays"
