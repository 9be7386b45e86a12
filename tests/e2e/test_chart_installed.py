"""The bridge's chart as helm installs, changes and removes it, on an API server and a node that runs what it asks for.

The Prometheus operator's kinds are stand-ins that take all fields. Two pods of the bridge want one port of the node, so
one of them waits.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bridging import KIND, condition, crossplane_cluster, secret, until
from developer import crd, namespace
from installing import ANY_USER, BRIDGE, Person, give_user, users

import chart
from bridge.api import names
from testbed import certificates, image
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

Manifest = dict[str, Any]
Key = tuple[str, str, str, str]

_SLOW = 120.0
_NAMESPACE = chart.NAMESPACE
_RELEASE, _SITE = "bridge", "here"
_MONITORING = "monitoring.coreos.com/v1"
_DEPLOYMENT = ("apps/v1", "Deployment", _NAMESPACE, BRIDGE)
_DISRUPTION = ("policy/v1", "PodDisruptionBudget", _NAMESPACE, BRIDGE)
_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", f"{names.PLURAL}.{names.GROUP}")
_WATCHED = f"{names.PLURAL}.{names.GROUP}"
_ASK = """
import ssl, sys, urllib.error, urllib.request
address, authority = sys.argv[1:]
trusted = ssl.create_default_context(cafile=authority) if authority else None
try:
    print(urllib.request.urlopen(address, context=trusted, timeout=20).read().decode())
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


