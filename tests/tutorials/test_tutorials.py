"""The tutorials, the how-to guides that need clusters, and other pages: each command is run on the testbed, in a terminal.

Blocks that are marked as prerequisites are not run: the testbed has Kratix, Crossplane, the function as a package and the
state store already. All else is the reader's: files, kubectl, the bridge as a process, Git.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import documented
import pages
import walks
import whoruns
from testbed import debian, profiles, tools
from testbed.controlplane import ControlPlane
from testbed.crossplane import Crossplane
from testbed.run import Run
from testbed.versions import HELM, KUBECTL

_ROLE = ("rbac.authorization.k8s.io/v1", "ClusterRole", "function-kratix:aggregate-to-crossplane")
_SLOW = 300.0


@dataclass(frozen=True)
class Reader:
    """Who follows a page: what is on the clusters and on the reader's machine before.

    Attributes:
        store: The state store's repository.
    """

    kubeconfig: Path
    programs: Path
    store: Path

    def terminal(self, folder: Path) -> pages.Terminal:
        """A terminal in a clone of the repository, with a clone of the state store in it."""
        for name in ("example", "package"):
            (folder / name).symlink_to(pages.ROOT / name)
        subprocess.run(["git", "clone", "--quiet", self.store, folder / "store"], check=True)
        own = folder / "kubeconfig"  # a page changes its current context
        own.write_bytes(self.kubeconfig.read_bytes())
        return pages.Terminal(folder, [self.programs, Path(sys.executable).parent], {"KUBECONFIG": str(own)})


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    run = Run(f"tutorials-{os.getpid()}")
    testbed = profiles.up("kratix", run, owner=os.getpid())
    try:
        others = [ControlPlane(run, name, index) for index, name in enumerate(("eu-1", "eu-2"), start=1)]
        for plane in others:
            plane.up(controllers=True)
            Crossplane(plane).up()
        planes = [testbed.plane, *others]
        for plane in planes:
            plane.cluster.delete(*_ROLE)  # the reader makes it
        folder = tmp_path_factory.mktemp("reader")
        (folder / "kubectl").symlink_to(tools.find(KUBECTL))
        (folder / "helm").symlink_to(tools.find(HELM))
        debian.need({"jq": "jq"})
        config = folder / "kubeconfig"
        config.write_text(yaml.safe_dump(_merged(planes)), encoding="utf-8")
        yield Reader(config, folder, testbed.kratix.repository)
    finally:
        run.end()


def _merged(planes: list[ControlPlane]) -> Mapping[str, Any]:
    """One kubeconfig, with a context for each control plane that is called like it."""
    read = {plane.name: yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8")) for plane in planes}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": planes[0].name,
        "clusters": [{"name": name, "cluster": each["clusters"][0]["cluster"]} for name, each in read.items()],
        "users": [{"name": name, "user": each["users"][0]["user"]} for name, each in read.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in read],
    }


def page(name: str) -> Path:
    return pages.DOCS / f"{name}.md"


@pytest.mark.parametrize("name", pages.TUTORIALS)
def test_a_tutorial_works_as_it_says(reader: Reader, name: str, tmp_path: Path):
    with reader.terminal(tmp_path) as terminal:
        try:
            pages.follow(page(f"tutorials/{name}"), terminal, timeout=_SLOW)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{_log(tmp_path)}") from None


@pytest.mark.parametrize("name", pages.ON_CLUSTERS)
def test_a_guide_works_where_its_tutorial_is(reader: Reader, name: str, tmp_path: Path):
    tutorial, heading = pages.ON_CLUSTERS[name]
    with reader.terminal(tmp_path) as terminal:
        try:
            pages.follow(page(f"tutorials/{tutorial}"), terminal, before=heading, compare=False, timeout=_SLOW)
            pages.follow(page(f"how-to/{name}"), terminal, timeout=_SLOW)
            end = pages.TUTORIALS[tutorial]
            pages.follow(page(f"tutorials/{tutorial}"), terminal, after=end, compare=False, timeout=_SLOW)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{_log(tmp_path)}") from None


@pytest.mark.parametrize("name", walks.WALKS)
def test_a_page_works_where_its_clusters_are(reader: Reader, name: str, tmp_path: Path):
    walk, elsewhere = walks.WALKS[name], {*whoruns.HERE, *whoruns.ELSEWHERE}
    with reader.terminal(tmp_path) as terminal:
        try:
            walks.begin(name, walk, terminal)
            for command in documented.commands(name):
                if command.key not in elsewhere:
                    walks.step(walk, command, terminal)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{_log(tmp_path)}") from None
        finally:
            walks.clean(name, terminal)


def _log(folder: Path) -> str:
    """What the bridge said last."""
    log = folder / "bridge.log"
    return "\n".join(log.read_text(encoding="utf-8").splitlines()[-30:]) if log.exists() else ""
