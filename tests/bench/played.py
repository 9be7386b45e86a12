"""The XRs of `spread` once more, by `simulate`: core, the function and Kratix played for each until nothing changes.

The function chooses the Destination (`deliver.as: WorkPlacement`), with all of them in each request. It must choose what
the scheduler alone does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench.figure import Figure, number
from bench.situations import HOST
from function import fn
from function.api import names
from function.simulate import Cluster, Result, Step, simulate, start

SECONDS = "simulate plays all XRs"
PROMISE = "postgres"
_GROUP, _KIND = "xp.databases.example.org", "Postgres"


def identity(xr: int) -> tuple[str, str, str, str]:
    """Group, kind, namespace and name of an XR: what tells it from all others."""
    return _GROUP, _KIND, f"team-{xr % 50}", f"db{xr}"


def measure(where: Mapping[int, str], destinations: Sequence[str], labels: Mapping[str, str]) -> Iterator[Figure]:
    """All figures.

    Args:
        where: The Destination of each XR by the scheduler alone.
        destinations: All that there are.
        labels: Of each of them, which the Promise asks for.
    """
    cluster = Cluster.of(_destination(name, labels) for name in destinations)
    step = Step("promise", partial(fn.run, where=HOST), _input(labels))
    began = time.perf_counter()
    elsewhere = restless = reconciles = calls = 0
    for xr, name in where.items():
        result = simulate(start(_xr(xr), cluster), [step])
        elsewhere += _on(result) != [name]
        restless += not (result.settled and result.ready)
        reconciles += result.reconciles
        calls += result.calls
    took = time.perf_counter() - began
    each = f"{number(1000 * took / len(where))} ms each: {number(reconciles / len(where))} reconciles"
    note = f"{len(where):,} XRs, {each}, {number(calls / len(where))} function calls"
    yield Figure(SECONDS, " s", [took], note=note)
    yield Figure("simulate: XRs that it puts elsewhere than the scheduler", "", [float(elsewhere)], 0.0, counted=True)
    yield Figure("simulate: XRs that do not become Ready and rest", "", [float(restless)], 0.0, counted=True)


def _on(result: Result) -> list[str]:
    return [placement.destination for placement in result.placements]


def _xr(xr: int) -> dict[str, object]:
    group, kind, namespace, name = identity(xr)
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {},
    }


def _input(labels: Mapping[str, str]) -> dict[str, object]:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "${request.metadata.name}"}}
    return {
        "apiVersion": names.INPUT_API_VERSION,
        "kind": names.INPUT_KIND,
        "promise": {
            "name": PROMISE,
            "version": "v1.0.0",
            "spec": {"destinationSelectors": [{"matchLabels": dict(labels)}]},
        },
        "deliver": {"as": "WorkPlacement"},
        "documents": [{"name": "database", "manifest": manifest}],
    }


def _destination(name: str, labels: Mapping[str, str]) -> dict[str, object]:
    return {
        "apiVersion": names.KRATIX_API_VERSION,
        "kind": "Destination",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"path": name, "stateStoreRef": {"kind": "GitStateStore", "name": "platform"}},
    }
