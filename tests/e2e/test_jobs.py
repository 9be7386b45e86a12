"""Runs of pipelines on a real API server and a real Job controller: they take every manifest, as strictly as they can.

There is no node here: pods are admitted and made, and what would run in them runs in this process, as their
ServiceAccount.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from developer import crd

import runs
import sdkenv
from function import jobs
from function.adapter import store
from function.api import names, output
from function.api.output import Output, Owner, Refused
from testbed import profiles, tools
from testbed.cluster import Cluster, eventually
from testbed.controlplane import ControlPlane
from testbed.run import Run
from testbed.versions import KUBECTL

_NAMESPACES = ("team-a", "kratix-runs", "zoo", "billing")
_CORE = "system:serviceaccount:crossplane-system:crossplane"
_SDK = Path(__file__).parents[1] / "sdk"
_RBAC = Path(__file__).parents[2] / "package" / "deploy" / "rbac.yaml"
# What core has of itself (Crossplane, cluster/charts/crossplane/templates/clusterrole.yaml), as far as it matters here.
_CORES_OWN = [
    {"apiGroups": [""], "resources": ["serviceaccounts", "services"], "verbs": ["*"]},
    {
        "apiGroups": ["", "coordination.k8s.io"],
        "resources": ["configmaps", "leases"],
        "verbs": ["get", "list", "create", "update", "patch", "watch", "delete"],
    },
]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    run = Run(f"jobs-{os.getpid()}")
    testbed = profiles.up("controllers", run, owner=os.getpid())
    try:
        cluster = testbed.plane.cluster
        enforced = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        for name in _NAMESPACES:
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforced}})
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "their-own", "namespace": "team-a"},
        }
        cluster.apply(account)
        yield testbed.plane
    finally:
        run.end()


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> Cluster:
    return plane.cluster


def kubectl(
    plane: ControlPlane, *arguments: str, given: Sequence[Mapping[str, Any]] = (), user: str = ""
) -> subprocess.CompletedProcess[str]:
    """As a person, or core, would: strict about fields that the server does not know."""
    impersonated = [f"--as={user}"] if user else []
    return subprocess.run(
        [tools.find(KUBECTL), f"--kubeconfig={plane.kubeconfig}", *impersonated, *arguments],
        input=yaml.safe_dump_all(given),
        env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


def apply(plane: ControlPlane, manifests: Sequence[Mapping[str, Any]], *, user: str = "") -> str:
    """Apply them as Crossplane does; gives what was said against it."""
    done = kubectl(
        plane,
        "apply",
        "--server-side",
        "--validate=strict",
        "--field-manager=core",
        "-f",
        "-",
        given=manifests,
        user=user,
    )
    return done.stderr


def made(run: jobs.Run, suffix: str) -> jobs.Run:
    """The same run with a name of its own: tests share a cluster."""
    return replace(run, digest=f"{run.digest}{suffix}")


def objects(run: jobs.Run) -> list[dict[str, Any]]:
    return [dict(manifest) for _, manifest in jobs.manifests(run)]


@pytest.mark.parametrize("name", runs.CASES)
def test_the_api_server_takes_every_manifest(plane: ControlPlane, cluster: Cluster, name: str) -> None:
    """Strictly, in a namespace that enforces restricted pods, and again as it was observed: nothing changes."""
    run = made(runs.CASES[name].run, "01")
    assert apply(plane, objects(run)) == "", "neither an error nor a warning of pod security"
    for manifest in objects(run):
        where = manifest["metadata"]
        before = cluster.get(manifest["apiVersion"], manifest["kind"], where["name"], where["namespace"])
        assert before is not None
        held = jobs.held(before)
        assert apply(plane, [held]) == ""
        after = cluster.get(manifest["apiVersion"], manifest["kind"], where["name"], where["namespace"])
        assert after is not None
        assert jobs.held(after) == held, "a fixed point"
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"].get("generation") == before["metadata"].get("generation")


@pytest.mark.parametrize("name", runs.CASES)
def test_the_job_controller_makes_its_pod(cluster: Cluster, plane: ControlPlane, name: str) -> None:
    """Pod security is enforced on pods: none would be made. The writer learns its Job's uid from the pod's label."""
    run = made(runs.CASES[name].run, "02")
    assert apply(plane, objects(run)) == ""
    pod = until_pod(cluster, run)
    job = cluster.get("batch/v1", "Job", run.name, run.namespace)
    assert job is not None
    [writer] = pod["spec"]["containers"]
    [field] = [v["valueFrom"]["fieldRef"]["fieldPath"] for v in writer["env"] if v["name"] == names.ENV_JOB_UID]
    assert field == "metadata.labels['batch.kubernetes.io/controller-uid']"
    assert pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] == job["metadata"]["uid"]
    tokens = [v["name"] for v in pod["spec"]["volumes"] if "projected" in v]
    assert tokens, "the writer has a token"
    assert any(mount["name"] in tokens for mount in writer["volumeMounts"])


def until_pod(cluster: Cluster, run: jobs.Run) -> dict[str, Any]:
    found = eventually(
        f"a pod of {run.name}",
        lambda: cluster.list("v1", "Pod", run.namespace, labels=f"{names.RUN_LABEL}={run.name}"),
        timeout=30,
        show=lambda: cluster.list("v1", "Event", run.namespace),
    )
    return found[0]


@dataclass(frozen=True)
class Running:
    """A run whose Job is there, and its pod's ServiceAccount as this process."""

    run: jobs.Run
    client: store.Client
    owner: Owner
    cluster: Cluster

    def read(self) -> Output | Refused | None:
        """As the function requires it: by the one label."""
        labels = f"{names.OUTPUT_OF_LABEL}={self.owner.output_of}"
        return output.read(self.cluster.list("v1", "ConfigMap", self.owner.namespace, labels=labels), self.owner)


