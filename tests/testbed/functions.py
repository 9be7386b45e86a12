"""Composition functions that the package manager installs: what runs as a Deployment of its own, and local processes.

A local process is Crossplane's `External` package runtime: whoever runs the function, not the package manager, says in
the FunctionRevision's status where it listens (internal/controller/pkg/runtime).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import certificates, tools
from testbed.controlplane import ControlPlane
from testbed.versions import CRANE

_TAG = "v0.0.0-testbed"
_TIMEOUT = 90.0
_API = "pkg.crossplane.io/v1"


@dataclass(frozen=True, slots=True)
class Function:
    """A Function on a control plane that has Crossplane.

    Attributes:
        core: The process that reconciles packages.
        registry: Where packages are pushed to, a host with a dot in it, so not localhost.
    """

    plane: ControlPlane
    name: str
    core: str
    registry: str

    @property
    def package(self) -> str:
        """Its package in the registry; one repository each, as two from one break each other in core's Lock."""
        return f"{self.registry}/{self.name}:{_TAG}"

    def install(self, file: Path) -> None:
        """Push the package's file, and hand it to the package manager.

        Raises:
            cache.UnavailableError: It cannot be pushed.
        """
        self.plane.run.call([tools.find(CRANE), "push", file, self.package])
        self.plane.cluster.apply(
            {"apiVersion": _API, "kind": "Function", "metadata": {"name": self.name}, "spec": {"package": self.package}}
        )

    def until_unpacked(self) -> None:
        """Wait until there is a revision that core has looked at."""
        self._eventually(
            "unpacks it", lambda: any(item.get("status", {}).get("conditions") for item in self.revisions())
        )

    def until_healthy(self) -> None:
        """Wait until core can call it."""
        self._eventually("finds it installed and healthy", self._is_healthy)

    def revisions(self) -> list[dict[str, Any]]:
        """Its FunctionRevisions."""
        return self.plane.cluster.list(_API, "FunctionRevision", labels=f"pkg.crossplane.io/package={self.name}")

    def _eventually(self, what: str, look: Callable[[], object]) -> None:
        self.plane.run.until(f"the package manager, for {self.name}, {what}", look, process=self.core, timeout=_TIMEOUT)

    def _is_healthy(self) -> bool:
        function = self.plane.cluster.get(_API, "Function", self.name) or {}
        conditions = {item["type"]: item["status"] for item in function.get("status", {}).get("conditions", ())}
        return conditions.get("Installed") == "True" and conditions.get("Healthy") == "True"


@dataclass(frozen=True, slots=True)
class External:
    """A Function that is a process of this machine.

    Attributes:
        port: Where it listens.
        command: What runs it; `--address` and `--tls-certs-dir` are added.
        authority: The certificate authority of core.
        namespace: Crossplane's.
    """

    function: Function
    port: int
    command: Sequence[str | Path]
    authority: certificates.Pair
    namespace: str

    def up(self, file: Path) -> None:
        """Install it from its package's file, start it, and wait until core can call it.

        Raises:
            cache.UnavailableError: Its package cannot be pushed, or it does not start.
        """
        self._write_certificate()
        self.start()
        self.function.install(file)
        self.function.until_unpacked()
        self._tell_endpoint()
        self.function.until_healthy()

    def start(self) -> None:
        """Start the process, with mTLS by core's certificates."""
        plane = self.function.plane
        flags = [f"--address=127.0.0.1:{self.port}", f"--tls-certs-dir={plane.folder / self._certificates}"]
        root = str(Path(__file__).resolve().parents[2])
        plane.run.start(self._process, [*self.command, *flags], env={"PYTHONPATH": f"{root}:{root}/tests"})

    def kill(self) -> None:
        """End the process as a crash would."""
        self.function.plane.run.kill(self._process)

    @property
    def _process(self) -> str:
        return self.function.plane.process(self.function.name)

    @property
    def _certificates(self) -> str:
        return f"{self.function.name}-server"

    def _write_certificate(self) -> None:
        server = certificates.issue(self.authority, self.function.name, ["127.0.0.1"])
        files = {**server.files, "ca.crt": self.authority.certificate}
        self.function.plane.write(self._certificates, files)
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        metadata = {"name": self._certificates, "namespace": self.namespace}
        self.function.plane.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def _tell_endpoint(self) -> None:
        """What the package manager does itself for a runtime that it runs."""
        [revision] = self.function.revisions()
        condition = {
            "type": "RuntimeHealthy",
            "status": "True",
            "reason": "HealthyPackageRevision",
            "lastTransitionTime": revision["metadata"]["creationTimestamp"],
        }
        others = [item for item in revision["status"]["conditions"] if item["type"] != condition["type"]]
        status = {
            "endpoint": f"127.0.0.1:{self.port}",
            "tlsServerSecretName": self._certificates,
            "conditions": [*others, condition],
        }
        self.function.plane.cluster.patch_status(
            {**revision, "metadata": {"name": revision["metadata"]["name"]}, "status": status}
        )
