"""Crossplane's core and RBAC manager as local processes, with the roles of the official chart and nothing more."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from testbed import certificates, package, tools
from testbed.cache import UnavailableError
from testbed.controlplane import API_PORT, ControlPlane
from testbed.functions import External, Function
from testbed.node import Node
from testbed.versions import CRANE, CROSSPLANE_CORE, HELM

NAMESPACE = "crossplane-system"
FUNCTION = "function-kratix"

_ROOT = Path(__file__).resolve().parents[2]
_RBAC_VERSION = "rbac.authorization.k8s.io/v1"
_INIT_TRIES = 5
_TIMEOUT = 90.0
# Started by a Deployment or a Job; here they are processes of their own.
_NOT_APPLIED = {"Deployment", "Service"}
_CORE, _RBAC = "crossplane-core", "crossplane-rbac"
_FUNCTION_PORT, _OTHER_PORT = 9543, 9643
_CA, _CLIENT = "crossplane-root-ca", "crossplane-tls-client"
_CLIENT_FOLDER = "client-certificates"


@dataclass(frozen=True, slots=True)
class Crossplane:
    """Crossplane on a control plane, with this project's function installed as a package.

    With a node the package manager runs the function too, as its own Deployment of the image that is in the package.
    Without one the function is a local process.

    Attributes:
        node: Where the function runs as a Deployment.
        at_once: How many objects of a kind core reconciles at once; its own default is 100.
    """

    plane: ControlPlane
    node: Node | None = None
    at_once: int | None = None

    def up(self) -> None:
        """Install Crossplane and the function, and wait until core can call it.

        Raises:
            UnavailableError: Something cannot be built, found or started.
        """
        for manifest in self._chart():
            self.plane.cluster.apply(manifest)
        self.plane.run.until(
            "core's roles are aggregated",
            lambda: (self.plane.cluster.get(_RBAC_VERSION, "ClusterRole", "crossplane") or {}).get("rules"),
            process=self.plane.process("kube-controller-manager"),
            timeout=_TIMEOUT,
        )
        kubeconfig = self._kubeconfig("crossplane")
        self._init(kubeconfig)
        self.plane.write(_CLIENT_FOLDER, self._secret(_CLIENT))
        self.start_core()
        self._start_rbac()
        self.plane.cluster.apply(*yaml.safe_load_all((_ROOT / "package/deploy/rbac.yaml").read_text(encoding="utf-8")))
        self._start_registry()
        self._install_ours()

    def start_core(self) -> None:
        """Start core."""
        folder = self.plane.folder
        flags = [f"--max-concurrent-reconciles={self.at_once}"] if self.at_once else []
        self.plane.run.start(
            self.plane.process(_CORE),
            [tools.find(CROSSPLANE_CORE), "core", "start", *flags],
            env={
                "KUBECONFIG": str(folder / "kubeconfig-crossplane"),
                "POD_NAMESPACE": NAMESPACE,
                "POD_SERVICE_ACCOUNT": "crossplane",
                "ENABLE_WEBHOOKS": "false",
                "TLS_CLIENT_SECRET_NAME": _CLIENT,
                "TLS_CLIENT_CERTS_DIR": str(folder / _CLIENT_FOLDER),
                "XPKG_CACHE_DIR": str(self.plane.subfolder("xpkg")),
                "XFN_CACHE_DIR": str(self.plane.subfolder("xfn")),
                "METRICS_PORT": str(self.plane.port(18080)),
                "HEALTH_PROBE_PORT": str(self.plane.port(18180)),
                "PACKAGE_RUNTIME": f"Provider=External;Function={'Deployment' if self.node else 'External'}",
            },
        )

    def kill_core(self) -> None:
        """End core as a crash would."""
        self.plane.run.kill(self.plane.process(_CORE))

    def start_function(self, command: Sequence[str | Path] = ()) -> None:
        """Start the local process of this project's function.

        Args:
            command: What runs it, where that is not its own program; it takes the same flags.
        """
        ours = self._ours
        (replace(ours, command=command) if command else ours).start()

    def kill_function(self) -> None:
        """End the local process of this project's function as a crash would."""
        self._ours.kill()

    def add_function(self, name: str, *, folder: Path, command: Sequence[str | Path]) -> None:
        """Install another function beside this project's: a local process, so there must be no node.

        Args:
            folder: With its crossplane.yaml.
            command: What runs it; it takes `--address` and `--tls-certs-dir`, as this project's does.

        Raises:
            UnavailableError: Its package cannot be built, or it does not start.
        """
        file = self.plane.folder / f"{name}.xpkg"
        package.write(file, folder=folder, runtime=None)
        self._external(name, command, _OTHER_PORT).up(file)

    @property
    def package(self) -> str:
        """This project's package in the run's registry, and on a node the function's image."""
        return self._function(FUNCTION).package

    def _install_ours(self) -> None:
        if not self.node:
            file = self.plane.folder / f"{FUNCTION}.xpkg"
            package.write(file, runtime=None)
            self._ours.up(file)
            return
        # The package manager's endpoint for a function is its headless Service's name, which DNS would resolve to the
        # pod's address (internal/controller/pkg/runtime/runtime_function.go): that of the run's loopback.
        self.plane.run.resolve(f"{FUNCTION}.{NAMESPACE}", "127.0.0.1")
        function = self._function(FUNCTION)
        function.install(package.ours())
        function.until_unpacked()
        function.until_healthy()

    @property
    def _ours(self) -> External:
        # Two clusters of one run share its network namespace, and so the port that the function has by default.
        metrics = f"--metrics-address=127.0.0.1:{self.plane.port(18880)}"
        return self._external(FUNCTION, [sys.executable, "-m", "function.main", metrics], _FUNCTION_PORT)

    def _function(self, name: str) -> Function:
        return Function(self.plane, name, self.plane.process(_CORE), f"127.0.0.1:{self._registry_port}")

    def _external(self, name: str, command: Sequence[str | Path], port: int) -> External:
        secret = self._secret(_CA)
        authority = certificates.Pair(secret["tls.crt"], secret["tls.key"])
        return External(self._function(name), self.plane.port(port), command, authority, NAMESPACE)

    def _chart(self) -> Iterator[dict[str, Any]]:
        chart = tools.files(CROSSPLANE_CORE.module) / "cluster/charts/crossplane"
        command: list[str | Path] = [tools.find(HELM), "template", "crossplane", chart, "--namespace", NAMESPACE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"cannot render Crossplane's chart: {done.stderr.strip()}")
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        for document in yaml.safe_load_all(done.stdout):
            if document and document["kind"] not in _NOT_APPLIED:
                if document["kind"] in {"ServiceAccount", "Secret"}:
                    document["metadata"].setdefault("namespace", NAMESPACE)
                yield document

    def _init(self, kubeconfig: Path) -> None:
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "POD_NAMESPACE": NAMESPACE,
            "POD_SERVICE_ACCOUNT": "crossplane",
            "ENABLE_WEBHOOKS": "false",
            "CRDS_PATH": str(tools.files(CROSSPLANE_CORE.module) / "cluster/crds"),
            "TLS_CA_SECRET_NAME": _CA,
            "TLS_CLIENT_SECRET_NAME": _CLIENT,
        }
        # It makes the CRDs and then their first objects, which fails while the API server does not serve these kinds: "no
        # matches for kind Lock". What is served before it starts it need not try twice.
        for path in Path(environment["CRDS_PATH"]).glob("*.yaml"):
            self.plane.cluster.apply(yaml.safe_load(path.read_text(encoding="utf-8")))
        self.plane.run.until(
            "Crossplane's API is served",
            lambda: self.plane.cluster.serves("pkg.crossplane.io/v1beta1", "Lock", "DeploymentRuntimeConfig"),
            process=self.plane.process("kube-apiserver"),
            timeout=_TIMEOUT,
        )
        command: list[str | Path] = [tools.find(CROSSPLANE_CORE), "core", "init", "--activation=*"]
        for attempt in range(1, _INIT_TRIES + 1):
            try:
                self.plane.run.call(command, env=environment)
            except UnavailableError:
                # Right after it made the CRDs the API server does not know all of them: "no matches for kind Lock".
                if attempt == _INIT_TRIES:
                    raise
                time.sleep(0.5)
            else:
                return

    def _start_rbac(self) -> None:
        name = self.plane.process(_RBAC)
        self.plane.run.start(
            name,
            [
                tools.find(CROSSPLANE_CORE),
                "rbac",
                "start",
                "--provider-clusterrole=crossplane:allowed-provider-permissions",
            ],
            env={"KUBECONFIG": str(self._kubeconfig("rbac-manager"))},
            # It serves its metrics on 8080, and has no flag for it; so do providers.
            namespace=self.plane.run.secluded(name, reaches=self.plane.port(API_PORT)),
        )

    def _start_registry(self) -> None:
        address, disk = f"--address=127.0.0.1:{self._registry_port}", f"--disk={self.plane.subfolder('registry')}"
        name, crane = self.plane.process("registry"), tools.find(CRANE)
        self.plane.run.start(name, [crane, "registry", "serve", address, disk])

        def answers() -> bool:
            try:
                self.plane.run.call([crane, "catalog", f"127.0.0.1:{self._registry_port}"])
            except UnavailableError:
                return False
            return True

        self.plane.run.until("the registry answers", answers, process=name, timeout=60)

    @property
    def _registry_port(self) -> int:
        return self.plane.port(15000)

    def _secret(self, name: str) -> dict[str, bytes]:
        secret = self.plane.cluster.get("v1", "Secret", name, NAMESPACE) or {}
        return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}

    def _kubeconfig(self, service_account: str) -> Path:
        token = self.plane.cluster.token(NAMESPACE, service_account)
        return self.plane.kubeconfig_of(service_account, token)
