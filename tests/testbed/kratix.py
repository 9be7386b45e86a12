"""Kratix's manager as a local process, with its webhooks on and a Git state store.

By default it is the newest that is published as a Go module. A newer one: KRATIX_MANAGER names its binary and
KRATIX_CONFIG the `config` folder of its source, with its CRDs, roles and webhooks.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import adapter, certificates, tools
from testbed.cache import UnavailableError
from testbed.controlplane import ControlPlane
from testbed.versions import KRATIX_MANAGER

NAMESPACE = "kratix-platform-system"
CONFIG_VARIABLE = "KRATIX_CONFIG"
STORE = "platform"

_PREFIX = "kratix-platform-"
_ACCOUNT = f"{_PREFIX}controller-manager"
_MANAGER, _GIT = "kratix-manager", "git-server"
_GIT_SERVER = Path(__file__).with_name("gitserver.py")
_CERTIFICATES = "webhook-certificates"
_TIMEOUT = 60.0
# Kratix of 2024 writes a clone of the whole state store into TMPDIR for each file that it writes, which is three times as
# fast in memory, and then removes the folder above that clone: TMPDIR itself. Mounts cannot be removed, and these are seen
# by nobody else: `ip netns exec` gives each process a mount namespace of its own.
_TMPDIR_IN_MEMORY = """
mount -t tmpfs kratix "$TMPDIR"
mkdir "$TMPDIR/k8s-webhook-server"
mount --bind "$CERTIFICATES" "$TMPDIR/k8s-webhook-server"
mount -o remount,bind,ro "$TMPDIR/k8s-webhook-server"
exec "$0" "$@"
"""
_WEBHOOK_PORT = 9443  # its manager has no flag for it


@dataclass(frozen=True, slots=True)
class Kratix:
    """Kratix on a control plane, with the GitStateStore `platform`."""

    plane: ControlPlane

    def up(self) -> None:
        """Install Kratix and wait until it takes Promises.

        Raises:
            UnavailableError: Something cannot be built, found or started.
        """
        cluster = self.plane.cluster
        config = _config()
        self.install_api()
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        cluster.apply(*_roles(config))
        self._start_git()
        authority = self._write_certificates()
        self.start_manager()
        self.plane.run.until(
            "Kratix's webhooks listen",
            lambda: self.plane.run.listens(_WEBHOOK_PORT),
            process=self.plane.process(_MANAGER),
            timeout=_TIMEOUT,
        )
        cluster.apply(*_webhooks(config, authority))

    def install_api(self) -> None:
        """Install Kratix's CRDs, which is all that the function needs of it to compose Works."""
        cluster = self.plane.cluster
        cluster.apply(*_documents(_config() / "crd/bases"))
        self.plane.run.until(
            "Kratix's CRDs are served",
            lambda: cluster.serves("platform.kratix.io/v1alpha1", "Work", "Promise", "GitStateStore"),
            process=self.plane.process("kube-apiserver"),
            timeout=_TIMEOUT,
        )

    def start_manager(self) -> None:
        """Start the manager, as its own ServiceAccount: as an administrator, Promises cannot be deleted."""
        token = self.plane.cluster.token(NAMESPACE, _ACCOUNT)
        self.plane.run.start(
            self.plane.process(_MANAGER),
            [
                *("sh", "-e", "-c", _TMPDIR_IN_MEMORY),
                tools.find(KRATIX_MANAGER),
                f"--metrics-bind-address=127.0.0.1:{self.plane.port(18480)}",
                f"--health-probe-bind-address=127.0.0.1:{self.plane.port(18580)}",
                f"--pprof-bind-address=127.0.0.1:{self.plane.port(18680)}",
            ],
            env={
                "KUBECONFIG": str(self.plane.kubeconfig_of("kratix", token)),
                "TMPDIR": str(self.plane.subfolder("tmp")),  # its webhooks' certificates are looked for below it
                "CERTIFICATES": str(self.plane.subfolder(_CERTIFICATES)),
                "KUBERNETES_NAMESPACE": NAMESPACE,
                "WC_IMG": adapter.NAME,
                "PIPELINE_ADAPTER_IMG": adapter.NAME,  # what today's calls it (api/v1alpha1/pipeline_factory.go)
            },
        )

    def kill_manager(self) -> None:
        """End the manager as a crash would."""
        self.plane.run.kill(self.plane.process(_MANAGER))

    @property
    def repository(self) -> Path:
        """The state store: a bare Git repository."""
        return self.plane.folder / f"git/{STORE}.git"

    def files(self) -> dict[str, str]:
        """What is in the state store now: each file's text, by its path."""
        repository = self.repository
        # Of the tree: that of a commit begins with its id, and with nothing after it tarfile takes it for no archive.
        command = ["git", f"--git-dir={repository}", "archive", "main^{tree}"]
        archive = subprocess.run(command, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            every = {member.name: files.extractfile(member) for member in files}
            return {name: plain(file.read().decode()) for name, file in every.items() if file}

    def _start_git(self) -> None:
        repository = self.repository
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
        _git(repository, "config", "gc.auto", "1000")  # many loose objects make each of Kratix's clones slow
        # The branch has to be there before Kratix writes to it.
        tree = _git(repository, "hash-object", "-t", "tree", "-w", "/dev/null").strip()
        author = ["-c", "user.name=testbed", "-c", "user.email=testbed@example.org"]
        commit = _git(repository, *author, "commit-tree", tree, "-m", "Begin").strip()
        _git(repository, "update-ref", "refs/heads/main", commit)
        server = certificates.issue(certificates.authority("git"), "git", ["127.0.0.1"])
        folder = self.plane.write("git-certificates", server.files)
        password, port = secrets.token_hex(16), self.plane.port(8443)
        self.plane.run.start(
            self.plane.process(_GIT),
            [
                *(sys.executable, _GIT_SERVER, repository.parent, str(port)),
                *(folder / "tls.crt", folder / "tls.key"),
            ],
            env={"GIT_CREDENTIALS": f"kratix:{password}"},
        )
        self.plane.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "git", "namespace": NAMESPACE},
                "stringData": {"username": "kratix", "password": password},
            },
            {
                "apiVersion": "platform.kratix.io/v1alpha1",
                "kind": "GitStateStore",
                "metadata": {"name": STORE},
                "spec": {
                    "url": f"https://127.0.0.1:{port}/{STORE}.git",
                    "branch": "main",
                    "authMethod": "basicAuth",
                    "secretRef": {"name": "git", "namespace": NAMESPACE},
                },
            },
        )

    def _write_certificates(self) -> bytes:
        authority = certificates.authority("kratix webhooks")
        server = certificates.issue(authority, "webhooks", ["127.0.0.1"])
        self.plane.write(f"{_CERTIFICATES}/serving-certs", server.files)
        return authority.certificate


