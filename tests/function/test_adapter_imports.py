"""What the reader and the writer of a run import, and how soon they start: a slow machine must not wait for more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from adapterworld import Tree, folders_in

import configmaps
from configmaps import Server


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return folders_in(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with configmaps.serving(folder) as made:
        yield made


# --- what it imports: a slow machine must not wait for more

HEAVY = {"pydantic", "grpc", "google", "crossplane", "kubernetes", "yaml", "typer", "rich", "cel"}
NETWORK = {"http", "ssl", "socket", "urllib.request", "asyncio"}


def _imported(*arguments: str, env: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-m", "function.adapter", *arguments],
        capture_output=True,
        text=True,
        check=False,
        # Not measured: coverage would import what the reader does not.
        env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")} | (env or {}),
    )
    return _listed(done.stderr)


def _listed(stderr: str) -> set[str]:
    lines = [line for line in stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def _roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_the_reader_imports_the_standard_library_alone(tree: Tree) -> None:
    (tree.root / "object.yaml").touch()
    modules = _imported("read", str(tree.root), str(tree.root / "input"))
    assert (tree.root / "input" / "object.yaml").exists()
    assert "function.api.folders" in modules, "the list is read"
    assert not _roots(modules) & (HEAVY | NETWORK)


def test_the_writer_imports_nothing_heavy(tree: Tree, server: Server) -> None:
    (tree.output / "a").touch()
    names = ("NAMESPACE", "RUN", "JOB_UID", "OUTPUT_OF")
    env = {f"KRATIX_FN_{name}": "x" for name in names} | {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    modules = _imported("write", str(tree.output), str(tree.metadata), env=env)
    assert "function.adapter.store" in modules, "it came to the network"
    assert not _roots(modules) & HEAVY
    own = {module for module in modules if module.startswith("function")}
    assert not own & {"function.api.errors", "function.api.input", "function.jobs", "function.model"}


def test_of_the_heavy_ones_the_writer_has_yaml_where_there_is_metadata(tree: Tree) -> None:
    """And no other: pydantic alone would take longer than all that it does."""
    collect = "from function.adapter import __main__ as a, store; a._collect(*sys.argv[1:])"
    bare = _started(collect, str(tree.output), str(tree.metadata), "-X", "importtime")
    (tree.metadata / "status.yaml").write_text("message: hi\n")
    full = _started(collect, str(tree.output), str(tree.metadata), "-X", "importtime")
    assert _roots(_listed(bare)) & HEAVY == set()
    assert "function.api.metadata" in _listed(full)
    assert _roots(_listed(full)) & HEAVY == {"yaml"}


BUDGET = 0.3


@pytest.mark.parametrize("part", ["read", "write"])
def test_it_starts_in_less_than_300_milliseconds(part: str, tree: Tree) -> None:
    """Processor time, which is what it takes on a machine of its own; of three tries the best, since this is none."""
    folders_ = (tree.root, tree.root / "input") if part == "read" else (tree.output, tree.metadata)
    (tree.root / "object.yaml").write_text("kind: Postgres\n")
    (tree.metadata / "status.yaml").write_text("message: hi\n")
    took = [_processor_seconds(part, *map(str, folders_)) for _ in range(3)]
    assert min(took) < BUDGET, took


def _processor_seconds(part: str, source: str, target: str) -> float:
    """User and system time of one start: to the reader's end, or to where the writer turns to the API server."""
    does = {"read": "a.main(['read', *sys.argv[1:]])", "write": "a._collect(*sys.argv[1:])"}[part]
    imports = {"read": "__main__ as a", "write": "__main__ as a, store"}[part]
    used = "import resource as r; u = r.getrusage(r.RUSAGE_SELF); sys.stderr.write(str(u.ru_utime + u.ru_stime))"
    return float(_started(f"from function.adapter import {imports}; {does}; {used}", source, target))


def _started(code: str, source: str, target: str, *flags: str) -> str:
    """What a fresh interpreter writes to stderr. Not measured: coverage would import what the adapter does not."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    command = [sys.executable, "-I", *flags, "-c", f"import sys; {code}", source, target]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr
