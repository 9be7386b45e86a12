"""A folder, simulated: which function each step calls, and what became of each XR, as people and machines read it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.folder import DESIRED, Case, Folder
from bridge.known import guess
from bridge.pipeline import Step
from function import model
from function.api.input import Check, parse
from function.model import Verdict
from function.simulate import engine, process, steps
from function.simulate.cluster import Cluster
from function.simulate.engine import Result
from function.simulate.errors import SimulationError
from function.simulate.kubelet import Containers
from function.simulate.steps import Runner


@dataclass(frozen=True, slots=True)
class Gate:
    """A check of the input with what it said.

    Attributes:
        reached: Whether it was judged at all; something before it may have held the request back.
        verdicts: One for the request, or one for each document.
    """

    step: str
    name: str
    on: str
    action: str
    reached: bool
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One XR and what became of it."""

    case: Case
    result: Result

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Every check of the pipeline, in order, reached or not."""
        return tuple(
            _gate(step, check, self.result.outcomes.get(step.name))
            for step in self.case.steps
            if step.is_ours and step.input is not None
            for check in parse(step.input).checks
        )

    @property
    def unplaced(self) -> tuple[tuple[str, str], ...]:
        """Directory and reason of each workload group that no Destination takes."""
        schedules = (decided.schedule for decided in self.result.outcomes.values())
        return tuple(entry for schedule in schedules if schedule for entry in schedule.unplaced)


def _gate(step: Step, check: Check, decided: model.Outcome | None) -> Gate:
    verdicts = tuple(v for v in decided.verdicts if v.check == check.name) if decided else ()
    # Documents are judged before they are scheduled; there may be none.
    reached = bool(verdicts) or (decided is not None and decided.schedule is not None)
    return Gate(step.name, check.name, check.on, check.action, reached, verdicts)


class Functions:
    """The functions that steps call: this project's own, and others by address.

    Args:
        own: Gives this project's function, when it is first needed.
        others: Function name to address.
    """

    def __init__(self, own: Callable[[], Runner], others: Mapping[str, str]) -> None:
        self._own = own
        self._others = others
        self._open = contextlib.ExitStack()
        self._runners: dict[str, Runner] = {}

    def __enter__(self) -> Functions:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def runner(self, step: Step, folder: Folder) -> Runner:
        """What runs a step.

        Raises:
            SimulationError: Its function is not there, or cannot be reached.
        """
        address = self._others.get(step.function)
        if address or step.is_ours:
            return self._at(address or "")
        if step.name in folder.desired:
            return steps.composing(folder.desired[step.name])
        raise SimulationError(
            f"cannot run step {step.name}: its function {step.function} is not there; run it and say where by "
            f"--function {step.function}=HOST:PORT, or put what it composes into {DESIRED}/{step.name}.yaml"
        )

    def check(self, folder: Folder) -> None:
        """Refuse a --function for a function that no step calls.

        Raises:
            SimulationError: There is one.
        """
        called = {step.function for case in folder.cases for step in case.steps}
        for name in self._others:
            if name not in called:
                raise SimulationError(f"cannot use --function {name}: no step calls it{guess(name, called)}")

    def _at(self, address: str) -> Runner:
        if address not in self._runners:
            source = self._open.enter_context(process.connected(address)) if address else self._own()
            self._runners[address] = source
        return self._runners[address]


def run(folder: Folder, functions: Functions, containers: Containers) -> Iterator[Outcome]:
    """Simulate each XR of a folder, each in a world of its own.

    Args:
        containers: Runs the Promises' own pipelines.

    Raises:
        SimulationError: A function is not there, or cannot be called.
    """
    functions.check(folder)
    cluster = Cluster.of(folder.objects)
    for case in folder.cases:
        pipeline = [
            steps.Step(step.name, functions.runner(step, folder), step.input, step.requirements, step.credentials)
            for step in case.steps
        ]
        yield Outcome(
            case, engine.simulate(engine.start(case.xr, cluster, case.observed), pipeline, containers=containers)
        )


def plain(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values, for machines. Keys are added in later versions, never renamed."""
    result = outcome.result
    metadata = outcome.case.xr["metadata"]
    named = {"name": metadata["name"], **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {})}
    return {
        "xr": {"apiVersion": result.xr["apiVersion"], "kind": result.xr["kind"], **named},
        "ready": result.ready,
        "synced": result.synced,
        "conditions": [
            {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message} for c in result.conditions
        ],
        "status": result.status,
        "checks": [check for gate in outcome.gates for check in _checks(gate)],
        "placements": [
            {
                **({"pipeline": p.pipeline} if p.pipeline else {}),
                "directory": p.directory,
                "destination": p.destination,
                "state": p.state,
                "reason": p.reason,
            }
            for p in result.placements
        ],
        "unplaced": [{"directory": directory, "reason": reason} for directory, reason in outcome.unplaced],
        "files": {destination: dict(files) for destination, files in result.files.items()},
        "objects": {destination: list(manifests) for destination, manifests in result.remote.items()},
        "composed": dict(result.composed),
        "deleted": list(result.deleted),
        "events": [
            {"type": e.type, "reason": e.reason, "message": e.message, **({"step": e.step} if e.step else {})}
            for e in result.events
        ],
        "reconciles": result.reconciles,
        "calls": result.calls,
        "settled": result.settled,
        "error": result.error,
    }


def _checks(gate: Gate) -> Sequence[Mapping[str, Any]]:
    """One entry a verdict; a check without one has `passed: null` where it was not reached."""
    base = {"step": gate.step, "name": gate.name, "on": gate.on, "action": gate.action}
    if not gate.verdicts:
        return [{**base, "passed": True if gate.reached else None, "message": "", "document": ""}]
    return [{**base, "passed": v.passed, "message": v.message, "document": v.document} for v in gate.verdicts]
