"""A node that runs containers: Jobs, clients in pods, and the function as core's own Deployment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from developer import Manifest, Request, named, namespace

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
def pipelines() -> Iterator[Testbed]:
    run = Run(f"node-{os.getpid()}")
    testbed = profiles.up("pipelines", run, owner=os.getpid())
    try:
        yield testbed
    finally:
        run.end()


@pytest.fixture(scope="module")
def platform(pipelines: Testbed) -> Cluster:
    cluster = pipelines.plane.cluster
    cluster.apply(namespace(_TEAM), namespace("billing"))
    eventually(
        "the namespace has its ServiceAccount",
        lambda: cluster.get("v1", "ServiceAccount", "default", _TEAM),
        timeout=_SLOW,
    )
    return cluster


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


def _request(**spec: object) -> Manifest:
    manifest = example.load("postgres").xrs["xr-dev"]
    return {**manifest, "spec": {**manifest["spec"], **spec}}


@pytest.mark.parametrize(("number", "kind"), [(0, "Complete"), (3, "Failed")])
def test_a_job_runs_in_a_container(pipelines: Testbed, platform: Cluster, number: int, kind: str):
    script = f'#!/bin/sh\necho "as $(id -u), in $(ls -d /tmp), pid $$" | tee /tmp/written\nexit {number}\n'
    name = f"localhost/e2e/stage:{number}"
    pipelines.node.load(image.shell(name, {"/bin/stage": script}, entrypoint=["/bin/stage"]))
    assert outcome(platform, job(f"stage-{number}", {"image": name})) == (kind, "as 65532, in /tmp, pid 1\n")
    assert not Path("/tmp/written").exists(), "it wrote to this machine, not to a container"  # noqa: S108 - the container's


def test_a_client_in_a_pod_reads_what_its_service_account_may(platform: Cluster):
    """Over TLS, at the address that every pod is told, with the token and the authority that every pod is given."""
    allowed = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["readable"], "verbs": ["get"]}
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": "reader", "namespace": _TEAM}
    platform.apply(
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
    kind, log = outcome(platform, job("client", client, serviceAccountName="reader"))
    assert (kind, log) == ("Complete", "{'a': '1'}\n403\n")


def test_the_function_is_cores_own_deployment(pipelines: Testbed, platform: Cluster):
    function = platform.get("pkg.crossplane.io/v1", "Function", crossplane.FUNCTION)
    assert function
    conditions = {item["type"]: item["status"] for item in function["status"]["conditions"]}
    assert (conditions["Installed"], conditions["Healthy"]) == ("True", "True")
    [revision] = platform.list("pkg.crossplane.io/v1", "FunctionRevision")
    assert revision["status"]["endpoint"] == "dns:///function-kratix.crossplane-system:9443"
    [deployment] = platform.list("apps/v1", "Deployment", crossplane.NAMESPACE)
    assert deployment["metadata"]["ownerReferences"][0]["uid"] == revision["metadata"]["uid"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == function["spec"]["package"], "the image in the package, pulled from its registry"
    assert container["securityContext"]["runAsUser"] == 2000
    assert pipelines.node.has(container["image"])
    started = [name for name, _ in pipelines.run.processes()]
    assert "platform-function" not in started, "no local process answers for it"


def test_the_function_in_its_pod_answers_core(pipelines: Testbed, platform: Cluster):
    """With Kratix's API and no Kratix: a Work is composed; and again by the pod that follows one that is killed."""
    pipelines.kratix.install_api()
    loaded = example.load("postgres")
    platform.apply(*loaded.required, loaded.xrd, loaded.composition)
    eventually(
        "the XRD's API is served",
        lambda: platform.serves("xp.databases.example.org/v1alpha1", "Postgres"),
        timeout=_SLOW,
    )
    database = Request(platform, named(_request(storageGB=3), "inapod"))
    database.until("ChecksPassed", "True", timeout=_SLOW)
    eventually("its Work is composed", database.works, timeout=_SLOW)
    [before] = platform.list("v1", "Pod", crossplane.NAMESPACE)
    platform.delete("v1", "Pod", before["metadata"]["name"], crossplane.NAMESPACE)
    [work] = database.works()
    database.apply(named(_request(storageGB=4), "inapod"))
    eventually(
        "the Work follows the request",
        lambda: [item["spec"] for item in database.works()] != [work["spec"]],
        timeout=_SLOW,
        show=lambda: database.seen().get("status"),
    )
    [after] = platform.list("v1", "Pod", crossplane.NAMESPACE)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    database.delete()
    eventually("the XR is gone", lambda: not database.seen(), timeout=_SLOW)


def test_core_has_no_role_more_than_what_is_shipped(platform: Cluster):
    label = "rbac.crossplane.io/aggregate-to-crossplane=true"
    roles = platform.list("rbac.authorization.k8s.io/v1", "ClusterRole", labels=label)
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
    for words in (str(Path.home()), os.uname().nodename + ".", "index-url"):
        assert words not in text


def test_a_killed_owner_leaves_a_node_that_the_next_run_ends(pipelines: Testbed, platform: Cluster):
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
    assert node.NAME in [item["metadata"]["name"] for item in platform.list("v1", "Node")]
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
