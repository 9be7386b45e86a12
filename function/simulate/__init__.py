"""Plays the world around the function: Crossplane core, Kratix and provider-kubernetes, without a cluster.

`kratix-crossplane simulate` and the sequence tests stand on it. Nothing here reads a file, a clock or the network but
`process`, which starts the function and calls it over gRPC; every step forward is a function from one frozen state to
the next:

- `engine.simulate`: all of the following in turns until nothing changes any more, and what came of it;
- `core.reconcile`: one reconcile of an XR, as Crossplane's composite reconciler does it; `steps.call` is its
  requirement rounds for one pipeline step, and a step's function is any callable from request to response;
- `once.decide`: what the function decides on a request, for a Kratix pipeline where no core is;
- `kratix.reconcile`: schedules Works, writes WorkPlacements; `store.files` is what the state store then holds;
- `kubelet.reconcile`: Jobs run, and their writers store what came of it;
- `provider.reconcile`: provider-kubernetes applies its Objects;
- `cluster.Cluster`: the API server as a value.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from function.simulate.cluster import Cluster, Ref
    from function.simulate.core import Event, State, Turn, reconcile
    from function.simulate.engine import Result, settle, simulate, start
    from function.simulate.errors import SimulationError
    from function.simulate.process import Process, connected, started
    from function.simulate.steps import Call, Runner, Step, composing

_WHERE = {
    "cluster": ("Cluster", "Ref"),
    "core": ("Event", "State", "Turn", "reconcile"),
    "engine": ("Result", "settle", "simulate", "start"),
    "errors": ("SimulationError",),
    "process": ("Process", "connected", "started"),
    "steps": ("Call", "Runner", "Step", "composing"),
}

__all__ = [
    "Call",
    "Cluster",
    "Event",
    "Process",
    "Ref",
    "Result",
    "Runner",
    "SimulationError",
    "State",
    "Step",
    "Turn",
    "composing",
    "connected",
    "reconcile",
    "settle",
    "simulate",
    "start",
    "started",
]


def __getattr__(name: str) -> object:
    # On demand, so that the command line can start the function's process before it imports what it needs itself.
    for module, own in _WHERE.items():
        if name in own:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
