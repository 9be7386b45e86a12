"""The commands of the documentation: all that somebody can paste into a terminal, wherever on a page it is.

    ```console         ```sh              an indented        `Examples:` of a --help
    $ a command        a command          paragraph          Examples:
    what it prints     ```                                     a command
    ```

A command is what bash runs as one: a line with those that continue it, a here-document and a loop included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pages

_FENCE = re.compile(r"^ *```(?P<kind>\w*)(?: (?P<mark>\w+))?$")
_SHELLS = {"sh", "shell", "bash"}
_NO_COMMANDS = {"mermaid", "python", "text", "yaml"}
_HERE_DOCUMENT = re.compile(r"<<-?'?(\w+)'?")
_OPENS, _CLOSES = {"for", "if", "until", "while"}, {"done", "fi"}
_COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
_KIND = re.compile(r"^kind: (\w+)", re.MULTILINE)

_Numbered = tuple[int, str]


@dataclass(frozen=True)
class Command:
    """A command in a page.

    Attributes:
        page: Its path in the repository.
        output: What the page says it prints; None where it does not say.
        followed: Whether a test follows the page and does not leave this out as a prerequisite.
    """

    page: str
    line: int
    text: str
    output: str | None = None
    followed: bool = False

    @property
    def key(self) -> str:
        """What it is called in tables: on one line and without comments; of a here-document, the kinds in it."""
        text = _COMMENT.sub("", self.text.replace("\\\n", " "))
        if _HERE_DOCUMENT.search(text):
            text = f"{text.partition(chr(10))[0]} ({', '.join(_KIND.findall(text))})"
        return " ".join(text.split())

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.key}"


def all_pages() -> list[str]:
    """The pages that are written for people, by their paths in the repository."""
    docs = sorted(str(page.relative_to(pages.ROOT)) for page in pages.DOCS.rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *docs]


def commands(page: str, root: Path = pages.ROOT) -> list[Command]:
    """The commands of a page, in order.

    Raises:
        AssertionError: A fence does not say what is in it, or ends nowhere.
    """
    text = (root / page).read_text(encoding="utf-8")
    found: list[Command] = []
    for kind, mark, lines in _chunks(text, page):
        if kind == "console":
            found += _prompted(page, lines)
        elif kind in _SHELLS:
            followed = page in pages.FOLLOWED and mark != "prerequisite"
            found += [Command(page, line, each, followed=followed) for line, each in _statements(lines)]
        elif kind == "indented":
            found += [Command(page, line, each) for line, each in _statements(lines)]
        elif kind == "text":
            found += [Command(page, line, each) for line, each in _statements(_examples(lines))]
    return found


def manifests(page: str) -> list[str]:
    """What a page has in YAML, in order."""
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    return ["".join(f"{line}\n" for _, line in lines) for kind, _, lines in _chunks(text, page) if kind == "yaml"]


def _chunks(text: str, page: str) -> Iterator[tuple[str, str, list[_Numbered]]]:
    """What is set off from prose: kind, mark and lines of each fence and each indented paragraph."""
    fence: tuple[str, str] | None = None
    held: list[_Numbered] = []
    blank = True
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        opened = _FENCE.match(line)
        if opened and fence is None:
            fence, held = (opened["kind"], opened["mark"] or ""), []
            known = {"console", *_SHELLS, *_NO_COMMANDS}
            assert fence[0] in known, f"{page}:{number}: ```{fence[0]}: say what is in it, one of {sorted(known)}"
        elif opened and fence is not None:
            yield *fence, held
            fence, held = None, []
        elif fence is not None:
            held.append((number, line))
        elif line.startswith("    ") and (blank or held):
            held.append((number, line.strip()))
        elif held:
            yield "indented", "", held
            held = []
        blank = not line.strip()
    assert fence is None, f"{page}: a fence ends nowhere"


def _prompted(page: str, lines: list[_Numbered]) -> Iterator[Command]:
    """The commands of a console, with what is below them until the next."""
    starts = [index for index, (_, line) in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        own = [(number, line.removeprefix("$ ")) for number, line in lines[start:end]]
        number, text = next(_statements(own))
        output = [line for _, line in own[text.count("\n") + 1 :]]
        yield Command(page, number, text, "".join(f"{line}\n" for line in output) if output else None)


def _statements(lines: Iterable[_Numbered]) -> Iterator[_Numbered]:
    """What bash runs as one, with the number of its first line."""
    held: list[_Numbered] = []
    depth, document = 0, ""
    for number, line in lines:
        if not line.strip() and not document:
            continue
        held.append((number, line))
        if document:
            document = "" if line == document else document
        else:
            words = [word.rstrip(";") for word in line.split()]
            depth += (words[0] in _OPENS) - sum(word in _CLOSES for word in words)
            document = found[1] if (found := _HERE_DOCUMENT.search(line)) else ""
        if not document and depth <= 0 and not line.endswith("\\"):
            yield held[0][0], "\n".join(each for _, each in held)
            held, depth = [], 0


def _examples(lines: list[_Numbered]) -> Iterator[_Numbered]:
    """The lines below `Examples:`."""
    within = False
    for number, line in lines:
        if line.strip() in ("Example:", "Examples:"):
            within = True
        elif not line.strip():
            within = False
        elif within:
            yield number, line.strip()
