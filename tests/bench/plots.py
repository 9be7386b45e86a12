"""Plots of figures, as SVG: the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot

from bench import core, paper, spread
from bench.figure import Figure

_SIZE = (6.4, 3.2)
_STYLE = {
    "svg.fonttype": "none",  # texts stay texts, so that no font of the machine is in the file
    "svg.hashsalt": "function-kratix",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(figures: Sequence[Figure], folder: Path) -> None:
    """Write the plots whose figures are there."""
    found = {each.of: each for each in figures}
    folder.mkdir(exist_ok=True)
    with mpl.rc_context(_STYLE):
        if spread.BALANCE in found:
            _write(folder / "balance.svg", lambda axes: _balance(axes, found[spread.BALANCE]))
            _write(folder / "movement.svg", lambda axes: _movement(axes, figures))
        if paper.CALLS.format("10m") in found:
            _write(folder / "load.svg", lambda axes: _load(axes, found))
        if core.OURS_RATE in found:
            _write(folder / "core.svg", lambda axes: _core(axes, found))


def _write(file: Path, drawn: Callable[[Axes], None]) -> None:
    plot = Plot(figsize=_SIZE, layout="constrained")
    drawn(plot.add_subplot())
    plot.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _balance(axes: Axes, figure: Figure) -> None:
    values = sorted(figure.values, reverse=True)
    axes.bar(range(len(values)), values, width=1.0)
    axes.axhline(sum(values) / len(values), color="black", linewidth=1)
    axes.set(xlabel="Destinations, fullest first", ylabel="XRs", title=figure.note)


def _movement(axes: Axes, figures: Sequence[Figure]) -> None:
    head, _, tail = spread.MOVED.partition("{} of {}")
    points = []
    for each in figures:
        if each.of.startswith(head) and each.of.endswith(tail):
            gone, _, places = each.of.removeprefix(head).removesuffix(tail).partition(" of ")
            points.append((100 * int(gone) / int(places), each.median))
    axes.plot(*zip(*points, strict=True), marker="o")
    axes.set(xlabel="% of the Destinations that leave", ylabel="XRs that move", title="Only what was on them moves")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def _load(axes: Axes, found: dict[str, Figure]) -> None:
    ttls = list(paper.TTLS)
    axes.bar(ttls, [found[paper.CALLS.format(ttl)].median for ttl in ttls], width=0.5)
    axes.set_yscale("log")
    axes.set(xlabel="ttl", ylabel="calls a second", title=f"{paper.XRS:,} XRs on {paper.CLUSTERS} clusters")


def _core(axes: Axes, found: dict[str, Figure]) -> None:
    rows = {"empty function": found[core.EMPTY_RATE], "function-kratix": found[core.OURS_RATE]}
    axes.boxplot([list(each.values) for each in rows.values()], tick_labels=list(rows), orientation="horizontal")
    axes.set(xlabel="XRs reconciled in a second", title="500 new XRs of example/postgres")
    axes.set_xlim(left=0)