def _config() -> Path:
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named, "crd/bases").is_dir():
        raise UnavailableError(f"cannot install Kratix: {CONFIG_VARIABLE} is {named}, which has no crd/bases in it")
    return Path(named) if named else tools.files(KRATIX_MANAGER.module) / "config"


def _roles(config: Path) -> Iterator[dict[str, Any]]:
    """The manager's ServiceAccount and roles, in the namespace and with the prefix that its installation gives them."""
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT, "namespace": NAMESPACE}}
    for document in _documents(config / "rbac"):
        if document["metadata"]["name"] not in {"manager-role", "leader-election-role"}:
            continue
        name = _PREFIX + document["metadata"]["name"]
        kind = document["kind"]
        namespace = {"namespace": NAMESPACE} if kind == "Role" else {}
        yield {**document, "metadata": {"name": name, **namespace}}
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{kind}Binding",
            "metadata": {"name": name, **namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": NAMESPACE}],
        }


def _webhooks(config: Path, authority: bytes) -> Iterator[dict[str, Any]]:
    """Its webhooks, called by a loopback URL instead of a Service."""
    for document in _documents(config / "webhook/manifests.yaml"):
        for webhook in document["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {
                "url": f"https://127.0.0.1:{_WEBHOOK_PORT}{path}",
                "caBundle": base64.b64encode(authority).decode(),
            }
        document["metadata"]["name"] = _PREFIX + document["metadata"]["name"]
        yield document


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document and "metadata" in document:
                yield document


def plain(text: str) -> str:
    """A file's text, of a Work or of the state store.

    Kratix of 2024 knows no compression: its own Works hold the text, and of ours it writes what they hold, base64 of gzip.
    """
    try:
        return gzip.decompress(base64.b64decode(text, validate=True)).decode()
    except (ValueError, gzip.BadGzipFile, EOFError):
        return text


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", f"--git-dir={repository}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
