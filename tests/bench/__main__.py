"""`python -m bench`: measures the function and the bridge, and says whether bounds hold; see docs/benchmarks.md.

python -m bench               all of it, at full size: about 40 minutes
python -m bench --small       all of it, small: shows that it works
python -m bench function      the function beside the empty one of the SDK, and others that this machine has
python -m bench counts        instructions of a request, beside those recorded; --record writes them down
python -m bench real          the bridge against real API servers
python -m bench fleet         the bridge with 20 clusters, simulated by fake API servers
python -m bench scale         100,000 XRs on paper, and 10,000 by the scheduler itself
python -m bench core          the real Crossplane core with the function, beside the same core with the empty one
python -m bench -o json       for programs
python -m bench --into FILE   writes the table into a page too, where it has one already; what scale and core have to
                              say, and their plots, go to performance.md beside it

Each figure is told on standard error when it is there; what was measured is shown also when something fails later.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import core, counts, figure, fleet, paper, plots, real, serving
from bench.scale import FULL, SMALL

PARTS = {
    "function": serving.measure,
    "counts": counts.measure,
    "real": real.measure,
    "fleet": fleet.measure,
    "scale": paper.measure,
    "core": core.measure,
}
# Each part has a table of its own; those of these are on a page with plots.
_OWN = ("scale", "core")
_PAGE, _PLOTS = "performance.md", "performance"


def main() -> None:
    """Exits with 1 where a bound is missed, unless it is too small a run for that to mean anything."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--small", action="store_true", help="little of everything, once")
    parser.add_argument("--rounds", type=int, help="how many first syncs, and turns of the function")
    parser.add_argument("--record", action="store_true", help="write down the instructions that are counted now")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--into", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]} is none of {', '.join(PARTS)}")
    if arguments.record:
        counts.record()
        return
    scale = SMALL if arguments.small else FULL
    if arguments.rounds:
        scale = replace(scale, rounds=arguments.rounds, turns=arguments.rounds)
    parts = arguments.parts or list(PARTS)
    if arguments.into:
        _check(arguments.into, parts)
    measured: dict[str, list[figure.Figure]] = {part: [] for part in parts}
    try:
        for part in parts:
            for each in PARTS[part](scale):
                figure.tell(each)
                measured[part].append(each)
    finally:
        figures = [each for found in measured.values() for each in found]
        figure.show(figures, as_json=arguments.output == "json")
    if arguments.into:
        _write(arguments.into, measured)
    missed = [each.of for each in figures if each.verdict == "MISSED"]
    if missed and not arguments.small:
        sys.exit(f"bench: {len(missed)} bounds are missed: {'; '.join(missed)}")


def _check(page: Path, parts: Sequence[str]) -> None:
    for part in parts:
        figure.check(_page(page, part), part)


def _write(page: Path, measured: Mapping[str, Sequence[figure.Figure]]) -> None:
    for part, found in measured.items():
        figure.write(found, _page(page, part), part)
        if part in _OWN:
            plots.draw(found, page.with_name(_PLOTS))


def _page(page: Path, part: str) -> Path:
    return page.with_name(_PAGE) if part in _OWN else page


if __name__ == "__main__":
    main()
