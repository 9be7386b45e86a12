"""A composition function that the package manager installs, and that runs as a process of this machine.

That is Crossplane's `External` package runtime: whoever runs the function, not the package manager, says in the
FunctionRevision's status where it listens (internal/controller/pkg/runtime).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import certificates, tools
from testbed.controlplane import ControlPlane
from testbed.versions import CRANE, CROSSPLANE_CLI

_TAG = "v0.0.0-testbed"
_TIMEOUT = 90.0
_API = "pkg.crossplane.io/v1"


@dataclass(frozen=True, slots=True)
class External:
    """A function on a control plane that has Crossplane.

    Attributes:
        name: The Function's.
        package: The folder with its crossplane.yaml.
        port: Where it listens.
        command: What runs it; `--address` and `--tls-certs-dir` are added.
        core: The process that reconciles packages.
        authority: The certificate authority of core.
        namespace: Crossplane's.
        registry: Where packages are pushed to, a host with a dot in it, so not localhost.
    """

    plane: ControlPlane
    name: str
    package: Path
    port: int
    command: Sequence[str | Path]
    core: str
    authority: certificates.Pair
    namespace: str
    registry: str

    def up(self) -> None:
        """Install the function, start it, and wait until core can call it.

        Raises:
            cache.UnavailableError: Its package cannot be built, or it does not start.
        """
        package = self._push()
        self._write_certificate()
        self.start()
        self.plane.cluster.apply(
            {"apiVersion": _API, "kind": "Function", "metadata": {"name": self.name}, "spec": {"package": package}}
        )
        self._eventually("unpacks it", self._is_unpacked)
        self._tell_endpoint()
        self._eventually("finds it installed and healthy", self._is_healthy)

    def start(self) -> None:
        """Start the process, with mTLS by core's certificates."""
        flags = [f"--address=127.0.0.1:{self.port}", f"--tls-certs-dir={self.plane.folder / self._certificates}"]
        root = str(Path(__file__).resolve().parents[2])
        self.plane.run.start(self._process, [*self.command, *flags], env={"PYTHONPATH": f"{root}:{root}/tests"})

    def kill(self) -> None:
        """End the process as a crash would."""
        self.plane.run.kill(self._process)

    @property
    def _process(self) -> str:
        return self.plane.process(self.name)

    @property
    def _certificates(self) -> str:
        return f"{self.name}-server"

    def _push(self) -> str:
        run, file = self.plane.run, self.plane.folder / f"{self.name}.xpkg"
        build = ["xpkg", "build", f"--package-root={self.package}", f"--package-file={file}", "--ignore=deploy/*"]
        run.call([tools.find(CROSSPLANE_CLI), *build])
        # One repository a function: two from one break each other in the package manager's Lock.
        package = f"{self.registry}/{self.name}:{_TAG}"
        run.call([tools.find(CRANE), "push", file, package])
        return package

    def _write_certificate(self) -> None:
        server = certificates.issue(self.authority, self.name, ["127.0.0.1"])
        files = {**server.files, "ca.crt": self.authority.certificate}
        self.plane.write(self._certificates, files)
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        metadata = {"name": self._certificates, "namespace": self.namespace}
        self.plane.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def _tell_endpoint(self) -> None:
        """What the package manager does itself for a runtime that it runs."""
        [revision] = self._revisions()
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
        self.plane.cluster.patch_status(
            {**revision, "metadata": {"name": revision["metadata"]["name"]}, "status": status}
        )

    def _eventually(self, what: str, look: Callable[[], object]) -> None:
        self.plane.run.until(f"the package manager, for {self.name}, {what}", look, process=self.core, timeout=_TIMEOUT)

    def _revisions(self) -> list[dict[str, Any]]:
        return self.plane.cluster.list(_API, "FunctionRevision", labels=f"pkg.crossplane.io/package={self.name}")

    def _is_unpacked(self) -> bool:
        return any(item.get("status", {}).get("conditions") for item in self._revisions())

    def _is_healthy(self) -> bool:
        function = self.plane.cluster.get(_API, "Function", self.name) or {}
        conditions = {item["type"]: item["status"] for item in function.get("status", {}).get("conditions", ())}
        return conditions.get("Installed") == "True" and conditions.get("Healthy") == "True"
