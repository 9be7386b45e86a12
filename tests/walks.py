"""Pages that describe and do not lead through: how all their commands are run, on the clusters of the tutorials.

What a page takes for granted between two commands is done here, in the reader's terminal. Most begin where the tutorial
of a fleet is before its step 3: the bridge runs (job 1), and reaches the Crossplane clusters eu-1 and eu-2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import between
import documented
import pages

_SLOW = 300.0


@dataclass(frozen=True)
class Walk:
    """A page, and what is done between its commands. A command is called by how it begins.

    Attributes:
        fleet: Whether it begins where the tutorial has a fleet.
        before: What is done before a command.
        prints: What a command prints here, where the page shows no output or another one.
        stands_for: What is put in for the page's placeholders.
        background: Commands that end with the terminal.
    """

    fleet: bool = True
    before: Mapping[str, str] = field(default_factory=dict)
    prints: Mapping[str, str] = field(default_factory=dict)
    stands_for: Mapping[str, str] = field(default_factory=dict)
    background: tuple[str, ...] = ()

    @property
    def named(self) -> list[str]:
        """How the commands begin that are named here."""
        return [*self.before, *self.prints, *self.background]


WALKS: Mapping[str, Walk] = {
    "docs/bridge.md": Walk(
        fleet=False,
        before={
            "helm install bridge package/deploy/bridge -n kratix-bridge-system --create-namespace --set image": between.NOT_BY_KUBECTL,
            "kubectl kustomize package/deploy/bridge": "helm uninstall bridge -n kratix-bridge-system\n",
            "kubectl label destination platform-cluster": between.DESTINATIONS,
            "kubectl -n kratix-bridge-system create secret": between.KUBECONFIG,
            "kubectl label promise": between.api("postgresql", "Postgresql", "marketplace.example.org") + between.RUNS,
            "kubectl get crossplaneclusters": between.SYNCED,
            "kubectl annotate xrd": "kubectl config use-context eu-1\n",
        },
        prints={
            "kubectl get crossplaneclusters": "NAME REACHABLE SYNCED PUBLISHED REFUSED DESTINATIONS CORE AGE\n"
            "eu-1 True True 1 0 ...\n",
            "kratix-crossplane bridge --kubeconfig platform.kubeconfig --dry-run": "",
            "kubectl annotate xrd": "... annotated\n",
        },
        stands_for={" NAME ": " postgresqls.xp.marketplace.example.org "},
    ),
    "docs/deletions.md": Walk(
        before={
            "kubectl get postgres": between.FAILED,
            "kubectl -n kratix-bridge-system scale": between.ANOTHER,
            "kubectl delete jobs": "kubectl config use-context eu-1\n",
        },
        prints={
            "kubectl get postgres": "pipeline clean failed: its containers failed... (BackoffLimitExceeded); "
            "it is tried again after 10m\n",
            "kratix-crossplane bridge": "eu-1: 1 XR released\neu-2: 0 XRs released\n",
        },
    ),
    "docs/pipelines.md": Walk(
        before={
            "kubectl get jobs,pods": between.api(
                "postgres", "Postgres", "databases.example.org", pipelines=between.pipeline("configure", "make")
            )
            + between.INPUT
            + between.PUBLISHED
            + between.xr("orders")
            + "until kubectl -n team-a get pods -o name | grep .; do sleep 1; done\n",
            "kubectl get postgres": "until kubectl -n team-a get postgres orders -o jsonpath='{.status}' | grep make\n"
            "do sleep 1; done\n",
        },
        prints={
            "kubectl get jobs,pods": "...\njob.batch/...\n...\npod/...\n",
            "kubectl get postgres": '[{..."name":"make"...}]\n',
        },
    ),
    "docs/publish.md": Walk(
        fleet=False,
        before={
            "kratix-crossplane publish -f promise.yaml |": "kubectl config use-context eu-1\n"
            "cp example/postgres/promise.yaml promise.yaml\n"
        },
        prints={
            "kratix-crossplane publish -f promise.yaml |": "...\n"
            f"compositeresourcedefinition.apiextensions.crossplane.io/{between.POSTGRES} serverside-applied\n"
            f"composition.apiextensions.crossplane.io/{between.POSTGRES} serverside-applied\n"
        },
    ),
    "docs/requests.md": Walk(
        before={
            "kubectl label promise": "kubectl label crossplanecluster eu-1 eu-2 zone=eu\n"
            + between.api("postgres", "Postgres", "databases.example.org")
            + between.INPUT,
            "kubectl apply -f request.yaml": between.REQUEST,
        },
    ),
    "docs/status.md": Walk(
        before={
            "kubectl create clusterrolebinding": between.PAGE,
        },
        prints={"kratix-crossplane status": "✓ nothing is stuck ...\n...\n"},
        background=("kratix-crossplane bridge --kubeconfig platform.kubeconfig --ui-address",),
    ),
}


def step(walk: Walk, command: documented.Command, terminal: pages.Terminal) -> None:
    """Run a command of a page, after what has to be done before it.

    Raises:
        AssertionError: It failed, or printed something else.
    """
    for begins, script in walk.before.items():
        if command.key.startswith(begins):
            _run(script, command, terminal)
    text = command.text
    for placeholder, value in walk.stands_for.items():
        text = text.replace(placeholder, value)
    if command.key.startswith(walk.background):
        text = f"{text} > background.log 2>&1 &"
    given = _run(text, command, terminal)
    wanted = next((text for begins, text in walk.prints.items() if command.key.startswith(begins)), command.output)
    assert wanted is None or pages.fits(wanted, given), f"{command} prints something else:\n{given}\nnot:\n{wanted}"


def begin(page: str, walk: Walk, terminal: pages.Terminal) -> None:
    """Do what comes before the page's first command."""
    for number, manifest in enumerate(documented.manifests(page), start=1):
        (terminal.folder / f"yaml-{number}.yaml").write_text(manifest, encoding="utf-8")
    if walk.fleet:
        pages.follow(pages.DOCS / "tutorials/fleet.md", terminal, before="## 3.", compare=False, timeout=_SLOW)


def clean(page: str, terminal: pages.Terminal) -> None:
    """Have nothing left that the page made, also where a command of it failed."""
    terminal.run(pages.Block(pages.ROOT / page, 0, between.CLEAN, None, prerequisite=False), timeout=_SLOW)


def _run(script: str, command: documented.Command, terminal: pages.Terminal) -> str:
    block = pages.Block(pages.ROOT / command.page, command.line, script, None, prerequisite=False)
    return terminal.run(block, timeout=_SLOW)
