"""The versions of every real program that the tests run.

Each is built from its published Go module. `go/<module>/go.mod` and `go.sum` pin it with all it needs; after a change
here, `make pin` makes them anew. What comes from the distribution's packages instead (containerd, runc, buildah) is in
`node.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module that programs are built from.

    Attributes:
        name: Its folder under `go/`.
        path: Its import path.
        stamps: The Go variables that its version is linked into.
        staging: The version of the modules that its own go.mod requires as `v0.0.0`; Kubernetes has such, and a module
            that requires Kubernetes has to replace each of them.
        files: The folders of the module that the testbed reads: CRDs, charts, roles.
        follows: The module whose versions it takes of what both require, where its own are older: what is compiled for one
            then serves both.
        experiment: Of Go's experiments, the one that it is written for, as the Go of its go.mod has it.
    """

    name: str
    path: str
    version: str
    stamps: tuple[str, ...] = ()
    staging: str = ""
    files: tuple[str, ...] = ()
    follows: str = ""
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that is found or built.

    Attributes:
        name: Its name in the cache.
        variable: The environment variable that names a binary to use instead.
        package: The package with its `main`, below the module; empty where it is the module's root.
    """

    name: str
    variable: str
    module: Module
    package: str = ""

    @property
    def version(self) -> str:
        """Its module's version."""
        return self.module.version

    @property
    def main(self) -> str:
        """The import path of its `main`."""
        return f"{self.module.path}/{self.package}".rstrip("/")


_CORE = Module(
    name="crossplane-core",
    path="github.com/crossplane/crossplane/v2",
    version="v2.3.4",
    # Unstamped it has no version, and every package's spec.crossplane.version constraint fails.
    stamps=("github.com/crossplane/crossplane-runtime/v2/pkg/version.version",),
    files=("cluster/crds", "cluster/charts/crossplane"),
    follows="crossplane-cli",
)
_CLI = Module(name="crossplane-cli", path="github.com/crossplane/cli/v2", version="v2.5.0")
_KUBERNETES = Module(
    name="kubernetes",
    path="k8s.io/kubernetes",
    version="v1.35.4",
    # Unstamped, a kubelet says that it is v0.0.0-master.
    stamps=("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
    staging="v0.35.4",
)
_ETCD = Module(name="etcd", path="go.etcd.io/etcd/server/v3", version="v3.6.12")
# Renders Crossplane's chart, so that core has here the roles that it has at its users'. The newest whose Kubernetes is no
# newer than the CLI's.
_HELM = Module(name="helm", path="helm.sh/helm/v3", version="v3.20.2", follows="crossplane-cli")
_CRANE = Module(name="crane", path="github.com/google/go-containerregistry", version="v0.22.1")
# The newest that is published as a Go module, of July 2024; a newer one is used by way of the variables.
_KRATIX = Module(
    name="kratix",
    path="github.com/syntasso/kratix",
    version="v0.125.0",
    files=("config", "work-creator/scripts"),
)
# What the scripts of that Kratix's adapter call, beside kubectl.
_YQ = Module(name="yq", path="github.com/mikefarah/yq/v4", version="v4.54.2")

# The newest whose requirements the Go proxy has; those of 1.3 and 1.4 it refuses.
_PROVIDER_KUBERNETES = Module(
    name="provider-kubernetes",
    path="github.com/crossplane-contrib/provider-kubernetes",
    version="v1.2.1",
    files=("package",),
)

# Reads the workflows of CI as their forge does, as far as that can be known without it.
_ACTIONLINT = Module(name="actionlint", path="github.com/rhysd/actionlint", version="v1.7.12")

# Scans the image and what is applied. It brings its checks, so that it needs no service but for known vulnerabilities.
_TRIVY = Module(
    name="trivy",
    path="github.com/aquasecurity/trivy",
    version="v0.74.0",
    stamps=("github.com/aquasecurity/trivy/pkg/version/app.ver",),
    experiment="jsonv2",
)
# Makes the database of vulnerabilities that Trivy reads: here a small one, of what a test plants.
_TRIVY_DB = Module(
    name="trivy-db",
    path="github.com/aquasecurity/trivy-db",
    version="v0.0.0-20260813095258-0e0340a01b57",
    follows="trivy",
    experiment="jsonv2",
)

CROSSPLANE_CORE = Tool("crossplane-core", "CROSSPLANE_CORE", _CORE, "cmd/crossplane")
CROSSPLANE_CLI = Tool("crossplane-cli", "CROSSPLANE_CLI", _CLI, "cmd/crossplane")
ETCD = Tool("etcd", "ETCD", _ETCD)
KUBE_APISERVER = Tool("kube-apiserver", "KUBE_APISERVER", _KUBERNETES, "cmd/kube-apiserver")
KUBE_CONTROLLER_MANAGER = Tool(
    "kube-controller-manager", "KUBE_CONTROLLER_MANAGER", _KUBERNETES, "cmd/kube-controller-manager"
)
KUBE_SCHEDULER = Tool("kube-scheduler", "KUBE_SCHEDULER", _KUBERNETES, "cmd/kube-scheduler")
KUBELET = Tool("kubelet", "KUBELET", _KUBERNETES, "cmd/kubelet")
KUBECTL = Tool("kubectl", "KUBECTL", _KUBERNETES, "cmd/kubectl")
HELM = Tool("helm", "HELM", _HELM, "cmd/helm")
CRANE = Tool("crane", "CRANE", _CRANE, "cmd/crane")
KRATIX_MANAGER = Tool("kratix-manager", "KRATIX_MANAGER", _KRATIX)
KRATIX_ADAPTER = Tool("kratix-adapter", "KRATIX_ADAPTER", _KRATIX, "work-creator/pipeline/cmd")
YQ = Tool("yq", "YQ", _YQ)
PROVIDER_KUBERNETES = Tool("provider-kubernetes", "PROVIDER_KUBERNETES", _PROVIDER_KUBERNETES, "cmd/provider")
ACTIONLINT = Tool("actionlint", "ACTIONLINT", _ACTIONLINT, "cmd/actionlint")
TRIVY = Tool("trivy", "TRIVY", _TRIVY, "cmd/trivy")
TRIVY_DB = Tool("trivy-db", "TRIVY_DB", _TRIVY_DB, "cmd/trivy-db")

# What `make test` needs: `crossplane render` with the real core as its engine, helm for its chart, and a look at workflows.
RENDER = (CROSSPLANE_CORE, CROSSPLANE_CLI, HELM, ACTIONLINT)
# The whole testbed; Kubernetes and Trivy first, as they take longest.
TESTBED = (
    *(KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, KUBELET, KUBECTL),
    *(TRIVY, TRIVY_DB),
    *(ETCD, CRANE, HELM, CROSSPLANE_CORE, CROSSPLANE_CLI),
    *(KRATIX_MANAGER, KRATIX_ADAPTER, YQ, PROVIDER_KUBERNETES, ACTIONLINT),
)
