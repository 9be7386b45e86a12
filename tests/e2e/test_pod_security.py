"""What the API server says of our pods in a namespace that takes restricted ones alone, and of the files for Kustomize.

There is no node: pods are admitted, and wait for one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from developer import crd, namespace
from installing import ANY_USER, BRIDGE, DEPLOY, Person, give_user, overlay, restricted

import chart
from bridge.api import names
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

Manifest = dict[str, Any]

_SLOW = 60.0
_STRICT, _GIVEN = "strict", "strict-with-users"
_MONITORING = "monitoring.coreos.com"
_IMAGE = "registry.example.org/function-kratix"


@pytest.fixture(scope="module")
def person(controllers: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(controllers.plane, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def cluster(person: Person) -> Cluster:
    found = person.plane.cluster
    found.apply(*map(restricted, (_STRICT, _GIVEN, names.NAMESPACE)))
    found.apply(*map(namespace, (names.LEASE_NAMESPACE, "crossplane-system")))
    for name in (_STRICT, _GIVEN):
        for account in ("default", BRIDGE):
            found.apply(
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": name}}
            )
    return found


def _bridge() -> Manifest:
    [deployment] = (each for each in chart.rendered(chart.IMAGE) if each["kind"] == "Deployment")
    template: Manifest = deployment["spec"]["template"]
    return template


def _function() -> Manifest:
    config = yaml.safe_load((DEPLOY / "function/runtime.yaml").read_text(encoding="utf-8"))
    template: Manifest = config["spec"]["deploymentTemplate"]["spec"]["template"]
    # Crossplane knows it from the package.
    template["spec"]["containers"][0]["image"] = _IMAGE
    return template


TEMPLATES = {"the bridge, by its chart": _bridge, "the function, by its DeploymentRuntimeConfig": _function}


def _pod(template: Manifest, where: str) -> Manifest:
    metadata = {**template["metadata"], "name": "pod", "namespace": where}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_restricted_namespace_takes_the_pod(person: Person, cluster: Cluster, name: str):
    """Strictly: no field is unknown."""
    text = json.dumps(_pod(TEMPLATES[name](), _STRICT))
    said = person.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", given=text)
    assert said == "pod/pod serverside-applied (server dry run)\n"
    assert cluster.would_be(json.loads(text))["spec"]["securityContext"].get("runAsUser") is None


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_restricted_namespace_refuses_the_pod_without_its_security_context(cluster: Cluster, name: str):
    template = TEMPLATES[name]()
    del template["spec"]["securityContext"]
    assert cluster.would_be(_pod(template, _STRICT)) == {}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_cluster_may_give_the_pod_its_user(cluster: Cluster, name: str):
    give_user(cluster, _GIVEN)
    assert cluster.would_be(_pod(TEMPLATES[name](), _GIVEN))["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": ANY_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_kustomize_base_of_the_bridge_is_applied(person: Person, cluster: Cluster, tmp_path: Path):
    """With what its comment says: an overlay names the image, and other roles are applied beside it."""
    image = {"name": "function-kratix", "newName": _IMAGE, "digest": chart.DIGEST}
    made = overlay(tmp_path, "bridge", images=[image])
    files = [word for role in chart.ROLES for word in ("-f", DEPLOY / f"bridge/{role}.yaml")]
    person.kubectl("apply", "-k", made)
    person.kubectl("apply", *files)
    assert person.kubectl("diff", "-k", made) == "", "it is there as asked, and other roles take nothing from it"
    assert person.kubectl("diff", *files) == ""
    eventually("CrossplaneClusters are served", lambda: cluster.serves(names.API_VERSION, names.KIND), timeout=_SLOW)
    assert person.may(names.NAMESPACE, "watch", f"{names.PLURAL}.{names.GROUP}")

    def pods() -> list[Manifest]:
        return cluster.list("v1", "Pod", names.NAMESPACE, labels=f"app.kubernetes.io/name={BRIDGE}")

    def said() -> object:
        return (cluster.get("apps/v1", "Deployment", BRIDGE, names.NAMESPACE) or {}).get("status")

    eventually("the restricted namespace takes its pods", lambda: len(pods()) == 2, timeout=_SLOW, show=said)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods()} == {f"{_IMAGE}@{chart.DIGEST}"}


def test_the_pod_monitor_of_the_function_is_applied(person: Person, cluster: Cluster):
    file = DEPLOY / "function/monitor.yaml"
    wanted = yaml.safe_load(file.read_text(encoding="utf-8"))
    cluster.apply(crd("PodMonitor", "podmonitors", _MONITORING))
    eventually("PodMonitors are served", lambda: cluster.serves(wanted["apiVersion"], wanted["kind"]), timeout=_SLOW)
    person.kubectl("apply", "--validate=strict", "-f", file)
    made = cluster.get(wanted["apiVersion"], wanted["kind"], "function-kratix", "crossplane-system")
    assert made is not None
    assert made["spec"] == wanted["spec"]
