"""Crossplane's core and RBAC manager as local processes, with the roles of the official chart and nothing more."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import certificates, tools
from testbed.cache import UnavailableError
from testbed.controlplane import API_PORT, ControlPlane
from testbed.versions import CRANE, CROSSPLANE_CLI, CROSSPLANE_CORE, HELM

NAMESPACE = "crossplane-system"
FUNCTION = "function-kratix"

_ROOT = Path(__file__).resolve().parents[2]
_RBAC_VERSION = "rbac.authorization.k8s.io/v1"
_TAG = "v0.0.0-testbed"
_INIT_TRIES = 5
_TIMEOUT = 90.0
# Started by a Deployment or a Job; here they are processes of their own.
_NOT_APPLIED = {"Deployment", "Service"}
_CORE, _RBAC, _PROCESS = "crossplane-core", "crossplane-rbac", "function"
_FUNCTION_PORT = 9543
_CA, _CLIENT, _SERVER = "crossplane-root-ca", "crossplane-tls-client", "function-kratix-server"
_CLIENT_FOLDER, _SERVER_FOLDER = "client-certificates", "function-certificates"


@dataclass(frozen=True, slots=True)
class Crossplane:
    """Crossplane on a control plane, with this project's function installed as a package.

    The package manager installs it for real; the process that answers is a local one, in the External package runtime:
    whoever runs it, not the package manager, says in the FunctionRevision's status where it listens.
    """

    plane: ControlPlane

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
        self._install_function()

    def start_core(self) -> None:
        """Start core."""
        folder = self.plane.folder
        self.plane.run.start(
            self.plane.process(_CORE),
            [tools.find(CROSSPLANE_CORE), "core", "start"],
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
                "PACKAGE_RUNTIME": "Provider=External;Function=External",
            },
        )

    def kill_core(self) -> None:
        """End core as a crash would."""
        self.plane.run.kill(self.plane.process(_CORE))

    def start_function(self) -> None:
        """Start the function, with mTLS by core's certificates."""
        self.plane.run.start(
            self.plane.process(_PROCESS),
            [
                *(sys.executable, "-m", "function.main"),
                f"--address=127.0.0.1:{self._function_port}",
                f"--tls-certs-dir={self.plane.folder / _SERVER_FOLDER}",
            ],
            env={"PYTHONPATH": str(_ROOT)},
        )

    def kill_function(self) -> None:
        """End the function as a crash would."""
        self.plane.run.kill(self.plane.process(_PROCESS))

    @property
    def _function_port(self) -> int:
        return self.plane.port(_FUNCTION_PORT)

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

    def _install_function(self) -> None:
        package = self._push_package()
        self._write_server_certificate()
        self.start_function()
        cluster = self.plane.cluster
        cluster.apply(*yaml.safe_load_all((_ROOT / "package/deploy/rbac.yaml").read_text(encoding="utf-8")))
        function = {
            "apiVersion": "pkg.crossplane.io/v1",
            "kind": "Function",
            "metadata": {"name": FUNCTION},
            "spec": {"package": package},
        }
        cluster.apply(function)
        self._eventually("the package manager unpacks the Function", self._has_revision)
        self._tell_endpoint()
        self._eventually("the Function is installed and healthy", self._function_is_healthy)

    def _has_revision(self) -> bool:
        return any(item.get("status", {}).get("conditions") for item in self._revisions())

    def _tell_endpoint(self) -> None:
        """What the package manager does itself for a runtime that it runs."""
        revision = self._revisions()[0]
        condition = {
            "type": "RuntimeHealthy",
            "status": "True",
            "reason": "HealthyPackageRevision",
            "lastTransitionTime": revision["metadata"]["creationTimestamp"],
        }
        others = [item for item in revision["status"]["conditions"] if item["type"] != condition["type"]]
        status = {
            "endpoint": f"127.0.0.1:{self._function_port}",
            "tlsServerSecretName": _SERVER,
            "conditions": [*others, condition],
        }
        self.plane.cluster.patch_status(
            {**revision, "metadata": {"name": revision["metadata"]["name"]}, "status": status}
        )

    def _eventually(self, what: str, look: Callable[[], object]) -> None:
        self.plane.run.until(what, look, process=self.plane.process(_CORE), timeout=_TIMEOUT)

    def _revisions(self) -> list[dict[str, Any]]:
        return self.plane.cluster.list("pkg.crossplane.io/v1", "FunctionRevision")

    def _function_is_healthy(self) -> bool:
        function = self.plane.cluster.get("pkg.crossplane.io/v1", "Function", FUNCTION) or {}
        conditions = {item["type"]: item["status"] for item in function.get("status", {}).get("conditions", ())}
        return conditions.get("Installed") == "True" and conditions.get("Healthy") == "True"

    def _push_package(self) -> str:
        run, folder = self.plane.run, self.plane.folder
        registry = self.plane.process("registry")
        run.start(registry, [tools.find(CRANE), "registry", "serve", f"--address=127.0.0.1:{self._registry_port}"])
        file = folder / "function.xpkg"
        build = [
            "xpkg",
            "build",
            f"--package-root={_ROOT / 'package'}",
            f"--package-file={file}",
            "--ignore=deploy/*,deploy/bridge/*",
        ]
        run.call([tools.find(CROSSPLANE_CLI), *build])
        # A registry's host needs a dot in it, so not localhost.
        package = f"127.0.0.1:{self._registry_port}/function-kratix:{_TAG}"
        run.call([tools.find(CRANE), "push", file, package])
        return package

    @property
    def _registry_port(self) -> int:
        return self.plane.port(15000)

    def _write_server_certificate(self) -> None:
        secret = self._secret(_CA)
        ca = certificates.Pair(secret["tls.crt"], secret["tls.key"])
        server = certificates.issue(ca, FUNCTION, ["127.0.0.1"])
        files = {**server.files, "ca.crt": ca.certificate}
        self.plane.write(_SERVER_FOLDER, files)
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        metadata = {"name": _SERVER, "namespace": NAMESPACE}
        self.plane.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def _secret(self, name: str) -> dict[str, bytes]:
        secret = self.plane.cluster.get("v1", "Secret", name, NAMESPACE) or {}
        return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}

    def _kubeconfig(self, service_account: str) -> Path:
        token = self.plane.cluster.token(NAMESPACE, service_account)
        return self.plane.kubeconfig_of(service_account, token)
