"""A node that runs containers: Jobs, clients in pods, and the function as core's own Deployment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from developer import Platform, Request, named

from testbed import crossplane, example, image, node, profiles
from testbed.cluster import Cluster, eventually
from testbed.profiles import Testbed
from testbed.run import Run, runs

_SLOW = 120.0
_TEAM = "team-orders"
_SHELL = "localhost/e2e/shell:1"
_CLIENT = """
import json, os, ssl, sys, urllib.error, urllib.request
home = "/var/run/secrets/kubernetes.io/serviceaccount"
server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
trusted = ssl.create_default_context(cafile=f"{home}/ca.crt")
for path in sys.argv[1:]:
    asked = urllib.request.Request(server + path, headers={"Authorization": "Bearer " + open(f"{home}/token").read()})
    try:
        print(json.load(urllib.request.urlopen(asked, context=trusted))["data"])
    except urllib.error.HTTPError as refused:
        print(refused.code)
"""


@pytest.fixture(scope="module")
def workshop(pipelines: Testbed) -> Platform:
    """example/postgres on a cluster with a node and Kratix's API, but no Kratix."""
    pipelines.kratix.install_api()
    names = {name: name for name in example.namespaces("postgres")}
    found = Platform(pipelines.plane.cluster, example.FOLDER / "postgres", dict, names)
    found.install()
    return found


@pytest.fixture(scope="module")
def cluster(workshop: Platform) -> Cluster:
    found = workshop.cluster
    for name in workshop.namespaces:
        eventually(
            f"namespace {name} has its ServiceAccount",
            lambda name=name: found.get("v1", "ServiceAccount", "default", name),  # type: ignore[misc]
            timeout=_SLOW,
        )
    return found


def job(name: str, container: dict[str, Any], **pod: object) -> dict[str, Any]:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", **container}], **pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": _TEAM},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


def outcome(cluster: Cluster, manifest: dict[str, Any]) -> tuple[str, str]:
    """Run a Job: the condition that it ends with, and what it wrote."""
    cluster.apply(manifest)
    name = manifest["metadata"]["name"]

    def ended() -> str:
        conditions = (cluster.get("batch/v1", "Job", name, _TEAM) or {}).get("status", {}).get("conditions", ())
        return next((item["type"] for item in conditions if item["type"] in {"Complete", "Failed"}), "")

    def pods() -> list[dict[str, Any]]:
        return cluster.list("v1", "Pod", _TEAM, labels=f"job-name={name}")

    kind = eventually(f"Job {name} ends", ended, timeout=_SLOW, show=lambda: [pod["status"] for pod in pods()])
    [pod] = pods()
    return kind, cluster.logs(_TEAM, pod["metadata"]["name"])


@pytest.mark.parametrize(("number", "kind"), [(0, "Complete"), (3, "Failed")])
def test_a_job_runs_in_a_container(pipelines: Testbed, cluster: Cluster, number: int, kind: str):
    script = f'#!/bin/sh\nls /usr || echo "as $(id -u), pid $$, of $(ls /bin | wc -w) programs"\nexit {number}\n'
    name = f"localhost/e2e/stage:{number}"
    pipelines.node.load(image.shell(name, {"/bin/stage": script}, entrypoint=["/bin/stage"]))
    ended, log = outcome(cluster, job(f"stage-{number}", {"image": name}))
    assert ended == kind
    # This machine has a /usr, and its PID 1 is another.
    assert re.fullmatch(r"ls: /usr: No such file or directory\nas 65532, pid 1, of \d{3} programs\n", log)


def test_a_client_in_a_pod_reads_what_its_service_account_may(cluster: Cluster):
    """Over TLS, at the address that every pod is told, with the token and the authority that every pod is given."""
    allowed = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["readable"], "verbs": ["get"]}
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": "reader", "namespace": _TEAM}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "readable", "namespace": _TEAM},
            "data": {"a": "1"},
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [allowed]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    )
    paths = [f"/api/v1/namespaces/{_TEAM}/configmaps/{name}" for name in ("readable", "kube-root-ca.crt")]
    client = {"image": image.OURS, "command": ["python", "-c", _CLIENT, *paths]}
    kind, log = outcome(cluster, job("client", client, serviceAccountName="reader"))
    assert (kind, log) == ("Complete", "{'a': '1'}\n403\n")


def test_the_function_is_cores_own_deployment(pipelines: Testbed, cluster: Cluster):
    function = cluster.get("pkg.crossplane.io/v1", "Function", crossplane.FUNCTION)
    assert function
    conditions = {item["type"]: item["status"] for item in function["status"]["conditions"]}
    assert (conditions["Installed"], conditions["Healthy"]) == ("True", "True")
    [revision] = cluster.list("pkg.crossplane.io/v1", "FunctionRevision")
    assert revision["status"]["endpoint"] == "dns:///function-kratix.crossplane-system:9443"
    [deployment] = cluster.list("apps/v1", "Deployment", crossplane.NAMESPACE)
    assert deployment["metadata"]["ownerReferences"][0]["uid"] == revision["metadata"]["uid"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == function["spec"]["package"], "the image in the package, pulled from its registry"
    assert container["securityContext"]["runAsUser"] == 2000
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"metrics": 8080, "grpc": 9443}
    # The pod shares the run's loopback.
    page = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
    assert "\nkratix_function_build_info{" in pipelines.plane.run.call([sys.executable, "-c", page])
    assert pipelines.node.has(container["image"])
    started = [name for name, _ in pipelines.run.processes()]
    assert "platform-function" not in started, "no local process answers for it"


