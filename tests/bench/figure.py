"""What was measured, and how it is shown: a table for people, JSON for programs."""

from __future__ import annotations

import datetime
import json
import math
import platform
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

_COLUMNS = ("figure", "median", "spread", "bound", "verdict", "note")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        of: What is measured.
        values: One for each time; the median is what counts.
        bound: What it may be at most; None where nothing is promised.
        note: What it is to be read with.
        counted: It is a count of requests or the like: the same on a slow machine, and in a small run.
    """

    of: str
    unit: str
    values: Sequence[float]
    bound: float | None = None
    note: str = ""
    counted: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return "holds" if self.median <= self.bound else "MISSED"


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all does not exceed: of the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def machine() -> str:
    """What it ran on."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    processor = f"{len(lines)} x {lines[0]}" if lines else platform.machine()
    return f"{processor}, Linux {platform.release()}, Python {platform.python_version()}"


def show(figures: Sequence[Figure], *, as_json: bool) -> None:
    """Print them: aligned and coloured on a terminal, as a Markdown table in a pipe."""
    if as_json:
        told = [{**asdict(each), "median": each.median, "verdict": each.verdict} for each in figures]
        sys.stdout.write(json.dumps({"machine": machine(), "figures": told}, indent=2) + "\n")
        return
    if not sys.stdout.isatty():
        sys.stdout.write(_table(figures))
        return
    table = Table(box=box.SIMPLE, caption=machine())
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in ("median", "bound") else "left", overflow="fold")
    for each in figures:
        table.add_row(*_cells(each), style={"MISSED": "red", "holds": "green", "": ""}[each.verdict])
    Console().print(table)


def tell(figure: Figure) -> None:
    """Tell a person of one that was just measured."""
    of, median, spread, bound, verdict, _ = _cells(figure)
    more = "".join(f", {part}" for part in (spread, f"at most {bound}: {verdict}" if bound else "") if part)
    sys.stderr.write(f"bench: {of}: {median}{more}\n")
    sys.stderr.flush()


def check(page: Path, part: str) -> None:
    """Before anything is measured: whether a page has a place for the table.

    Args:
        part: Whose table it is.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"bench: cannot read {page}, where figures are to go: {error.strerror}")
    if not _place(part).search(text):
        sys.exit(f"bench: {page} has no lines {' and '.join(_ends(part))}")


def write(figures: Sequence[Figure], page: Path, part: str) -> None:
    """Put the table where a page has its place."""
    begin, end = _ends(part)
    text = page.read_text(encoding="utf-8")
    page.write_text(_place(part).sub(lambda _: f"{begin}\n\n{_table(figures)}\n{end}", text), encoding="utf-8")


def median_on(page: Path, of: str) -> float:
    """The median of a figure that a page has, of an earlier run.

    Raises:
        ValueError: The page has no such figure.
    """
    found = re.search(rf"^\| {re.escape(of)} \| ([0-9.e+-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{page.name} has no figure '{of}'")
    return float(found[1])


def _ends(part: str) -> tuple[str, str]:
    return f"<!-- bench {part}: begin -->", f"<!-- bench {part}: end -->"


def _place(part: str) -> re.Pattern[str]:
    begin, end = _ends(part)
    return re.compile(rf"^{begin}$.*?^{end}$", re.MULTILINE | re.DOTALL)


def _table(figures: Sequence[Figure]) -> str:
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS), *map(_cells, figures)]
    today = datetime.date.today()
    return f"{today}, {machine()}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    spread = f"{number(min(figure.values))} to {number(max(figure.values))}" if len(figure.values) > 1 else ""
    bound = "" if figure.bound is None else f"{number(figure.bound)}{figure.unit}"
    return figure.of, f"{number(figure.median)}{figure.unit}", spread, bound, figure.verdict, figure.note


def number(value: float) -> str:
    """A value as it is shown."""
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
