"""`make bench BENCH=scale`, small: what the scheduler promises of many XRs holds, and so it does in a whole simulation.

The plots are made of the figures, and all of them are on the page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import core, figure, paper, played, plots
from bench.figure import Figure
from bench.scale import SMALL

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/performance.md"


@pytest.fixture(scope="module")
def figures() -> Sequence[Figure]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT / "tests"))  # for the function's process, and for who asks it
        return list(paper.measure(SMALL))


def test_what_is_counted_holds(figures: Sequence[Figure]) -> None:
    counted = [each for each in figures if each.counted and each.bound is not None]
    assert len(counted) > 10
    assert [each.of for each in counted if each.verdict != "holds"] == []


def test_simulate_puts_each_xr_where_the_scheduler_alone_does(figures: Sequence[Figure]) -> None:
    found = {each.of: each for each in figures}
    assert found["simulate: XRs that it puts elsewhere than the scheduler"].values == [0.0]
    assert found["simulate: XRs that do not become Ready and rest"].values == [0.0]
    assert f"{SMALL.xrs} XRs" in found[played.SECONDS].note


def test_writes_are_those_that_were_counted_on_a_real_core(figures: Sequence[Figure]) -> None:
    found = {each.of: each for each in figures}
    counted = figure.median_on(PAGE, core.WRITES.format(core.OURS))
    for ttl, seconds in paper.TTLS.items():
        written = found[f"ttl {ttl}: writes to each API server"]
        assert written.median == pytest.approx(paper.XRS / paper.CLUSTERS / seconds * counted)


def test_every_plot_is_on_the_page() -> None:
    shown = re.findall(r"^!\[.+\]\(performance/(.+)\)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in PAGE.with_suffix("").iterdir())


def test_more_time_between_two_calls_takes_less_of_everything(figures: Sequence[Figure]) -> None:
    found = {each.of: each.median for each in figures}
    calls = [found[paper.CALLS.format(ttl)] for ttl in paper.TTLS]
    cores = [found[paper.CORES.format(ttl)] for ttl in paper.TTLS]
    assert calls[0] == pytest.approx(2 * paper.XRS / 60)
    assert calls == sorted(calls, reverse=True)
    assert cores == sorted(cores, reverse=True)
    assert cores[-1] > 0


def test_plots_are_the_same_bytes_for_the_same_figures(figures: Sequence[Figure], tmp_path: Path) -> None:
    measured = [
        *figures,
        Figure(core.EMPTY_RATE, " a second", [9.0, 11.0]),
        Figure(core.OURS_RATE, " a second", [8.0, 9.0]),
    ]
    for folder in ("one", "other"):
        plots.draw(measured, tmp_path / folder)
    made = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}
    assert sorted(made) == ["balance.svg", "core.svg", "load.svg", "movement.svg"]
    assert all(content.startswith(b"<?xml") for content in made.values())
