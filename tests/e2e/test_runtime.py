"""The function as core runs it by package/deploy/function, on a node; and what becomes of an autoscaler's number.

Its pods share the run's loopback, so there is one at a time: an overlay says so. All else is what is shipped.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from installing import ANY_USER, DEPLOY, Person, give_user, overlay, take_user, users

from testbed import crossplane
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed

Manifest = dict[str, Any]

_SLOW = 180.0
_API = "pkg.crossplane.io/v1"
_CONFIG = "function-kratix"
_CORES_USER = 2000
_PROGRAM = "/venv/bin/function-kratix"  # in the image
_ONE_POD = """
apiVersion: pkg.crossplane.io/v1beta1
kind: DeploymentRuntimeConfig
metadata: {name: function-kratix}
spec:
  deploymentTemplate:
    spec:
      replicas: 1
      strategy: {rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}
"""


def _shipped() -> Manifest:
    config = yaml.safe_load((DEPLOY / "function/runtime.yaml").read_text(encoding="utf-8"))
    template: Manifest = config["spec"]["deploymentTemplate"]["spec"]["template"]
    return template


def _refer(cluster: Cluster, config: str) -> None:
    """Have the Function run by a DeploymentRuntimeConfig."""
    metadata, spec = {"name": crossplane.FUNCTION}, {"runtimeConfigRef": {"name": config}}
    cluster.patch({"apiVersion": _API, "kind": "Function", "metadata": metadata, "spec": spec})


def _deployment(cluster: Cluster) -> Manifest:
    [found] = cluster.list("apps/v1", "Deployment", crossplane.NAMESPACE)
    return found


def _container(cluster: Cluster) -> Manifest:
    [container] = _deployment(cluster)["spec"]["template"]["spec"]["containers"]
    return dict(container)


def _is_probed(cluster: Cluster) -> bool:
    return "livenessProbe" in _container(cluster)


def _pods(cluster: Cluster) -> list[Manifest]:
    return cluster.list("v1", "Pod", crossplane.NAMESPACE)


def _is_ready(pod: Manifest) -> bool:
    conditions = {item["type"]: item["status"] for item in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True"


def _anew(cluster: Cluster) -> None:
    """Have core make its Deployment anew, and wait until the pod of that is the only one and ready."""
    old = _deployment(cluster)["metadata"]
    pods = {pod["metadata"]["uid"] for pod in _pods(cluster)}
    cluster.delete("apps/v1", "Deployment", old["name"], crossplane.NAMESPACE)

    def ready() -> bool:
        now = _pods(cluster)
        return len(now) == 1 and now[0]["metadata"]["uid"] not in pods and _is_ready(now[0])

    eventually("its new pod is ready", ready, timeout=_SLOW, show=lambda: [pod["status"] for pod in _pods(cluster)])
    assert _deployment(cluster)["metadata"]["uid"] != old["uid"]


def _until_healthy(cluster: Cluster) -> None:
    def healthy() -> bool:
        function = cluster.get(_API, "Function", crossplane.FUNCTION) or {}
        conditions = {item["type"]: item["status"] for item in function["status"]["conditions"]}
        return (conditions["Installed"], conditions["Healthy"]) == ("True", "True")

    eventually("core finds the function healthy", healthy, timeout=_SLOW)


@pytest.fixture(scope="module")
def person(pipelines: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(pipelines.plane, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def merged(person: Person, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With a Function that ran before, and now refers to what is shipped."""
    cluster = person.plane.cluster
    made = overlay(tmp_path_factory.mktemp("base"), "function", patches=[{"patch": _ONE_POD}])
    person.kubectl("apply", "-k", made)
    assert not _is_probed(cluster), "core has no probes of its own"
    _refer(cluster, _CONFIG)
    try:
        eventually("core follows", lambda: _is_probed(cluster), timeout=_SLOW)
        yield cluster
    finally:
        _refer(cluster, "default")
        eventually("core follows", lambda: not _is_probed(cluster), timeout=_SLOW)
        _anew(cluster)
        person.kubectl("delete", "-k", made)


@pytest.fixture(scope="module")
def cluster(merged: Cluster) -> Cluster:
    """With a Function that core runs by what is shipped from its beginning."""
    _anew(merged)
    return merged