def test_the_function_in_its_pod_answers_core(workshop: Platform, cluster: Cluster):
    """A Work is composed; and again by the pod that follows one that is killed."""
    database = Request(cluster, named(workshop.request("xr-dev", storageGB=3), "inapod"))
    database.until("ChecksPassed", "True", timeout=_SLOW)
    [work] = eventually("its Work is composed", database.works, timeout=_SLOW)
    [before] = cluster.list("v1", "Pod", crossplane.NAMESPACE)
    cluster.delete("v1", "Pod", before["metadata"]["name"], crossplane.NAMESPACE)
    database.apply(named(workshop.request("xr-dev", storageGB=4), "inapod"))
    eventually(
        "the Work follows the request",
        lambda: [item["spec"] for item in database.works()] != [work["spec"]],
        timeout=_SLOW,
        show=lambda: database.seen().get("status"),
    )

    def pods() -> list[str]:
        return [pod["metadata"]["uid"] for pod in cluster.list("v1", "Pod", crossplane.NAMESPACE)]

    eventually("the killed pod is gone", lambda: before["metadata"]["uid"] not in pods(), timeout=_SLOW)
    assert len(pods()) == 1
    database.delete()
    eventually("the XR is gone", lambda: not database.seen(), timeout=_SLOW)


def test_core_has_no_role_more_than_what_is_shipped(cluster: Cluster):
    label = "rbac.crossplane.io/aggregate-to-crossplane=true"
    roles = cluster.list("rbac.authorization.k8s.io/v1", "ClusterRole", labels=label)
    names = {role["metadata"]["name"] for role in roles}
    assert {name for name in names if not name.startswith("crossplane")} == {"function-kratix:aggregate-to-crossplane"}


def test_our_image_tells_nothing_of_the_machine_that_built_it():
    with tarfile.open(image.ours().archive) as archive:
        [manifest] = json.loads(_read(archive, "manifest.json"))
        text = _read(archive, manifest["Config"]).decode()
        files = [name for layer in manifest["Layers"] for name in _listed(archive, layer)]
    config = json.loads(text)["config"]
    assert config["User"] == "2000:2000"
    assert not [line for line in config["Env"] if line.startswith("PIP_")]
    assert not {"etc/pip.conf", "etc/apt/sources.list", "etc/resolv.conf", "etc/hostname"} & set(files)
    assert not [name for name in files if name.startswith(("src/", "build/", "wheels/"))], "of the stage that builds"
    assert "/venv/bin/pip" not in files
    assert "pip.conf" not in text
    assert str(Path.home()) not in text


def test_a_killed_owner_leaves_a_node_that_the_next_run_ends(pipelines: Testbed, cluster: Cluster):
    """Containers, their shims, mounts, control groups, the namespaces and the folder; and nothing of another run."""
    run = Run(f"orphan-{os.getpid()}")
    code = (
        "import os, sys, time; from testbed import image, profiles; from testbed.run import Run;"
        f"testbed = profiles.up('node', Run('{run.name}'), owner=os.getpid());"
        f"testbed.node.load(image.shell('{_SHELL}')); print('up', flush=True); time.sleep(1000)"
    )
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", code], env=path, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "up\n"
        orphaned = profiles.ControlPlane(run, "platform").cluster
        pod = {"containers": [{"name": "main", "image": _SHELL, "args": ["-c", "sleep 1000"]}]}
        metadata = {"name": "sleeper", "namespace": "default"}
        orphaned.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
        eventually(
            "the pod runs",
            lambda: orphaned.get("v1", "Pod", "sleeper", "default")["status"]["phase"] == "Running",  # type: ignore[index]
            timeout=_SLOW,
        )
        owner.send_signal(signal.SIGKILL)
    pids = _pids(run)
    assert any("containerd-shim" in _command(pid) for pid in pids), "a shim outlives its owner, or this shows nothing"
    other = Run(f"next-{os.getpid()}")
    other.create(owner=os.getpid())
    other.end()
    assert [pid for pid in pids if _command(pid)] == []
    assert run not in runs()
    assert [path for path in ("/run/netns", "/etc/netns") if Path(path, run.namespace).exists()] == []
    assert list(Path("/sys/fs/cgroup").rglob(f"{run.namespace}*")) == []
    assert run.name not in Path("/proc/mounts").read_text(encoding="utf-8")
    assert node.NAME in [item["metadata"]["name"] for item in cluster.list("v1", "Node")]
    assert pipelines.run.alive("platform-node")


def _pids(run: Run) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", run.namespace], capture_output=True, text=True, check=True)
    return [int(pid) for pid in listed.stdout.split()]


def _command(pid: int) -> str:
    """What a process runs; nothing where it has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file
    return file.read()


def _listed(archive: tarfile.TarFile, layer: str) -> list[str]:
    with tarfile.open(fileobj=archive.extractfile(layer)) as files:
        return [name.removeprefix("./") for name in files.getnames()]
