"""`python -m bench`: measures the function and the bridge, and says whether bounds hold; see docs/benchmarks.md.

python -m bench               all of it, at full size: about 40 minutes
python -m bench --small       all of it, small: shows that it works
python -m bench function      the function beside the empty one of the SDK, and others that this machine has
python -m bench counts        instructions of a request, beside those recorded; --record writes them down
python -m bench real          the bridge against real API servers
python -m bench fleet         the bridge with 20 clusters, simulated by fake API servers
python -m bench -o json       for programs
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from bench import counts, figure, fleet, real, serving
from bench.scale import FULL, SMALL

PARTS = {"function": serving.measure, "counts": counts.measure, "real": real.measure, "fleet": fleet.measure}


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
    figures = [each for part in arguments.parts or PARTS for each in PARTS[part](scale)]
    figure.show(figures, as_json=arguments.output == "json")
    missed = [each.of for each in figures if each.verdict == "MISSED"]
    if missed and not arguments.small:
        sys.exit(f"bench: {len(missed)} bounds are missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
