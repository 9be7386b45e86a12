"""What is installed as people install it, by helm and kubectl, on clusters as people have them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import node, tools
from testbed.cluster import Cluster, eventually
from testbed.controlplane import ControlPlane
from testbed.run import Run
from testbed.versions import HELM, KUBECTL, Tool

Manifest = dict[str, Any]

BRIDGE = "kratix-crossplane-bridge"
DEPLOY = Path(__file__).resolve().parents[2] / "package/deploy"
# No image knows it, and it is of the size that OpenShift gives.
ANY_USER = 1000680000

_SLOW = 60.0


@dataclass(frozen=True)
class Person:
    """Somebody with a kubeconfig of an administrator.

    Attributes:
        home: Where the programs keep what they know of clusters.
    """

    plane: ControlPlane
    home: Path

    def helm(self, *arguments: str | Path) -> str:
        """What helm prints; it has to succeed."""
        return self._run(HELM, arguments, "")

    def kubectl(self, *arguments: str | Path, given: str = "") -> str:
        """What kubectl prints; it has to succeed.

        Args:
            given: Its standard input.
        """
        return self._run(KUBECTL, arguments, given)

    def may(self, namespace: str, verb: str, resource: str) -> bool:
        """Whether the bridge's ServiceAccount in a namespace may do something in all namespaces."""
        account = f"--as=system:serviceaccount:{namespace}:{BRIDGE}"
        # A no is no error, but has an exit code of its own.
        return self._done(KUBECTL, ("auth", "can-i", verb, resource, "-A", account), "").stdout == "yes\n"

    def _run(self, tool: Tool, arguments: tuple[str | Path, ...], given: str) -> str:
        done = self._done(tool, arguments, given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _done(self, tool: Tool, arguments: tuple[str | Path, ...], given: str) -> subprocess.CompletedProcess[str]:
        own = {"HOME": str(self.home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return subprocess.run(
            [tools.find(tool), *arguments, f"--kubeconfig={self.plane.kubeconfig}"],
            env={**os.environ, **own},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )


def overlay(folder: Path, base: str, **more: Any) -> Path:
    """Make a folder for `kubectl apply -k`, beside a copy of what is shipped: Kustomize wants relative paths.

    Args:
        base: A folder below `package/deploy`.
        more: What is in its kustomization.yaml beside that.
    """
    shutil.copytree(DEPLOY, folder / "deploy")
    made = folder / "overlay"
    made.mkdir()
    (made / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [f"../deploy/{base}"], **more}), "utf-8")
    return made


def restricted(name: str) -> Manifest:
    """A Namespace that takes restricted pods alone, and warns of others."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def give_user(cluster: Cluster, namespace: str) -> None:
    """Have a cluster run the pods of a namespace as ANY_USER, as OpenShift does, and wait until it does.

    It needs the beta of MutatingAdmissionPolicy, which a testbed has.
    """
    cluster.apply(*_policy(namespace))
    none = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "probe", "image": "probe", "securityContext": none}],
        },
    }

    def user() -> object:
        return cluster.would_be(pod).get("spec", {}).get("securityContext", {}).get("runAsUser")

    eventually("pods are given their user", lambda: user() == ANY_USER, timeout=_SLOW, show=user)


def take_user(cluster: Cluster, namespace: str) -> None:
    """End what `give_user` began, for pods that are made some seconds later."""
    for each in _policy(namespace):
        cluster.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


def _policy(namespace: str) -> Iterator[Manifest]:
    user = f"securityContext: Object.spec.securityContext{{runAsUser: {ANY_USER}}}"
    return node.pod_policy(f"user-in-{namespace}", user, namespace)


def users(run: Run, program: str) -> dict[int, int]:
    """Who runs a program in a run, in containers too: by its pid, the user of each process with it in its command line."""
    listed = subprocess.run(["ip", "netns", "pids", run.namespace], capture_output=True, text=True, check=True)
    folders = [Path("/proc", pid) for pid in listed.stdout.split()]
    found = {int(folder.name): _user(folder) for folder in folders if program in _read(folder / "cmdline")}
    return {pid: user for pid, user in found.items() if user >= 0}


def _user(folder: Path) -> int:
    found = [line.split()[1] for line in _read(folder / "status").splitlines() if line.startswith("Uid:")]
    return int(found[0]) if found else -1


def _read(path: Path) -> str:
    """A file of a process; nothing where that has ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