@pytest.fixture
def running(plane: ControlPlane, cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Running:
    run = made(runs.run(), names.digest(request.node.name, length=6))
    assert apply(plane, objects(run)) == ""
    job = cluster.get("batch/v1", "Job", run.name, run.namespace)
    assert job is not None
    [known] = [c["cluster"] for c in yaml.safe_load(plane.kubeconfig.read_text())["clusters"]]
    (tmp_path / "token").write_text(cluster.token(run.namespace, run.name))
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(known["certificate-authority-data"]))
    client = store.Client("127.0.0.1", int(known["server"].rpartition(":")[2]), tmp_path, patience=5)
    return Running(run, client, Owner(run.namespace, run.name, job["metadata"]["uid"], run.output_of), cluster)


def test_the_writer_stores_and_replaces_with_what_its_role_allows(running: Running) -> None:
    large = Output({"noise": os.urandom(output.CHUNK + 1), "claim.yaml": b"a: 1\n"}, status=b"message: hi\n")
    assert store.replace(running.client, running.owner, large) == 2
    assert running.read() == large
    store.refuse(running.client, running.owner, "no")
    assert running.read() == Refused("no")
    store.replace(running.client, running.owner, Output({}))
    assert running.read() == Output({})


def test_the_largest_output_is_taken(running: Running) -> None:
    noise = os.urandom(output.MAX_PACKED - 4096)
    assert store.replace(running.client, running.owner, Output({"noise": noise})) == output.MAX_CHUNKS
    assert running.read() == Output({"noise": noise})


def test_its_output_goes_with_its_job(running: Running) -> None:
    store.replace(running.client, running.owner, Output({"a": b"1"}))
    assert running.read() is not None
    running.cluster.delete("batch/v1", "Job", running.run.name, running.run.namespace)
    eventually("the output is collected as garbage", lambda: running.read() is None, timeout=60)


TOUCHED = [
    ("GET", "/api/v1/namespaces/team-a/secrets"),
    ("GET", "/api/v1/namespaces/team-a/configmaps"),
    ("GET", "/api/v1/namespaces/team-a/configmaps/kube-root-ca.crt"),
    ("DELETE", "/api/v1/namespaces/team-a/configmaps/kube-root-ca.crt"),
    ("GET", "/api/v1/namespaces/billing/configmaps"),
    ("GET", "/apis/batch/v1/namespaces/team-a/jobs"),
]


@pytest.mark.parametrize(("method", "path"), TOUCHED)
def test_its_role_lets_it_touch_nothing_else(running: Running, method: str, path: str) -> None:
    with pytest.raises(store.StoreError, match=r"the API server said 403: .* is forbidden"):
        replace(running.client, patience=0).send(method, path, None, 200)


