"""Every command of the documentation (documented.py) is run: where its page is followed, or here, or where a table says (whoruns.py).

Here are run those that need no cluster, and those that only read one, of a fake API server.
"""

from __future__ import annotations

import ast
import base64
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import shown
import yaml
from bridgeworld import CLUSTER_KINDS, PLATFORM_KINDS, cache
from fakeapi import FakeApi

import documented
import pages
import walks
from bridge.api import names
from bridge.sync import kinds
from documented import Command
from testbed import debian, example, process, tools
from testbed.versions import CROSSPLANE_CLI, CROSSPLANE_CORE
from whoruns import ELSEWHERE, HERE, POSTGRES, WALKED, By, Ci

ROOT = pages.ROOT
_OURS = "127.0.0.1:9443"


# In the place of kubectl behind a pipe: it says what it was given.
KUBECTL = f"""#!{sys.executable}
import sys, yaml
for manifest in yaml.safe_load_all(sys.stdin):
    print(manifest["kind"], manifest["metadata"]["name"])
"""

ALL = [command for page in documented.all_pages() for command in documented.commands(page)]
RUN_HERE = list({command.key: command for command in ALL if command.key in HERE}.values())


def test_the_documentation_has_commands():
    """Of each form that they come in."""
    assert {command.page for command in ALL} >= {"README.md", "CONTRIBUTING.md", "docs/commands.md", *pages.FOLLOWED}
    assert {command.page for command in ALL} >= WALKED.keys()


def test_every_command_is_run():
    followed = {command.text for command in ALL if command.followed}
    lost = [
        str(command)
        for command in ALL
        if not command.followed
        and command.text not in followed
        and command.key not in HERE
        and command.key not in ELSEWHERE
        and command.page not in WALKED
    ]
    assert lost == [], "run it here, or say in ELSEWHERE who does"


def test_the_tables_have_no_command_that_is_gone():
    keys = {command.key for command in ALL if not command.followed}
    assert sorted((HERE.keys() | ELSEWHERE.keys()) - keys) == []
    assert HERE.keys() & ELSEWHERE.keys() == set()


@pytest.mark.parametrize("reference", sorted({by.test for by in ELSEWHERE.values() if isinstance(by, By)}))
def test_who_is_said_to_run_it_is_there(reference: str):
    path, _, name = reference.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("ci", sorted({ci for ci in ELSEWHERE.values() if isinstance(ci, Ci)}, key=str), ids=str)
def test_ci_runs_what_it_is_said_to_run(ci: Ci):
    text = (ROOT / ci.file).read_text(encoding="utf-8")
    assert re.search(rf"^\s*(- )?(run: )?(make|run|twice) {ci.target}(?![\w-])", text, re.MULTILINE)


@pytest.mark.parametrize("page", WALKED)
def test_who_is_said_to_walk_a_page_does(page: str):
    path, _, name = WALKED[page].partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    [function] = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == name]
    segment = ast.get_source_segment(source, function) or ""
    decorators = " ".join(map(ast.unparse, function.decorator_list))
    assert "documented.commands(" in segment, "it takes the commands from the page"
    assert f'"{page}"' in segment or "walks.WALKS" in decorators


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pages.Terminal]:
    """A terminal where the files are that the commands name, and a platform that a kubeconfig leads to."""
    folder = tmp_path_factory.mktemp("desk")
    own = ROOT / POSTGRES
    shutil.copytree(ROOT / "example", folder / "example")
    for name, target in {"package": ROOT / "package", "repository": ROOT, ".venv": Path(sys.prefix)}.items():
        (folder / name).symlink_to(target)
    for name in ("promise.yaml", "destinations.yaml", "xrd.yaml", "composition.yaml"):
        shutil.copy(own / name, folder / name)
    shutil.copy(own / "composition.yaml", folder / "input.yaml")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "kubectl").write_text(KUBECTL, encoding="utf-8")
    (programs / "kubectl").chmod(0o755)
    debian.need({"dot": "graphviz", "jq": "jq"})
    paths = [programs, Path(sys.executable).parent]
    with shown.platform(shown.healthy) as healthy, _new_platform(folder / ".kube/platform"):
        kubeconfig = shown.kubeconfig(healthy, folder)
        with pages.Terminal(folder, paths, {"KUBECONFIG": str(kubeconfig)}) as terminal:
            pages.follow(pages.DOCS / "how-to/write-a-pipeline.md", terminal, compare=False)
            _prepare(folder)
            yield terminal


