"""Who runs each command of the documentation that no tutorial or guide has: a test here, another one, CI, or nobody.

`test_documented_commands.py` holds these tables to the documentation, and to what they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import walks


@dataclass(frozen=True)
class By:
    """A test that runs the same; `but` says what is not quite the same there."""

    test: str
    but: str = ""


@dataclass(frozen=True)
class Ci:
    """A file of CI that runs this target of the Makefile."""

    file: str
    target: str


@dataclass(frozen=True)
class Nobody:
    """Why it cannot be run here."""

    why: str


_TUTORIALS = "tests/tutorials/test_tutorials.py"
_BRIDGE = "tests/bridge/test_bridge_main.py"
_BENCH = By("tests/bench/test_small.py::test_a_small_run", "all parts of it, small")
_RELEASE = "tests/e2e/test_release.py::test_a_release_is_one_package_for_all_architectures_and_a_chart"
_IMAGE = "tests/e2e/test_node.py::test_our_image_tells_nothing_of_the_machine_that_built_it"
_CHARTS = Nobody("charts of others, from the internet; the testbed has the same programs as processes")
_FORGE = Nobody("it needs Docker, or a registry or Git repository of the reader's")

ELSEWHERE: Mapping[str, By | Ci | Nobody] = {
    # Targets of the Makefile.
    "make check": Ci(".ci/run", "check"),
    "make demo": Ci(".ci/run", "demo"),
    "make test": Ci(".ci/run", "test"),
    "make e2e": Ci(".ci/run", "e2e"),
    "make soak": Ci(".ci/run", "soak"),
    "make fleet": By(
        "tests/fleet/test_fleet_requests.py::test_requests_come_while_the_bridge_is_killed", "with others"
    ),
    "make tutorials": By(f"{_TUTORIALS}::test_a_tutorial_works_as_it_says", "this is what it runs"),
    "make late": By("tests/test_late.py::test_what_does_not_wait_long_enough_fails", "the option, with two tests"),
    "make audit": By("tests/e2e/test_scan.py::test_every_dependency_is_audited", "with a service on loopback"),
    "make scan": By(
        "tests/e2e/test_scan.py::test_nothing_is_found_in_ours", "not by make, with a database on loopback"
    ),
    "make xpkg": By("tests/e2e/test_node.py::test_the_function_is_cores_own_deployment", "it installs that package"),
    "make xpkg RUNTIME=image.tar": Ci(".github/workflows/build.yml", "xpkg"),
    "make update": Nobody("it writes into this repository; tests hold all that it writes to what it would write"),
    "make testbed": By("tests/e2e/test_testbed.py::test_two_testbeds_beside_each_other_cost_little", "not by make"),
    "make testbed-down": By(
        "tests/e2e/test_testbed.py::test_a_run_ends_what_it_started_and_nothing_else", "not by make"
    ),
    'make bench BENCH="real --rounds 5"': _BENCH,
    "make bench BENCH=core": _BENCH,
    "make bench BENCH=scale": _BENCH,
    "KUBECONFIG=~/.kube/config make e2e": Nobody("a cluster of the reader's"),
    "KRATIX_MANAGER=.../manager KRATIX_CONFIG=.../config make e2e": Nobody("a Kratix that the reader has built"),
    # What does not end by itself.
    "function-kratix --insecure": By("tests/function/test_main.py::test_stops_cleanly_on_sigterm", "on a free port"),
    "kratix-crossplane status --watch": By("tests/bridge/test_status.py::test_it_follows_changes_on_a_terminal"),
    "kratix-crossplane status --kubeconfig ~/.kube/platform --watch": By(
        "tests/bridge/test_status.py::test_it_follows_changes_in_a_pipe"
    ),
    "kratix-crossplane simulate example/postgres --xr my-request.yaml --watch": By(
        "tests/bridge/test_cli.py::test_watch", "another folder"
    ),
    "kratix-crossplane bridge": By(f"{_BRIDGE}::test_it_leads_publishes_and_gives_the_lease_back", "on a free port"),
    "kratix-crossplane bridge --kubeconfig ~/.kube/platform --text --listen 127.0.0.1:8080": By(
        f"{_TUTORIALS}::test_a_tutorial_works_as_it_says", "on a free port"
    ),
    "kratix-crossplane bridge --kubeconfig ~/.kube/platform --ui-address 127.0.0.1:8081": By(
        f"{_TUTORIALS}::test_a_page_works_where_its_clusters_are", "docs/status.md has it without --kubeconfig"
    ),
    # What needs more than this machine has, or a cluster.
    "kubectl get xrd caches.xp.example.org -o yaml > xrd.yaml": By(
        f"{_TUTORIALS}::test_a_guide_works_where_its_tutorial_is", "debug-a-request.md does so with another XRD"
    ),
    "kratix-crossplane simulate . --function function-patch-and-transform=127.0.0.1:9444": By(
        "tests/bridge/test_cli.py::test_the_function_of_a_step_by_address", "another function"
    ),
    "kratix-crossplane promise crossplane --with package/deploy/rbac.yaml | kubectl apply -f -": By(
        "tests/bridge/test_stage_crossplane.py::test_the_example_is_what_the_command_makes",
        "not piped: test_installations.py applies the example, which is what it writes",
    ),
    "kubectl -n kratix-bridge-system port-forward deployment/kratix-crossplane-bridge 8081": Nobody(
        "a testbed with Kratix has no pods of the bridge to forward to; the page is asked where it listens"
    ),
    "docker build -t function-kratix .": By(_IMAGE, "by buildah"),
    "crossplane xpkg build --package-root=package --ignore='deploy/*,deploy/*/*,deploy/*/*/*' "
    "--embed-runtime-image=function-kratix --package-file=function-kratix.xpkg": By(
        _RELEASE, "with the image as a file, as there is no Docker to ask for it"
    ),
    "crossplane xpkg push --package-files=function-kratix.xpkg registry.example.org/function-kratix:v0.1.0": By(
        _RELEASE, "to a registry on this machine"
    ),
    "cosign verify registry.example.org/function-kratix:v0.1.0 "
    "--certificate-identity-regexp 'https://.*/\\.github/workflows/release\\.yml@refs/tags/v.*' "
    "--certificate-oidc-issuer <the issuer of your forge's tokens>": Nobody("only a release is signed, by its forge"),
    "git clone https://github.com/crossplane-contrib/function-go-templating && cd function-go-templating && go build .": (
        Nobody("another project's source, from the internet")
    ),
    "export FUNCTION_GO_TEMPLATING=$PWD/function-go-templating": Nobody("it is of use after the one before"),
    # What the tutorials need first.
    "for cluster in platform eu-1 eu-2; do kind create cluster --name $cluster "
    "kubectl config rename-context kind-$cluster $cluster done": _FORGE,
    "kind create cluster --name platform": _FORGE,
    "helm repo add crossplane https://charts.crossplane.io/stable": _CHARTS,
    "helm repo add jetstack https://charts.jetstack.io": _CHARTS,
    "helm repo add kratix https://syntasso.github.io/helm-charts": _CHARTS,
    "helm install crossplane crossplane/crossplane -n crossplane-system --create-namespace --wait": _CHARTS,
    "helm install cert-manager jetstack/cert-manager -n cert-manager --create-namespace --set crds.enabled=true --wait": (
        _CHARTS
    ),
    "helm install kratix kratix/kratix --wait": _CHARTS,
    "helm --kube-context platform install cert-manager jetstack/cert-manager -n cert-manager --create-namespace "
    "--set crds.enabled=true --wait": _CHARTS,
    "helm --kube-context platform install kratix kratix/kratix --wait": _CHARTS,
    'kubectl -n kratix-platform-system create secret generic git --from-literal=username="$GIT_USER" '
    '--from-literal=password="$GIT_TOKEN"': _FORGE,
    "kubectl apply -f - <<'END' (GitStateStore)": _FORGE,
    "git clone https://git.example.org/you/state.git store": _FORGE,
    "kubectl apply -f - <<'END' (Function)": _FORGE,
    "for cluster in eu-1 eu-2; do (Function)": _CHARTS,
}


@dataclass(frozen=True)
class Run:
    """How a command is run here.

    Attributes:
        prints: What is in its output.
        where: In which folder.
        leaves: A file that it writes, and what is in that.
        code: Its exit code; that of a pipe is of its last command.
    """

    prints: str = ""
    where: str = "."
    leaves: tuple[str, str] = ("", "")
    code: int = 0


POSTGRES = "example/postgres"
HERE: Mapping[str, Run] = {
    "make": Run("make check", where="repository"),
    ". .venv/bin/activate": Run(),
    f"cd {POSTGRES}": Run(),
    f"kratix-crossplane simulate {POSTGRES} --xr {POSTGRES}/xr-dev.yaml": Run("✓ Ready"),
    f"kratix-crossplane graph {POSTGRES} -o svg > postgres.svg": Run(leaves=("postgres.svg", "<svg")),
    "crossplane composition render xr-prod.yaml composition.yaml functions.yaml -e promise.yaml -e destinations.yaml "
    '-e context.yaml --crossplane-binary="$(command -v crossplane-core)"': Run("kind: Postgres", where=POSTGRES),
    f"kratix-crossplane graph {POSTGRES}": Run("flowchart LR"),
    "kratix-crossplane graph example/object -o dot | dot -Tpng > space.png": Run(leaves=("space.png", "PNG")),
    "kratix-crossplane graph . -o json | jq -r '.nodes[] | select(.kind == \"gate\") | .name'": Run(
        "billing\n", where=POSTGRES
    ),
    f"kratix-crossplane publish -f {POSTGRES}/promise.yaml": Run("kind: CompositeResourceDefinition"),
    "kratix-crossplane publish -f promise.yaml --input input.yaml | kubectl apply --server-side -f -": Run(
        "CompositeResourceDefinition postgreses.xp.databases.example.org\nComposition "
    ),
    "kratix-crossplane publish -f promise.yaml -f destinations.yaml --on fleet -o tree": Run(
        "EnvironmentConfig destination-dev-dense"
    ),
    "kratix-crossplane publish -f promise.yaml --replaces xrd.yaml -o tree": Run(
        "would break XRs of postgreses.xp.databases.example.org: names.categories", code=2
    ),
    "kratix-crossplane bridge --kubeconfig ~/.kube/platform --dry-run": Run(
        "eu-1: create Composition caches.xp.caches.example.org", code=2
    ),
    "kratix-crossplane bridge --kubeconfig ~/.kube/platform --release": Run("eu-1: 0 XRs released"),
    "kratix-crossplane status": Run("✓ nothing is stuck"),
    "kratix-crossplane status -o json | jq -r '.stuck[] | \"\\(.about): \\(.why)\"'": Run(),
    "kratix-crossplane status -o yaml > status.yaml": Run(leaves=("status.yaml", "stuck: []")),
    # Not all are Ready, as it should be.
    f"kratix-crossplane simulate {POSTGRES}": Run("✗ not Ready", code=2),
    "kratix-crossplane simulate . -o json | jq '.[].conditions'": Run('"type": "Delivered"', where=POSTGRES, code=2),
    "kratix-crossplane simulate . --pipeline configure=./configure.sh": Run("✓ Ready", where="folder"),
    "kratix-crossplane simulate folder --pipeline configure=./configure.sh": Run("✓ Ready"),
    f"kratix-crossplane promise from-xrd -f {POSTGRES} | kubectl apply -f -": Run("Promise postgres\n"),
    "kratix-crossplane promise from-xrd -f xrd.yaml -f composition.yaml --namespace databases -l zone=eu": Run(
        "zone: eu"
    ),
    f"kratix-crossplane promise from-xrd -f {POSTGRES} > promise.yaml": Run(leaves=("promise.yaml", "kind: Promise")),
    f"kratix-crossplane publish -f {POSTGRES}/promise.yaml --input {POSTGRES}/composition.yaml -o tree": Run(),
    "kratix-crossplane graph example/object": Run("flowchart LR"),
}

# Pages of which a test on the testbed runs every command, but for those above.
WALKED: Mapping[str, str] = {
    "docs/operations.md": "tests/e2e/test_bridge.py::test_the_api_server_takes_what_the_function_is_run_with",
    **dict.fromkeys(walks.WALKS, f"{_TUTORIALS}::test_a_page_works_where_its_clusters_are"),
}
