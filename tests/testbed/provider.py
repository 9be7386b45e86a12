"""provider-kubernetes as a local process, and clusters for it to reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from testbed import certificates, tools
from testbed.controlplane import ControlPlane
from testbed.crossplane import NAMESPACE
from testbed.versions import PROVIDER_KUBERNETES

_NAME = "provider-kubernetes"
_GROUPS = ["kubernetes.crossplane.io", "kubernetes.m.crossplane.io"]
_API = "kubernetes.m.crossplane.io/v1alpha1"
_TIMEOUT = 60.0
_WEBHOOK_PORT = 9443  # it has no flag for it


@dataclass(frozen=True, slots=True)
class Provider:
    """provider-kubernetes on a control plane that has Crossplane."""

    plane: ControlPlane

    def up(self) -> None:
        """Install it and wait until it runs.

        Raises:
            cache.UnavailableError: Something cannot be built, found or started.
        """
        cluster = self.plane.cluster
        for path in sorted((tools.files(PROVIDER_KUBERNETES.module) / "package/crds").glob("*.yaml")):
            definition = yaml.safe_load(path.read_text(encoding="utf-8"))
            definition["spec"].pop("conversion", None)  # by a webhook, whose Service the package manager would fill in
            cluster.apply(definition)
        self.plane.run.until(
            "the API of provider-kubernetes is served",
            lambda: cluster.serves(_API, "Object", "ClusterProviderConfig"),
            process=self.plane.process("kube-apiserver"),
            timeout=_TIMEOUT,
        )
        cluster.apply(*_roles())
        self.start()
        self.plane.run.until(
            "provider-kubernetes runs",
            lambda: self.plane.run.listens(_WEBHOOK_PORT),  # the last of its servers to start
            process=self.plane.process(_NAME),
            timeout=_TIMEOUT,
        )

    def start(self) -> None:
        """Start the provider, as its own ServiceAccount."""
        token = self.plane.cluster.token(NAMESPACE, _NAME)
        server = certificates.issue(certificates.authority(_NAME), _NAME, ["127.0.0.1"])
        folder = self.plane.write(f"{_NAME}-certificates", server.files)  # its webhooks': it does not start without
        self.plane.run.start(
            self.plane.process(_NAME),
            [
                tools.find(PROVIDER_KUBERNETES),
                f"--health-probe-bind-addr=127.0.0.1:{self.plane.port(18780)}",
                "--poll=5s",  # how soon drift on a cluster is seen
            ],
            env={
                "KUBECONFIG": str(self.plane.kubeconfig_of(_NAME, token)),
                "TLS_SERVER_CERTS_DIR": str(folder),
            },
        )

    def reach(self, cluster: ControlPlane, *, config: str) -> None:
        """A ClusterProviderConfig that reaches another control plane of the run, as its administrator."""
        secret = {"name": f"{config}-kubeconfig", "namespace": NAMESPACE}
        self.plane.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": secret,
                "stringData": {"kubeconfig": cluster.inner_kubeconfig.read_text(encoding="utf-8")},
            },
            {
                "apiVersion": _API,
                "kind": "ClusterProviderConfig",
                "metadata": {"name": config},
                "spec": {"credentials": {"source": "Secret", "secretRef": {**secret, "key": "kubeconfig"}}},
            },
        )


def _roles() -> Iterator[dict[str, Any]]:
    """What Crossplane's RBAC manager grants a provider that is installed as a package, and core for its kinds."""
    metadata = {"name": _NAME, "namespace": NAMESPACE}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    own = {"apiGroups": _GROUPS, "resources": ["*"], "verbs": ["*"]}
    others = [
        {
            "apiGroups": ["", "coordination.k8s.io"],
            "resources": ["secrets", "configmaps", "events", "leases"],
            "verbs": ["*"],
        },
        {
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    yield _role(f"{_NAME}:system", [own, *others], {})
    yield _role(f"{_NAME}:aggregate-to-crossplane", [own], {"rbac.crossplane.io/aggregate-to-crossplane": "true"})
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{_NAME}:system"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }


def _role(name: str, rules: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}
