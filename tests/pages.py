"""Pages of the documentation whose commands are run: what is in them, and how an output is compared.

    ```sh                 <- one or more commands, as somebody pastes them into a terminal
    ```
    ```text               <- right behind it: what they print; without it, only that they succeed counts
    ```
    ```sh prerequisite    <- what needs the internet or a cluster's maker; whoever runs the page has done it otherwise

All blocks of a page run in one terminal, from top to bottom. In an output, `...` is any text, on a line of its own any
lines; blanks count as one; and a duration, as in kubectl's column AGE, is as good as another.
"""

from __future__ import annotations

import os
import re
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# tests/tutorials/test_tutorials.py follows the tutorials, with the heading behind which each cleans up, and the how-to
# guides that go on where a tutorial is, at one of its headings.
TUTORIALS = {"together": "## 7.", "fleet": "## 7."}
ON_CLUSTERS = {
    "debug-a-request": ("together", "## 5."),
    "deliver-by-gitops": ("fleet", "## 5."),
    "move-a-request": ("fleet", "## 5."),
    "roll-out-a-version": ("fleet", "## 5."),
}
# tests/test_how_to.py follows the other guides.
OFFLINE = [page for page in sorted((DOCS / "how-to").glob("*.md")) if page.stem not in ON_CLUSTERS]
FOLLOWED = {
    *(f"docs/tutorials/{name}.md" for name in TUTORIALS),
    *(f"docs/how-to/{name}.md" for name in ON_CLUSTERS),
    *(str(page.relative_to(ROOT)) for page in OFFLINE),
}

_FENCE = re.compile(r"^```(?P<kind>[a-z]*)(?: (?P<mark>[a-z]+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_DURATION = re.compile(r"(?<!\S)(\d+[dhms])+(?!\S)")
_ANY = "..."


@dataclass(frozen=True)
class Block:
    """Commands in a page.

    Attributes:
        output: What they print; None where the page does not show it.
        line: Where they begin.
    """

    page: Path
    line: int
    commands: str
    output: str | None
    prerequisite: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The commands of a page, in order."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    found = []
    for fence, following in zip(fences, [*fences[1:], None], strict=True):
        if fence["kind"] != "sh":
            continue
        shown = (
            following is not None and following["kind"] == "text" and not text[fence.end() : following.start()].strip()
        )
        found.append(
            Block(
                page=page,
                line=text.count("\n", 0, fence.start()) + 1,
                commands=fence["body"],
                output=following["body"] if following is not None and shown else None,
                prerequisite=fence["mark"] == "prerequisite",
            )
        )
    return found


def fits(wanted: str, given: str) -> bool:
    """Whether an output is what a page says."""
    pattern = ""
    for line in _plain(wanted):
        if line == _ANY:
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(map(re.escape, line.split(_ANY))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _plain(given))) is not None


def _plain(text: str) -> Iterator[str]:
    for line in text.strip("\n").splitlines():
        yield _DURATION.sub("0s", " ".join(line.split()))


class Terminal:
    """One bash, in which blocks run one after the other; what they start in the background ends with it.

    Args:
        folder: Where it is.
        path: Folders with programs, before those of this process.
    """

    def __init__(self, folder: Path, path: list[Path], environment: Mapping[str, str]) -> None:
        self.folder = folder
        inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "KUBECONFIG")}
        programs = ":".join([*map(str, path), inherited["PATH"]])
        self._scripts = folder / ".blocks"
        self._scripts.mkdir()
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**inherited, "HOME": str(folder), "PATH": programs, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()

    def run(self, block: Block, *, timeout: float) -> str:
        """Run a block's commands; what they printed.

        Raises:
            AssertionError: One of them failed, or they did not end in time.
        """
        mark = secrets.token_hex(8)
        # As with `set -e` nothing runs after the first that fails, but the terminal stays open; outside, the trap is idle.
        script = self._scripts / f"{block.page.stem}-{block.line}.sh"
        script.write_text(f"trap 'return $? 2>/dev/null' ERR\n{block.commands}", encoding="utf-8")
        assert self._bash.stdin and self._bash.stdout
        mark = secrets.token_hex(8)
        self._bash.stdin.write(f". {script} </dev/null\nprintf '\\n%s %s\\n' {mark} $?\ntrap - ERR\n".encode())
        self._bash.stdin.flush()
        given, deadline = b"", time.monotonic() + timeout
        end = re.compile(rb"\n?\n%s (\d+)\n" % mark.encode())
        while not (ended := end.search(given)):
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self._bash.stdout], [], [], max(0.0, left))
            read = os.read(self._bash.stdout.fileno(), 65536) if readable else b""
            assert read, f"{block} did not end within {timeout:.0f} s:\n{block.commands}\nso far:\n{given.decode()}"
            given += read
        output = given[: ended.start()].decode() + "\n"
        assert ended[1] == b"0", f"{block} failed with {ended[1].decode()}:\n{block.commands}\nit printed:\n{output}"
        return output


def follow(
    page: Path,
    terminal: Terminal,
    *,
    before: str = "",
    after: str = "",
    compare: bool = True,
    update: bool = False,
    timeout: float = 120.0,
) -> None:
    """Do what a page says, but for its prerequisites, and hold each output to what it shows.

    Args:
        before: Only what is before the heading that begins so.
        after: Only what is behind the heading that begins so.
        compare: Without it, that commands succeed is enough: they are done a second time.
        update: Write outputs anew that are others, where no `...` is in them.
    """
    first, last = _heading(page, after) if after else 0, _heading(page, before) if before else sys.maxsize
    for block in blocks(page):
        if block.prerequisite or not first <= block.line < last:
            continue
        given = terminal.run(block, timeout=timeout)
        if not compare or block.output is None or fits(block.output, given):
            continue
        shown = "".join(f"{line.rstrip()}\n" for line in given.strip("\n").splitlines())
        if update and _ANY not in block.output:
            page.write_text(page.read_text(encoding="utf-8").replace(block.output, shown, 1), encoding="utf-8")
            continue
        raise AssertionError(f"{block} prints something else:\n{shown}\nthe page says:\n{block.output}")


def _heading(page: Path, text: str) -> int:
    """The line of the heading that begins so."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found = [number for number, line in enumerate(lines, start=1) if line.startswith(text)]
    assert len(found) == 1, f"{page.name} has {len(found)} headings that begin with {text!r}"
    return found[0]
