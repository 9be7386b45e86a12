"""What a large estate asks of the function, of the machines under it and of the API servers: measured, then multiplied.

CPU and memory of the function are measured here; how often core asks follows from the ttl (up to Crossplane 2.3 it
watches no required resource, so an XR that does not change is asked about once in a ttl, and each time twice: once
without and once with what the function requires). How often it writes in a reconcile is what `bench.core` has counted
on a real core, as the page says. What it reads follows from its source, 2.3.4: the client that gets what a function
requires has a cache of all but Secrets (cmd/crossplane/core/core.go), and so has the one for composed resources, but for
one that is not in there yet (composition_functions.go: ObserveComposedResources).
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from bench import core, figure, machine, programs, serving, situations, spread
from bench.figure import Figure
from bench.programs import running
from bench.scale import Scale
from function import read, structs

XRS, PROMISES, DESTINATIONS, CLUSTERS = 100_000, 1_000, 5_000, 20
TTLS = {"1m": 60, "10m": 600, "1h": 3600}
CALLS = "ttl {}: calls of the function, on all clusters"
CORES = "ttl {}: CPU of the function, on all clusters"
READS = "reads of the API server in a reconcile"
# A replica is to be half busy at most, and one that goes must not leave core without an answer.
_BUSY, _FEWEST = 0.5, 2
_PLANS = 20
_PAGE = Path(__file__).resolve().parents[2] / "docs/performance.md"


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one replica needs.

    Attributes:
        asked, answered: CPU seconds of the first call of a reconcile and of the second.
        chosen: Of one that chooses among all Destinations.
        memory: Resident MB that it keeps after all of that.
    """

    asked: float
    answered: float
    chosen: float
    memory: float

    @property
    def reconcile(self) -> float:
        return self.asked + self.answered


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures."""
    cost = _measured(scale)
    anew = _plan_anew()
    inventory = max(scale.inventories)
    yield Figure("CPU of a reconcile's two calls, nothing kept", " ms", [1000 * cost.reconcile])
    yield Figure(f"CPU of a call that chooses among {inventory} Destinations", " ms", [1000 * cost.chosen])
    yield Figure("CPU to read a Promise's input anew", " ms", [1000 * anew], note=f"{read.PLANS} are kept by a replica")
    yield Figure("memory of a replica", " MB", [cost.memory], note="once it has given back what large requests took")
    writes = figure.median_on(_PAGE, core.WRITES.format(core.OURS))
    yield Figure(READS, "", [0.0], note="what is required and composed is in core's cache; a required Secret is not")
    for ttl, seconds in TTLS.items():
        yield from _at(ttl, seconds, cost, anew, writes)
    yield from _stored()
    yield from spread.measure(scale)


def _at(ttl: str, seconds: int, cost: _Cost, anew: float, writes: float) -> Iterator[Figure]:
    rate = XRS / seconds
    each = rate / CLUSTERS
    # With more Promises than are kept nearly every call has its input to read.
    missed = max(0.0, 1 - read.PLANS / PROMISES)
    busy = cost.reconcile + 2 * missed * anew
    replicas = max(_FEWEST, math.ceil(each * busy / _BUSY))
    yield Figure(CALLS.format(ttl), " a second", [2 * rate], note=f"{XRS:,} XRs; {2 * each:.1f} on each cluster")
    yield Figure(
        CORES.format(ttl), " cores", [rate * busy], note=f"{PROMISES:,} Promises on each of {CLUSTERS} clusters"
    )
    note = f"at most {100 * _BUSY:.0f} % busy, and {_FEWEST} at least; {replicas * cost.memory:.0f} MB"
    yield Figure(f"ttl {ttl}: replicas on each cluster", "", [float(replicas)], note=note)
    chosen = max(_FEWEST, math.ceil(each * (2 * cost.chosen + 2 * missed * anew) / _BUSY))
    note = f"deliver.as WorkPlacement or Object; both calls read all {DESTINATIONS:,}"
    yield Figure(f"ttl {ttl}: the same, where each request holds all Destinations", "", [float(chosen)], note=note)
    yield Figure(
        f"ttl {ttl}: writes to each API server",
        " a second",
        [each * writes],
        note=f"{writes:.3g} in a reconcile, as the real core's of new XRs: see there",
    )


def _measured(scale: Scale) -> _Cost:
    made = {
        "asked": situations.asking(),
        "answered": situations.placed(),
        "chosen": situations.unplaced(max(scale.inventories)),
    }
    program = programs.own()[1]
    with tempfile.TemporaryDirectory() as scratch, running(program, Path(scratch)) as process:
        taken = {}
        for name, request in made.items():
            file = Path(scratch, f"{name}.request")
            file.write_bytes(program.asked(request, reads=False))
            serving.load(process.address, file, 1, 0.0, 1)  # what is kept for all XRs is there
            before = machine.cpu(process.pid)
            found = serving.load(process.address, file, 1, scale.seconds, 20, new=True)
            taken[name] = (machine.cpu(process.pid) - before) / len(found.took)
        return _Cost(**taken, memory=machine.kept(process.pid))


def _plan_anew() -> float:
    """CPU seconds that an input takes which is read for the first time, with all expressions compiled."""
    request = situations.placed()
    took = 0.0
    for number in range(_PLANS):
        other = fnv1.RunFunctionRequest()
        other.CopyFrom(request)
        given = structs.plain(request.input, "input")
        # Another Promise's expressions are other expressions, which nobody has compiled yet.
        structs.fill(
            other.input, json.loads(json.dumps(given).replace("request.spec.env", f"request.spec.env{number}"))
        )
        began = time.process_time()
        read.plan(other)
        took += time.process_time() - began
    return took / _PLANS


def _stored() -> Iterator[Figure]:
    request = situations.placed()
    xr = _size(structs.plain(request.observed.composite.resource, "XR"))
    composed = sum(_size(structs.plain(each.resource, key)) for key, each in request.observed.resources.items())
    each = XRS / CLUSTERS * (xr + composed) / 2**20
    yield Figure(
        "XRs and what is composed, on each cluster", " MB", [each], note=f"as JSON; {xr} and {composed} bytes for an XR"
    )
    yield Figure(
        "an inventory that is read with each request", " MB", [DESTINATIONS * _size(situations.destination(0)) / 2**20]
    )


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))
