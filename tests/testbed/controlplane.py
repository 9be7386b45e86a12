"""etcd, kube-apiserver and kube-controller-manager: a cluster's control plane, on loopback only."""

from __future__ import annotations

import base64
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from testbed import certificates, tools
from testbed.cluster import Cluster
from testbed.run import FORWARD, Run
from testbed.versions import ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER

API_PORT = 6443
NODE_USER = "system:node:testbed"

_SERVICE_NET = 96
_READY = 60.0
_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class ControlPlane:
    """One of the control planes of a run.

    Attributes:
        name: What its files and processes are called after.
        index: Which of the run's it is, from 0: its ports follow from it.
    """

    run: Run
    name: str
    index: int = 0

    @property
    def folder(self) -> Path:
        """Its certificates, kubeconfigs and data."""
        return self.run.folder / self.name

    def port(self, base: int) -> int:
        """A port of this control plane, inside the run's network namespace."""
        return base + self.index

    @property
    def service_address(self) -> str:
        """The kubernetes Service's cluster IP: a loopback address, so that pods find it where they are."""
        return f"127.{_SERVICE_NET + self.index}.0.1"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's, for use outside the network namespace."""
        return self.folder / "kubeconfig"

    @property
    def inner_kubeconfig(self) -> Path:
        """An administrator's, for the processes inside the network namespace."""
        return self.folder / "kubeconfig-inside"

    @cached_property
    def cluster(self) -> Cluster:
        """It, as a client sees it."""
        return Cluster(self.kubeconfig)

    def up(self, *, controllers: bool) -> None:
        """Start it, and wait until it is ready.

        Raises:
            cache.UnavailableError: A program cannot be found, built or started.
        """
        self._write_secrets()
        self._forward()
        self.start_etcd()
        self.start_apiserver()
        self.until_ready()
        if controllers:
            self.start_controllers()

    def start_etcd(self) -> None:
        """Start etcd on the data that is there."""
        client, peer = (f"http://127.0.0.1:{self.port(base)}" for base in (2379, 2479))
        self.run.start(
            self.process("etcd"),
            [
                tools.find(ETCD),
                f"--name={self.name}",
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster={self.name}={peer}",
                "--unsafe-no-fsync",  # nothing here outlives the machine
                "--log-level=warn",
            ],
        )

    def start_apiserver(self) -> None:
        """Start kube-apiserver."""
        self.run.start(
            self.process("kube-apiserver"),
            [
                tools.find(KUBE_APISERVER),
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self.port(API_PORT)}",
                "--endpoint-reconciler-type=none",  # refuses a loopback address
                f"--etcd-servers=http://127.0.0.1:{self.port(2379)}",
                f"--service-cluster-ip-range=127.{_SERVICE_NET + self.index}.0.0/16",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
                f"--token-auth-file={self.folder / 'tokens.csv'}",
                f"--client-ca-file={self.folder / 'ca.crt'}",
                f"--tls-cert-file={self.folder / 'apiserver.crt'}",
                f"--tls-private-key-file={self.folder / 'apiserver.key'}",
                "--service-account-issuer=testbed",
                f"--service-account-key-file={self.folder / 'service-accounts.key'}",
                f"--service-account-signing-key-file={self.folder / 'service-accounts.key'}",
                # For logs; a node's address is its loopback's.
                f"--kubelet-certificate-authority={self.folder / 'ca.crt'}",
                f"--kubelet-client-certificate={self.folder / 'apiserver.crt'}",
                f"--kubelet-client-key={self.folder / 'apiserver.key'}",
                "--kubelet-preferred-address-types=InternalIP",
                # A node has the policy that puts pods on the network of the run: beta in this Kubernetes, so off.
                "--feature-gates=MutatingAdmissionPolicy=true",
                "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
            ],
        )

    def until_ready(self) -> None:
        """Wait until the API server answers that it is ready."""
        self.run.until(
            f"the API server of {self.name} is ready",
            self.cluster.ready,
            process=self.process("kube-apiserver"),
            timeout=_READY,
        )

    def start_controllers(self) -> None:
        """Start kube-controller-manager: default ServiceAccounts, garbage collection, Jobs, aggregated roles."""
        self.run.start(
            self.process("kube-controller-manager"),
            [
                tools.find(KUBE_CONTROLLER_MANAGER),
                f"--kubeconfig={self.inner_kubeconfig}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port(10257)}",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                f"--service-account-private-key-file={self.folder / 'service-accounts.key'}",
                f"--root-ca-file={self.folder / 'ca.crt'}",
            ],
        )

    def restart_apiserver(self) -> None:
        """Kill the API server as a crash would, and start it again."""
        self.run.kill(self.process("kube-apiserver"))
        self.start_apiserver()
        self.until_ready()

    def kubeconfig_of(self, name: str, token: str) -> Path:
        """A kubeconfig with a token, for a process inside the network namespace."""
        return self._write_kubeconfig(f"kubeconfig-{name}", token, self.port(API_PORT))

    def process(self, program: str) -> str:
        """What a program of this control plane is called among the run's processes."""
        return f"{self.name}-{program}"

    def subfolder(self, name: str) -> Path:
        """A folder of its own for a program, which is there afterwards."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, files: Mapping[str, bytes]) -> Path:
        """Write files that nobody else may read into a folder of its own, and return it."""
        path = self.subfolder(name)
        for file, content in files.items():
            (path / file).touch(mode=0o600)
            (path / file).write_bytes(content)
        return path

    def _forward(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            descriptor = listening.fileno()
            self.run.start(
                self.process("forward"),
                [sys.executable, FORWARD, str(self.port(API_PORT)), str(descriptor)],
                fds=[descriptor],
            )
        self._write_kubeconfig(self.kubeconfig.name, self._admin_token(), port)

    def _write_secrets(self) -> None:
        authority = certificates.authority(f"testbed {self.name}")
        hosts = ("127.0.0.1", self.service_address, "localhost", *_NAMES)
        server = certificates.issue(authority, "kube-apiserver", hosts)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        service_accounts = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        token, kubelet = (secrets.token_hex(16) for _ in range(2))
        files = {
            "ca.crt": authority.certificate,
            "ca.key": authority.key,
            "apiserver.crt": server.certificate,
            "apiserver.key": server.key,
            "service-accounts.key": service_accounts,
            "tokens.csv": f"{token},admin,admin,system:masters\n{kubelet},{NODE_USER},kubelet,system:nodes\n".encode(),
        }
        self.write(".", files)
        self.kubeconfig_of("kubelet", kubelet)
        self._write_kubeconfig(self.inner_kubeconfig.name, token, self.port(API_PORT))

    def _admin_token(self) -> str:
        return (self.folder / "tokens.csv").read_text(encoding="utf-8").partition(",")[0]

    def _write_kubeconfig(self, name: str, token: str, port: int) -> Path:
        authority = base64.b64encode((self.folder / "ca.crt").read_bytes()).decode()
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "user"}}],
            "current-context": self.name,
        }
        return self.write(".", {name: yaml.safe_dump(document).encode()}) / name
