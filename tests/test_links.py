"""Every relative link in the repository's Markdown leads to a file that is there, and every anchor to a heading."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)(?: \"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#* *$", re.MULTILINE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")


def pages() -> list[Path]:
    """Every Markdown file that is committed, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in sorted(set(listed.split("\0")) - {""}) if (path := ROOT / name).is_file()]


def links(text: str) -> list[str]:
    """The targets of a page's links that are not to other sites; what stands in code is none."""
    found = [match["target"] for match in _LINK.finditer(_CODE.sub("`", _FENCE.sub("", text)))]
    return [target for target in found if not _SCHEME.match(target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them: the second of two that are alike ends in -1."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def broken(page: Path, target: str) -> str:
    """What is wrong with a link; empty where nothing is."""
    file, _, anchor = target.partition("#")
    path = (page.parent / file).resolve() if file else page
    if not path.exists():
        return f"{target}: there is no {file}"
    if not path.is_relative_to(ROOT):
        return f"{target}: is outside of the repository"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path)):
        return f"{target}: {path.name} has no heading for it"
    return ""


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    assert list(filter(None, (broken(page, target) for target in links(page.read_text(encoding="utf-8"))))) == []


def test_headings_have_the_anchors_that_github_gives_them(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# What it *never* does\n## `status.kratix`, and why\n## Twice\n## Twice\n```sh\n# no heading\n```\n## [A](b.md) c\n",
        encoding="utf-8",
    )
    assert anchors(page) == {"what-it-never-does", "statuskratix-and-why", "twice", "twice-1", "a-c"}


def test_what_does_not_lead_anywhere_is_found(tmp_path: Path):
    text = "[a](gone.md) `[b](code.md)` [c](https://example.org) [d](README.md#nothing)\n```\n[e](fence.md)\n```\n"
    assert links(text) == ["gone.md", "README.md#nothing"]
    assert broken(ROOT / "page.md", "gone.md") == "gone.md: there is no gone.md"
    assert broken(ROOT / "page.md", "README.md#nothing") == "README.md#nothing: README.md has no heading for it"
    assert broken(ROOT / "page.md", "README.md#simulate-it") == ""


def test_every_page_of_the_documentation_is_reached_from_its_index():
    index = ROOT / "docs/README.md"
    reached, waiting = {index}, [index]
    while waiting:
        page = waiting.pop()
        targets = [target.partition("#")[0] for target in links(page.read_text(encoding="utf-8"))]
        new = {
            path
            for target in targets
            if target and (path := (page.parent / target).resolve()).suffix == ".md" and path.is_file()
        }
        waiting += new - reached
        reached |= new
    lost = [
        str(page.relative_to(ROOT)) for page in pages() if page.is_relative_to(index.parent) and page not in reached
    ]
    assert lost == [], "nobody would find these: docs/README.md is where they belong"
