"""The console blocks of every example's README: each command is run, and its output is what the README says.

    $ command        <- run by bash, at the root of a copy of the repository's examples
    output           <- compared line by line, without spaces at the ends of lines

`make update` writes the outputs anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed import example, process, tools
from testbed.versions import CROSSPLANE_CLI, CROSSPLANE_CORE

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"^```console\n\$ (?P<command>(?:[^\n]*\\\n)*[^\n]*)\n(?P<output>(?:(?!```).*\n)*)```$", re.MULTILINE
)
OURS, OTHERS = "127.0.0.1:9443", "127.0.0.1:9444"


@dataclass(frozen=True)
class Block:
    """A command in a README, and the output that is promised there."""

    example: str
    command: str
    output: str

    @property
    def readme(self) -> Path:
        return ROOT / "example" / self.example / "README.md"

    @property
    def renders(self) -> bool:
        return self.command.startswith("crossplane ")


def blocks() -> list[Block]:
    return [
        Block(str(readme.parent.relative_to(example.FOLDER)), match["command"], match["output"])
        for readme in sorted(example.FOLDER.rglob("README.md"))
        for match in BLOCK.finditer(readme.read_text(encoding="utf-8"))
    ]


def ids(block: Block) -> str:
    return f"{block.example}: {' '.join(block.command.split()[:3])} {' '.join(re.findall(r'(?:xr|request)[-a-z]*', block.command)[:1])}"


SIMULATED = [block for block in blocks() if not block.renders]
RENDERED = [block for block in blocks() if block.renders]


def check(block: Block, folder: Path, path: str, *, update: bool) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "CROSSPLANE_CONFIG")}
    environment |= {"PATH": f"{path}:{environment['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", block.command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    given = "".join(f"{line.rstrip()}\n" for line in (done.stdout + done.stderr).strip("\n").splitlines())
    if update and given != block.output:
        text = block.readme.read_text(encoding="utf-8")
        before = f"$ {block.command}\n"
        block.readme.write_text(text.replace(before + block.output, before + given), encoding="utf-8")
        return
    assert given == block.output, (
        f"{block.readme.relative_to(ROOT)} is not what the command prints (make update writes it)"
    )


@pytest.mark.parametrize("block", SIMULATED, ids=ids)
def test_simulate(block: Block, update: bool):
    check(block, ROOT, str(Path(sys.executable).parent), update=update)


@pytest.fixture(scope="module")
def function() -> Iterator[str]:
    with process.function() as address:
        yield address


@pytest.mark.skipif(
    os.environ.get(tools.WITHOUT_CROSSPLANE) == "1",
    reason=f"LEFT OUT by {tools.WITHOUT_CROSSPLANE}=1: nothing was rendered by the real Crossplane",
)
@pytest.mark.parametrize("block", RENDERED, ids=ids)
def test_render(block: Block, function: str, tmp_path: Path, update: bool):
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, tool in (("crossplane", CROSSPLANE_CLI), ("crossplane-core", CROSSPLANE_CORE)):
        (binaries / name).symlink_to(tools.find(tool))
    copy = tmp_path / "example" / block.example
    shutil.copytree(block.readme.parent, copy)
    with example.targets(example.load(block.example), function) as targets:
        other = next((address for name, address in targets.items() if name != example.OURS), OTHERS)
        functions = copy / "functions.yaml"
        text = functions.read_text(encoding="utf-8").replace(OURS, function).replace(OTHERS, other)
        functions.write_text(text, encoding="utf-8")
        check(block, tmp_path, str(binaries), update=update)


@pytest.mark.parametrize("name", example.names())
def test_every_example_is_simulated_and_rendered(name: str):
    assert any(block.example == name for block in SIMULATED), "its README shows kratix-crossplane simulate"
    assert any(block.example == name for block in RENDERED), "its README shows crossplane render"