def test_a_deployment_that_was_there_before_keeps_its_user(merged: Cluster):
    """Core merges into it: docs/operations.md says to delete it once."""
    security = _deployment(merged)["spec"]["template"]["spec"]["securityContext"]
    assert (security["runAsUser"], security["seccompProfile"]) == (_CORES_USER, {"type": "RuntimeDefault"})


def test_cores_deployment_is_what_the_runtime_config_says(cluster: Cluster):
    made, template = _deployment(cluster)["spec"], _shipped()
    assert made["replicas"] == 1
    assert made["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert made["template"]["metadata"]["annotations"] == template["metadata"]["annotations"]
    spec, wanted = made["template"]["spec"], template["spec"]
    for field in wanted.keys() - {"containers"}:
        assert spec[field] == wanted[field], field
    [container], [shipped] = spec["containers"], wanted["containers"]
    for field in ("resources", "securityContext"):
        assert container[field] == shipped[field], field
    for field in ("livenessProbe", "readinessProbe"):
        # The API server adds what is usual, such as three failures.
        assert {**container[field], **shipped[field], "httpGet": container[field]["httpGet"]} == container[field]
        assert shipped[field]["httpGet"].items() <= container[field]["httpGet"].items()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"metrics": 8080, "grpc": 9443}, "core adds its own"


def test_its_pod_is_ready_and_core_finds_it_healthy(cluster: Cluster):
    [pod] = _pods(cluster)
    [state] = pod["status"]["containerStatuses"]
    assert (state["ready"], state["restartCount"]) == (True, 0)
    assert [volume for volume in pod["spec"]["volumes"] if "projected" in volume] == [], "it has no token"
    _until_healthy(cluster)


def test_the_kubelet_probes_it(pipelines: Testbed, cluster: Cluster):
    """A process that is stopped does not answer, and its pod is not ready until it does."""
    [pid] = users(pipelines.run, _PROGRAM)
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually("its pod is not ready", lambda: not _is_ready(_pods(cluster)[0]), timeout=_SLOW)
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually("its pod is ready again", lambda: _is_ready(_pods(cluster)[0]), timeout=_SLOW)
    _until_healthy(cluster)


def test_an_autoscalers_number_is_written_back(person: Person, cluster: Cluster):
    """docs/operations.md: what a HorizontalPodAutoscaler does, by the same subresource, core undoes."""
    before = _deployment(cluster)["metadata"]
    person.kubectl("scale", f"deployment/{before['name']}", "-n", crossplane.NAMESPACE, "--replicas=3")

    def written_back() -> bool:
        now = _deployment(cluster)
        # One generation is the other number's.
        return now["spec"]["replicas"] == 1 and now["metadata"]["generation"] >= before["generation"] + 2

    eventually("core writes its number back", written_back, timeout=_SLOW, show=lambda: _deployment(cluster))


def test_the_runtime_configs_number_is_followed(person: Person, cluster: Cluster):
    def number(replicas: int) -> None:
        spec = {"deploymentTemplate": {"spec": {"replicas": replicas}}}
        patch = f"--patch={json.dumps({'spec': spec})}"
        person.kubectl("patch", f"deploymentruntimeconfig/{_CONFIG}", "--type=merge", patch)
        what = f"core's Deployment has {replicas}"
        eventually(what, lambda: _deployment(cluster)["spec"]["replicas"] == replicas, timeout=_SLOW)

    number(2)
    number(1)
    eventually("one pod is left", lambda: len(_pods(cluster)) == 1, timeout=_SLOW)


def test_it_runs_under_the_user_that_a_cluster_gives(pipelines: Testbed, cluster: Cluster):
    """As on OpenShift, which refuses pods that name another; with its read-only file system."""
    assert set(users(pipelines.run, _PROGRAM).values()) == {_CORES_USER}, "the image's own"
    give_user(cluster, crossplane.NAMESPACE)
    try:
        _anew(cluster)
        [pod] = _pods(cluster)
        assert pod["spec"]["securityContext"]["runAsUser"] == ANY_USER
        assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
        assert set(users(pipelines.run, _PROGRAM).values()) == {ANY_USER}
        _until_healthy(cluster)
    finally:
        take_user(cluster, crossplane.NAMESPACE)
