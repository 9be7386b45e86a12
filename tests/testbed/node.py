"""A node that runs containers: containerd, runc, a kubelet and a scheduler, beside a control plane of a run.

It has a mount and a pid namespace of its own, with a small init: when that ends the kernel ends all that is in them,
containers and their detached shims too, and takes the mounts away. So what cleans up needs to know one process only.

There is no pod network. Every pod shares the run's network namespace, by an admission policy, and with it loopback: the
kubernetes Service has a loopback address as its cluster IP, whose port 443 a forwarder carries to the API server, so a
client in a pod finds and verifies it as it does in any cluster. There is no kube-proxy and no DNS either: pods have the
names in the namespace's hosts file, and two pods cannot listen on one port.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import certificates, cgroups, debian, image, tools
from testbed.controlplane import API_PORT, ControlPlane
from testbed.run import FORWARD
from testbed.versions import KUBE_SCHEDULER, KUBELET

NAME = "testbed"

_TIMEOUT = 90.0
_INIT, _CONTAINERD, _KUBELET, _SCHEDULER = "node", "containerd", "kubelet", "kube-scheduler"
_ADMISSION = "admissionregistration.k8s.io/v1beta1"
_UNADDRESSED = "node.cloudprovider.kubernetes.io/uninitialized"
_PAUSE = "localhost/pause:testbed"
# containerd's shims put their sockets, and the kubelet its links to logs, where no flag says: /run and /var/log are the
# node's own. As PID 1 it has to reap what is left to it, which dash does while it waits, and a signal reaches it only
# where it has a trap.
_INIT_SCRIPT = """
set -e
trap 'exit 0' TERM
mount --bind "$0" /etc/hosts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs "$1"
touch "$2"
while :; do sleep 3600 & wait; done
"""


@dataclass(frozen=True, slots=True)
class Node:
    """The one node of a control plane."""

    plane: ControlPlane

    def up(self) -> None:
        """Start it, and wait until it runs pods.

        Raises:
            UnavailableError: Something cannot be found, built, installed or started.
        """
        debian.need(debian.NODE)
        # First, as it takes the API server seconds to heed it. Containers' ports become the host's.
        self.plane.cluster.apply(*pod_policy("host-network", "hostNetwork: true"))
        pause = image.shell(_PAUSE, entrypoint=["/bin/sleep", "infinity"])
        self._start_init()
        self._start_containerd()
        self.load(pause)
        self._start_kubelet()
        self._start_scheduler()
        self._serve_kubernetes()
        self._until("the node registers", self._give_address, process=_KUBELET)
        self._until("the node is ready", self._is_ready, process=_KUBELET)
        self._until("pods get the network of the run", self._is_on_host_network, process=_KUBELET)

    def load(self, loaded: image.Image) -> None:
        """Make an image known to the node, under its own name."""
        self.plane.run.call([*self._ctr(), "images", "import", loaded.archive])

    def tag(self, name: str, other: str) -> None:
        """Give an image that the node has another name."""
        self.plane.run.call([*self._ctr(), "images", "tag", name, other])

    def has(self, name: str) -> bool:
        """Whether the node has an image of this name, loaded or pulled."""
        return name in self.plane.run.call([*self._ctr(), "images", "list", "--quiet"]).splitlines()

    def digest(self, name: str) -> str:
        """The digest of an image that the node has."""
        # REF TYPE DIGEST SIZE PLATFORMS LABELS
        _, found = self.plane.run.call([*self._ctr(), "images", "list", f"name=={name}"]).splitlines()
        return found.split()[2]

    def kill_kubelet(self) -> None:
        """End the kubelet as a crash would; containers go on."""
        self.plane.run.kill(self.plane.process(_KUBELET))

    def _start_init(self) -> None:
        # `ip netns exec` hides cgroups, as it mounts a new /sys: back to where this process's mounts are.
        there: list[str | Path] = ["nsenter", f"--mount=/proc/{os.getpid()}/ns/mnt"]
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        ready = self.plane.folder / "node-ready"
        # In memory: a hundred megabytes of images are unpacked many times as fast, and go with the mount.
        images = self.plane.subfolder("containerd/root")
        script: list[str | Path] = ["sh", "-c", _INIT_SCRIPT, self.plane.run.etc / "hosts", images, ready]
        self.plane.run.start(self.plane.process(_INIT), [*there, *alone, *script])
        self._until("the node's namespaces are there", ready.exists, process=_INIT)

    def _inside(self, command: list[str | Path]) -> list[str | Path]:
        """A command among the node's mounts and processes."""
        pid = self.plane.run.pid(self.plane.process(_INIT))
        # The init is that process's child: the pid namespace is that of its children.
        return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--pid=/proc/{pid}/ns/pid_for_children", *command]

    def _start_containerd(self) -> None:
        config = self.plane.write("containerd", {"config.toml": self._containerd_config().encode()}) / "config.toml"
        self.plane.write("cni", {"none.conflist": _NO_POD_NETWORK.encode()})
        command: list[str | Path] = [debian.program("containerd"), "--config", config]
        self.plane.run.start(self.plane.process(_CONTAINERD), self._inside(command))
        self._until("containerd listens", self._socket.is_socket, process=_CONTAINERD)

    @property
    def _socket(self) -> Path:
        return self.plane.folder / "containerd/containerd.sock"

    def _ctr(self) -> list[str | Path]:
        return [debian.program("ctr"), "--address", self._socket, "--namespace", "k8s.io"]

    def _containerd_config(self) -> str:
        folder = self.plane.folder
        return f"""
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{self._socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{_PAUSE}"
restrict_oom_score_adj = true # to lower it takes a capability that root lacks in many a container or virtual machine

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{folder}/cni"
conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{debian.program("runc")}"
SystemdCgroup = false
"""

    def _start_kubelet(self) -> None:
        folder = self.plane.folder
        authority = certificates.Pair((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())
        files = certificates.issue(authority, "kubelet", ["127.0.0.1", NAME]).files
        config = yaml.safe_dump(self._kubelet_config()).encode()
        where = self.plane.write("kubelet", {**files, "config.yaml": config})
        cgroups.make(self.plane.run.namespace)
        command: list[str | Path] = [
            tools.find(KUBELET),
            f"--config={where / 'config.yaml'}",
            f"--kubeconfig={folder / 'kubeconfig-kubelet'}",
            f"--root-dir={where}",
            f"--hostname-override={NAME}",
            # It takes no loopback address as its node's, by flag or by itself, but any that a cloud provider gives it;
            # `_give_address` plays one.
            "--cloud-provider=external",
        ]
        self.plane.run.start(self.plane.process(_KUBELET), self._inside(command))

    def _kubelet_config(self) -> dict[str, Any]:
        where = self.plane.folder / "kubelet"
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self.plane.port(10250),
            "healthzPort": self.plane.port(10348),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(self.plane.folder / "ca.crt")},
            },
            "authorization": {"mode": "AlwaysAllow"},  # to the API server, which alone has a certificate
            "tlsCertFile": str(where / "tls.crt"),
            "tlsPrivateKeyFile": str(where / "tls.key"),
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "resolvConf": str(self.plane.run.etc / "resolv.conf"),
            "podLogsDir": str(self.plane.subfolder("pod-logs")),
            "volumePluginDir": str(where / "plugins-exec"),
            "registryPullQPS": 0,
            # What it pulled by one name it would pull again by another, to see whether its credentials do: `tag`.
            "imagePullCredentialsVerificationPolicy": "NeverVerify",
            # Its pods are apart from other runs', and need no systemd.
            "cgroupRoot": f"/{self.plane.run.namespace}",
            "cgroupDriver": "cgroupfs",
            "enforceNodeAllocatable": [],
            # The machine is whatever it is: a full disk or swap is not the testbed's to judge.
            "failCgroupV1": False,
            "failSwapOn": False,
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
        }

    def _start_scheduler(self) -> None:
        self.plane.run.start(
            self.plane.process(_SCHEDULER),
            [
                tools.find(KUBE_SCHEDULER),
                f"--kubeconfig={self.plane.inner_kubeconfig}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.plane.port(10259)}",
                "--leader-elect=false",
            ],
        )

    def _serve_kubernetes(self) -> None:
        """What kube-proxy does for the kubernetes Service, and DNS for its names."""
        address, port = self.plane.service_address, self.plane.port(API_PORT)
        for name in ("kubernetes", "kubernetes.default", "kubernetes.default.svc"):
            self.plane.run.resolve(name, address)
        forward = [sys.executable, str(FORWARD)]
        self.plane.run.start(
            self.plane.process("kubernetes-service"),
            [*forward, "--listen", address, "443", *forward, str(port)],
        )

    def _give_address(self) -> bool:
        cluster = self.plane.cluster
        node = cluster.get("v1", "Node", NAME)
        if not node:
            return False
        named = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}}
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NAME}]
        cluster.patch_status({**named, "status": {"addresses": addresses}})
        taints = [taint for taint in node["spec"].get("taints", ()) if taint["key"] != _UNADDRESSED]
        cluster.patch({**named, "spec": {"taints": taints}})
        return True

    def _is_ready(self) -> bool:
        node = self.plane.cluster.get("v1", "Node", NAME) or {}
        conditions = {item["type"]: item["status"] for item in node.get("status", {}).get("conditions", ())}
        return conditions.get("Ready") == "True"

    def _is_on_host_network(self) -> bool:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": "default"},
            "spec": {"containers": [{"name": "probe", "image": _PAUSE}]},
        }
        return bool(self.plane.cluster.would_be(pod).get("spec", {}).get("hostNetwork"))

    def _until(self, what: str, holds: Callable[[], object], *, process: str) -> None:
        self.plane.run.until(what, holds, process=self.plane.process(process), timeout=_TIMEOUT)


_NO_POD_NETWORK = """
{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "none"}]}
"""  # none of its pods asks for one, but without a configuration containerd and so the node are never ready


def pod_policy(name: str, spec: str, namespace: str = "") -> Iterator[dict[str, Any]]:
    """A policy that gives every new pod, or those of one namespace, some fields of its spec.

    Args:
        spec: CEL, in the braces of `Object.spec{}`.
    """
    metadata = {"name": name}
    mutation = {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {"expression": f"Object{{spec: Object.spec{{{spec}}}}}"},
    }
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}} if namespace else {}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    yield {
        "apiVersion": _ADMISSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [pods], **where},
            "mutations": [mutation],
        },
    }
    yield {
        "apiVersion": _ADMISSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": name},
    }