@contextmanager
def _new_platform(kubeconfig: Path) -> Iterator[None]:
    """One whose Promise is still to be published to its Crossplane cluster."""
    with FakeApi(*PLATFORM_KINDS, kinds.LEASE) as platform, FakeApi(*CLUSTER_KINDS) as cluster:
        promise = cache()
        platform.put(kinds.NAMESPACE, "kube-system")
        platform.put(kinds.PROMISE, "cache", labels=promise["metadata"]["labels"], spec=promise["spec"])
        secret = {"kubeconfig": base64.b64encode(cluster.kubeconfig()).decode()}
        platform.put(kinds.SECRET, "eu-1", names.NAMESPACE, data=secret)
        shown.site(platform, "eu-1", None)
        kubeconfig.parent.mkdir()
        kubeconfig.write_bytes(platform.kubeconfig())
        yield


def _prepare(folder: Path) -> None:
    """`folder` is what the guide leaves behind, with its request as it was before the guide broke it."""
    (folder / "pipe").rename(folder / "folder")
    request = folder / "folder/request.yaml"
    request.write_text(request.read_text(encoding="utf-8").replace("huge", "small"), encoding="utf-8")
    shutil.copy(folder / "folder/configure.sh", folder / "configure.sh")


@pytest.fixture(scope="module")
def rendering(desk: pages.Terminal) -> Iterator[None]:
    """Crossplane's programs on the PATH, and the function where example/postgres says that it is."""
    programs = desk.folder / "programs"
    for name, tool in (("crossplane", CROSSPLANE_CLI), ("crossplane-core", CROSSPLANE_CORE)):
        (programs / name).symlink_to(tools.find(tool))
    functions = desk.folder / POSTGRES / "functions.yaml"
    with process.function() as ours, example.targets(example.load("postgres"), ours):
        functions.write_text(functions.read_text(encoding="utf-8").replace(_OURS, ours), encoding="utf-8")
        yield


@pytest.mark.parametrize("command", RUN_HERE, ids=lambda command: command.key)
def test_a_command_runs(desk: pages.Terminal, command: Command, request: pytest.FixtureRequest):
    if command.key.startswith("crossplane "):
        if os.environ.get(tools.WITHOUT_CROSSPLANE) == "1":
            pytest.skip(f"LEFT OUT by {tools.WITHOUT_CROSSPLANE}=1: nothing was rendered by the real Crossplane")
        request.getfixturevalue("rendering")
    run = HERE[command.key]
    # In a pipe each has to succeed; `cd` and `activate` are for this command alone.
    script = f"if (set -o pipefail; cd {run.where}; {command.text}\n); then code=0; else code=$?; fi; test $code = {run.code}"
    given = desk.run(pages.Block(ROOT / command.page, command.line, script, None, prerequisite=False), timeout=120)
    assert run.prints in given
    if command.output is not None:
        assert pages.fits(command.output, given), f"{command} prints something else:\n{given}"
    name, content = run.leaves
    if name:
        assert content in (desk.folder / name).read_text(encoding="utf-8", errors="replace")
    if name.endswith(".yaml"):
        assert yaml.safe_load((desk.folder / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", walks.WALKS)
def test_what_a_walk_names_is_in_its_page(page: str):
    keys = [command.key for command in documented.commands(page)]
    assert [begins for begins in walks.WALKS[page].named if not any(key.startswith(begins) for key in keys)] == []
    text = " ".join(keys)
    assert all(placeholder in text for placeholder in walks.WALKS[page].stands_for)
