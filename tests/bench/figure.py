"""What was measured, and how it is shown: a table for people, JSON for programs."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        of: What is measured.
        values: One for each time; the median is what counts.
        bound: What it may be at most; None where nothing is promised.
        note: What it is to be read with.
    """

    of: str
    unit: str
    values: Sequence[float]
    bound: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return "holds" if self.median <= self.bound else "MISSED"


def median_of(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """The ratio of each pair."""
    return [one / other for one, other in pairs]


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all is at most; of the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def machine() -> str:
    """What it ran on."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{len(lines)} x {lines[0] if lines else platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}"


def show(figures: Sequence[Figure], *, as_json: bool) -> None:
    """Print them: aligned and coloured on a terminal, as a Markdown table in a pipe."""
    if as_json:
        told = [{**asdict(each), "median": each.median, "verdict": each.verdict} for each in figures]
        sys.stdout.write(json.dumps({"machine": machine(), "figures": told}, indent=2) + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table(box=box.SIMPLE if sys.stdout.isatty() else box.MARKDOWN, title=None)
    for name in ("figure", "median", "spread", "bound", "", "note"):
        table.add_column(name, justify="right" if name in ("median", "bound") else "left", overflow="fold")
    for each in figures:
        colour = {"MISSED": "red", "holds": "green", "": ""}[each.verdict]
        table.add_row(*_cells(each), each.note, style=colour if sys.stdout.isatty() else "")
    console.print(table)


def _cells(figure: Figure) -> tuple[str, ...]:
    spread = f"{_number(min(figure.values))} to {_number(max(figure.values))}" if len(figure.values) > 1 else ""
    bound = "" if figure.bound is None else f"{_number(figure.bound)}{figure.unit}"
    return figure.of, f"{_number(figure.median)}{figure.unit}", spread, bound, figure.verdict


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