@pytest.fixture(scope="module")
def person(node: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Before anything is installed."""
    cluster = node.plane.cluster
    node.node.load(image.ours())
    node.kratix.install_api()
    cluster.apply(*map(namespace, (_NAMESPACE, names.LEASE_NAMESPACE, "crossplane-system")))
    cluster.apply(crd("ServiceMonitor", "servicemonitors", _MONITORING.partition("/")[0]))
    eventually("ServiceMonitors are served", lambda: cluster.serves(_MONITORING, "ServiceMonitor"), timeout=_SLOW)
    authority = certificates.authority("e2e")
    node.plane.write("page", {"ca.crt": authority.certificate})
    files = certificates.issue(authority, "page", ["127.0.0.1"]).files
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "page", "namespace": _NAMESPACE},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
        }
    )
    give_user(cluster, _NAMESPACE)
    return Person(node.plane, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def values(node: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that can be turned on; the image by its digest, of which the node has it."""
    repository = image.OURS.rpartition(":")[0]
    digest = node.node.digest(image.OURS)
    node.node.tag(image.OURS, f"{repository}@{digest}")
    given = {
        "image": {"repository": repository, "digest": digest},
        "roles": list(chart.ROLES),
        "options": {"workers": 2, "resync": "5m", "debug": True},
        "ui": {"enabled": True, "tlsSecret": "page"},
        "podLabels": {"team": "platform"},
        "podAnnotations": {"example.org/owner": "platform"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "priorityClassName": "system-cluster-critical",
        "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}},
        "networkPolicy": {"enabled": True},
    }
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cluster(person: Person, values: Path) -> Iterator[Cluster]:
    """With the chart installed."""
    person.helm("install", _RELEASE, chart.FOLDER, "-n", _NAMESPACE, "-f", values)
    yield person.plane.cluster
    person.helm("uninstall", _RELEASE, "-n", _NAMESPACE, "--ignore-not-found")


def _asked(person: Person) -> dict[Key, Manifest]:
    """What helm says that it installed."""
    text = person.helm("get", "manifest", _RELEASE, "-n", _NAMESPACE)
    return {
        (each["apiVersion"], each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each
        for each in yaml.safe_load_all(text)
        if each
    }


def _get(cluster: Cluster, key: Key) -> Manifest:
    api_version, kind, where, name = key
    return cluster.get(api_version, kind, name, where or None) or {}


def _version(metadata: Manifest) -> object:
    """What changes with what is asked for, and where there is that, not with a status."""
    return metadata.get("generation") or metadata["resourceVersion"]


def _pods(cluster: Cluster) -> list[Manifest]:
    return cluster.list("v1", "Pod", _NAMESPACE, labels=f"app.kubernetes.io/name={BRIDGE}")


def _running(cluster: Cluster) -> Manifest:
    """The pod that the kubelet found ready."""

    def ready() -> Manifest:
        for pod in _pods(cluster):
            if any((item["type"], item["status"]) == ("Ready", "True") for item in pod["status"].get("conditions", ())):
                return pod
        return {}

    return eventually(
        "a pod of the bridge is ready",
        ready,
        timeout=_SLOW,
        show=lambda: [pod["status"] for pod in _pods(cluster)],
    )


def test_each_object_is_there_as_asked(person: Person, cluster: Cluster):
    asked = _asked(person)
    kinds = {kind for _, kind, *_ in asked}
    assert kinds >= {"Deployment", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "Service", "ClusterRole"}
    assert {key for key in asked if not _get(cluster, key)} == set()
    for key in asked:
        assert _get(cluster, key)["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm", key
    text = yaml.safe_dump_all(asked.values())
    changed = person.kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", given=text)
    assert changed == "", "to apply it again would change nothing"


def test_what_was_turned_on_is_on(cluster: Cluster, values: Path):
    given = yaml.safe_load(values.read_text(encoding="utf-8"))
    spec = _get(cluster, _DEPLOYMENT)["spec"]
    assert spec["replicas"] == 2
    pod = spec["template"]
    [container] = pod["spec"]["containers"]
    assert container["image"] == f"{given['image']['repository']}@{given['image']['digest']}"
    ui = ["--ui-address=0.0.0.0:8081", "--ui-tls=/etc/kratix-crossplane-bridge/ui"]
    assert container["args"] == ["--resync=5m", "--workers=2", "--debug", *ui]
    assert pod["metadata"]["labels"]["team"] == "platform"
    assert pod["metadata"]["annotations"] == {"example.org/owner": "platform"}
    assert pod["spec"]["tolerations"] == given["tolerations"]
    assert pod["spec"]["priorityClassName"] == "system-cluster-critical"
    assert _get(cluster, _DISRUPTION)["spec"]["maxUnavailable"] == 1
    policy = _get(cluster, ("networking.k8s.io/v1", "NetworkPolicy", _NAMESPACE, BRIDGE))["spec"]
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["http", "ui"]
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [53, 53, 443, 6443]


def test_the_service_monitor_leads_to_the_pods_metrics(cluster: Cluster):
    monitor = _get(cluster, (_MONITORING, "ServiceMonitor", _NAMESPACE, BRIDGE))
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "15s"}
    services = cluster.list("v1", "Service", _NAMESPACE, labels=_selector(monitor["spec"]["selector"]["matchLabels"]))
    [service] = (each for each in services if "http" in [port["name"] for port in each["spec"]["ports"]])
    pods = cluster.list("v1", "Pod", _NAMESPACE, labels=_selector(service["spec"]["selector"]))
    assert len(pods) == 2
    ports = {port["name"]: port["containerPort"] for port in pods[0]["spec"]["containers"][0]["ports"]}
    assert ports[service["spec"]["ports"][0]["targetPort"]] == 8080


def _selector(labels: Manifest) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def test_the_bridge_runs_in_its_pod_under_the_user_that_the_cluster_gives(node: Testbed, cluster: Cluster):
    """By the kubelet's own probes, with a read-only file system, and with the roles that the chart has."""
    pod = _running(cluster)
    assert pod["spec"]["securityContext"]["runAsUser"] == ANY_USER
    [container] = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert set(users(node.run, "kratix-crossplane\0bridge").values()) == {ANY_USER}
    cluster.apply(crossplane_cluster(_SITE, inCluster={}))
    until(cluster, _SITE, "Synced", "False", reason="CrossplaneMissing", timeout=_SLOW)
    assert condition(cluster, _SITE, "Reachable")["status"] == "True"
    [state] = _running(cluster)["status"]["containerStatuses"]
    assert state["restartCount"] == 0
    page = node.plane.run.call([sys.executable, "-c", _ASK, "http://127.0.0.1:8080/metrics", ""])
    assert f'leader_election_master_status{{name="{names.LEASE}"}} 1.0' in page


def test_the_bridge_in_its_pod_reads_the_certificates_of_a_kubeconfig(node: Testbed, cluster: Cluster):
    """They go through a file, which a read-only file system has a volume for."""
    # Pods share the run's loopback, and so the address that is inside of it.
    inside = node.plane.kubeconfig_of("afar", cluster.token(_NAMESPACE, BRIDGE)).read_text(encoding="utf-8")
    kubeconfig = secret("afar", inside)
    cluster.apply({**kubeconfig, "metadata": {**kubeconfig["metadata"], "namespace": _NAMESPACE}})
    cluster.apply(crossplane_cluster("afar", kubeconfig={"secretRef": {"name": "afar"}}))
    until(cluster, "afar", "Synced", "False", reason="CrossplaneMissing", timeout=_SLOW)
    assert condition(cluster, "afar", "Reachable")["status"] == "True"


def test_its_page_has_the_certificate_of_the_secret(node: Testbed, cluster: Cluster):
    _running(cluster)
    authority = node.plane.folder / "page/ca.crt"
    asked = [sys.executable, "-c", _ASK, "https://127.0.0.1:8081/ui/status.json", authority]
    assert node.plane.run.call(asked) == "401\n", "it answers, and wants a token"


def test_an_upgrade_changes_what_it_is_told_and_nothing_else(person: Person, cluster: Cluster):
    before = {key: _get(cluster, key)["metadata"] for key in _asked(person)}
    running = _running(cluster)["metadata"]["uid"]
    changed = ["--reuse-values", "--set", "replicas=1"]
    person.helm("upgrade", _RELEASE, chart.FOLDER, "-n", _NAMESPACE, *changed, "--wait", "--timeout=2m")
    after = {key: _get(cluster, key)["metadata"] for key in _asked(person)}
    assert before.keys() - after.keys() == {_DISRUPTION}, "of one pod it would block a drain"
    eventually("it goes", lambda: not _get(cluster, _DISRUPTION), timeout=_SLOW)
    assert after.keys() - before.keys() == set()
    assert {key for key in after if _version(after[key]) != _version(before[key])} == {_DEPLOYMENT}
    assert after[_DEPLOYMENT]["uid"] == before[_DEPLOYMENT]["uid"]
    assert _get(cluster, _DEPLOYMENT)["spec"]["replicas"] == 1

    def left() -> list[str]:
        return [pod["metadata"]["uid"] for pod in _pods(cluster)]

    eventually("the pod that worked is left", lambda: left() == [running], timeout=_SLOW, show=left)
    history = json.loads(person.helm("history", _RELEASE, "-n", _NAMESPACE, "-o", "json"))
    assert [each["status"] for each in history] == ["superseded", "deployed"]


def test_what_stays_when_it_is_uninstalled_is_taken_up_again(person: Person, cluster: Cluster):
    """CrossplaneClusters and their kind stay; all else goes."""
    site = (*KIND, _SITE)
    uid = (cluster.get(*site) or {})["metadata"]["uid"]
    kind = _get(cluster, _CRD)["metadata"]["uid"]
    asked = _asked(person)
    assert person.may(_NAMESPACE, "watch", _WATCHED)
    person.helm("uninstall", _RELEASE, "-n", _NAMESPACE, "--wait", "--timeout=2m")

    def left() -> set[Key]:
        return {key for key in asked if _get(cluster, key)}

    eventually("all else goes", lambda: left() == {_CRD}, timeout=_SLOW, show=lambda: sorted(left()))
    assert not person.may(_NAMESPACE, "watch", _WATCHED)
    eventually("its pod too", lambda: not _pods(cluster), timeout=_SLOW)
    assert (cluster.get(*site) or {})["metadata"]["uid"] == uid

    roles = ["--set", "deploy=false", "--set", "roles={platform}"]
    person.helm("install", _RELEASE, chart.FOLDER, "-n", _NAMESPACE, *roles)
    assert person.may(_NAMESPACE, "watch", _WATCHED)
    assert _get(cluster, _CRD)["metadata"]["uid"] == kind
    assert (cluster.get(*site) or {})["metadata"]["uid"] == uid
    assert not _get(cluster, _DEPLOYMENT), "on a cluster that it only reaches"