def test_its_role_lets_it_touch_no_output_of_another_run(running: Running, plane: ControlPlane) -> None:
    other = made(runs.run(), "04")
    assert apply(plane, objects(other)) == ""
    theirs = replace(running.owner, run=other.name)
    with pytest.raises(store.StoreError, match=r"the API server said 403: .* is forbidden"):
        store.replace(replace(running.client, patience=0), theirs, Output({}))


_XRS = crd("Postgres", "postgreses", "xp.example.org", status=True)


def test_a_container_publishes_the_status_of_its_own_request(
    plane: ControlPlane, cluster: Cluster, tmp_path: Path
) -> None:
    """With Kratix's published SDK, as the run's ServiceAccount, by a Role that core may make with what it holds."""
    assert apply(plane, [_XRS]) == ""
    eventually("Postgres is served", lambda: cluster.serves("xp.example.org/v1", "Postgres"), timeout=30)
    cluster.apply(runs.body(), runs.body(name="others"))
    rules = {"apiGroups": ["xp.example.org"], "resources": ["postgreses", "postgreses/status"], "verbs": ["*"]}
    [deployed] = yaml.safe_load_all(_RBAC.read_text())
    _core_may(
        plane, "xrs", [*_CORES_OWN, *deployed["rules"], rules]
    )  # as Crossplane's RBAC manager gives it for an XRD
    run = replace(made(runs.run(), "08"), publishes=True)
    assert apply(plane, objects(run), user=_CORE) == ""

    def publish(name: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "input").mkdir(exist_ok=True)
        (tmp_path / "input" / "object.yaml").write_text(yaml.safe_dump(runs.body(name=name)))
        config = yaml.safe_load(plane.kubeconfig.read_text())
        config["users"] = [{"name": u["name"], "user": {"token": token}} for u in config["users"]]
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        env = {"KRATIX_CRD_PLURAL": "postgreses", "KUBECONFIG": str(tmp_path / "kubeconfig"), "NO_PROXY": "127.0.0.1"}
        command = [sdkenv.interpreter(), _SDK / "launch.py", tmp_path, _SDK / "publish.py"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    token = cluster.token(run.namespace, run.name)
    done = publish("orders")
    assert done.returncode == 0, done.stderr
    xr = cluster.get("xp.example.org/v1", "Postgres", "orders", "team-a")
    assert xr is not None and xr["status"] == {"message": "orders is being made"}
    assert "is forbidden" in publish("others").stderr, "and no other's"


def test_a_pod_that_is_faster_than_its_role_waits_for_it(running: Running, plane: ControlPlane) -> None:
    [binding] = [m for m in objects(running.run) if m["kind"] == "RoleBinding"]
    running.cluster.delete("rbac.authorization.k8s.io/v1", "RoleBinding", running.run.name, running.run.namespace)
    asked = []

    def pause(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 3:
            assert apply(plane, [binding]) == ""
        time.sleep(seconds)

    time.sleep(0.5)  # until the authorizer has seen that the binding is gone
    store.replace(replace(running.client, pause=pause, patience=60), running.owner, Output({}))
    assert running.read() == Output({})
    assert len(asked) >= 3


def test_core_may_make_a_run_and_grant_what_it_holds_itself(plane: ControlPlane) -> None:
    """With package/deploy/rbac.yaml, and no right to hand on what it has not: Kubernetes refuses that."""
    [deployed] = yaml.safe_load_all(_RBAC.read_text())
    _core_may(plane, "core", [*_CORES_OWN, *deployed["rules"]])
    assert apply(plane, objects(made(runs.run(), "05")), user=_CORE) == ""
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["delete"]}
    granting = objects(made(runs.run(runs.manifest(rbac={"permissions": [rule]})), "06"))
    said = apply(plane, granting, user=_CORE)
    assert "is attempting to grant RBAC permissions not currently held" in said
    _core_may(plane, "permissions", [rule])
    assert apply(plane, granting, user=_CORE) == ""


def _core_may(plane: ControlPlane, name: str, rules: Sequence[Mapping[str, Any]]) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "namespace": "crossplane-system", "name": "crossplane"}],
    }
    assert apply(plane, [role | {"rules": list(rules)}, binding]) == ""


def test_a_field_that_kubernetes_does_not_know_is_refused_by_the_server(plane: ControlPlane) -> None:
    """Kubernetes' own types are not modelled here: a server-side apply names what is wrong in them."""
    given = runs.manifest(runs.container(resources={"limit": {"cpu": "1"}}))
    assert ".resources.limit" in apply(plane, objects(made(runs.run(given), "07")))
