"""The function beside the empty one of the same SDK, and beside others: time, CPU and memory of a request.

Each is a process of its own, and so is who asks. They are asked in turns, so that what else the machine does meets all
of them; what counts is the ratio within one turn.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from bench import machine, programs, situations
from bench.figure import Figure, number, percentile
from bench.load import METHOD, WARM
from bench.programs import EMPTY, OURS, Program, Running, running
from bench.scale import Scale
from bench.situations import Situation
from testbed.cache import say

_MEMORY, _GROWTH, _START, _HELP, _TEN_TIMES = 70.0, 2.0, 700.0, 250.0, 0.1
_PLACED, _MANY = "placed", 5000
_NEW = ", new each time"
# One turn more than without an XR that has just changed, in the same time.
_CROWD = 0.8
_TARGET = "carries the bound: a reconcile that changes nothing, as almost all do, sends the same request again"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of asking one function for a while: milliseconds, its process's CPU a call too; calls in a second."""

    p50: float
    p99: float
    cpu: float
    rate: float


@dataclass
class _World:
    """The functions that run, their requests, and what was measured: by situation, callers and function."""

    scale: Scale
    folder: Path
    running: Mapping[str, Running]
    asked: dict[tuple[str, int, str], list[_Asked]] = field(default_factory=dict)

    def ask(self, situation: str, name: str, callers: int = 1, *, new: bool = False) -> None:
        """Ask one function, for one turn."""
        process = self.running[name]
        before = machine.cpu(process.pid)
        request = self.folder / f"{situation}.{name}"
        seconds = self.scale.seconds if callers == 1 else _CROWD * self.scale.seconds
        found = load(process.address, request, callers, seconds, new=new)
        took = [1000 * each for each in found.took]
        # Those that only warm up compute too: of a function that takes a second they are half of all.
        cpu = 1000 * (machine.cpu(process.pid) - before) / (len(took) + WARM)
        what = situation + _NEW if new else situation
        asked = _Asked(percentile(took, 0.5), percentile(took, 0.99), cpu, len(took) / found.seconds)
        self.asked.setdefault((what, callers, name), []).append(asked)

    def ratios(self, situation: str, of: str, name: str = OURS, base: str = EMPTY, callers: int = 1) -> list[float]:
        """A figure of one function to that of another, turn by turn."""
        # Only of this function are there two ways to be asked: all others work out each answer.
        pairs = zip(
            self.asked[situation, callers, name],
            self.asked[situation.removesuffix(_NEW), callers, base],
            strict=True,
        )
        return [getattr(one, of) / max(getattr(other, of), 1e-9) for one, other in pairs]

    def values(self, situation: str, of: str, name: str, callers: int = 1) -> list[float]:
        return [getattr(each, of) for each in self.asked[situation, callers, name]]

    def cpu(self, situation: str, name: str, callers: int = 1) -> str:
        """What a call takes of the function's own process, as a note."""
        return f"CPU {self._median(situation, 'cpu', name, callers)} ms a request"

    def crowd(self, situation: str, name: str, callers: int) -> str:
        """What else there is to say of many callers, as a note."""
        told = {of: self._median(situation, of, name, callers) for of in ("rate", "p50", "p99")}
        times = f"{told['rate']} a second, p50 {told['p50']} ms, p99 {told['p99']} ms"
        return f"{times}, {self.cpu(situation, name, callers)}"

    def _median(self, situation: str, of: str, name: str, callers: int) -> str:
        return number(statistics.median(self.values(situation, of, name, callers)))


@dataclass(frozen=True, slots=True)
class _Load:
    took: Sequence[float]
    seconds: float


def load(address: str, request: Path, callers: int, seconds: float, calls: int = 0, *, new: bool = False) -> _Load:
    """Run the load generator, in a process of its own."""
    words = [sys.executable, "-m", "bench.load", address, request, callers, seconds, calls, "new" if new else "same"]
    done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, text=True, check=True)
    return _Load(**json.loads(done.stdout))


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures."""
    others, missing = programs.peers()
    if missing:
        say(f"left out, as no environment variable names their programs: {', '.join(missing)}")
    made = situations.situations(scale.inventories)
    every = (*programs.own(), *others)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        _write(folder, made, every)
        processes = {program.name: stack.enter_context(running(program, folder)) for program in every}
        world = _World(scale, folder, processes)
        for name, process in processes.items():
            load(process.address, folder / f"{_PLACED}.{name}", 1, 0.0, 1)
        rest = {name: machine.rss(process.pid) for name, process in processes.items()}
        for turn in range(scale.turns):
            say(f"turn {turn + 1} of {scale.turns}")
            _turn(world, made, [program.name for program in others])
        after = {name: machine.rss(process.pid) for name, process in processes.items()}
        yield from _times(world, made)
        yield from _crowds(world, made[0], [program.name for program in others])
        yield from _beside(world, [program.name for program in others])
        for name in processes:
            yield Figure(f"memory at rest: {name}", " MB", [rest[name]])
            yield Figure(f"memory after all of this: {name}", " MB", [after[name]], _MEMORY if name == OURS else None)
        yield _leak(world)
    yield from _starts(scale, made[0])


def _write(folder: Path, made: Sequence[Situation], every: Sequence[Program]) -> None:
    for situation in made:
        request = situation.make()
        for program in every:
            content = program.asked(request, reads="Destinations" in situation.name)
            (folder / f"{situation.name}.{program.name}").write_bytes(content)


def _compared(situation: str) -> bool:
    """Whether others can be asked for the same."""
    return situation == _PLACED or "Destinations" in situation


def _turn(world: _World, made: Sequence[Situation], others: Sequence[str]) -> None:
    for situation in made:
        world.ask(situation.name, EMPTY)
        world.ask(situation.name, OURS)
        world.ask(situation.name, OURS, new=True)
        for name in others if _compared(situation.name) else ():
            world.ask(situation.name, name)
    for callers in world.scale.callers[1:]:
        for name in (EMPTY, OURS, *others):
            world.ask(_PLACED, name, callers)
        world.ask(_PLACED, OURS, callers, new=True)


def _times(world: _World, made: Sequence[Situation]) -> Iterator[Figure]:
    for situation in made:
        name, new = situation.name, situation.name + _NEW
        yield Figure(
            f"{name}: p50 of the empty function", " ms", world.values(name, "p50", EMPTY), note=world.cpu(name, EMPTY)
        )
        yield Figure(
            f"{name}: p50",
            " ms",
            world.values(name, "p50", OURS),
            2.0 if name == _PLACED else None,
            world.cpu(name, OURS),
        )
        yield Figure(
            f"{name}: p50, to the empty function's",
            "",
            world.ratios(name, "p50"),
            situation.bound,
            _TARGET if situation.again else "",
        )
        yield Figure(f"{new}: p50", " ms", world.values(new, "p50", OURS), note=world.cpu(new, OURS))
        yield Figure(f"{new}: p50, to the empty function's", "", world.ratios(new, "p50"), note=_changed(situation))
        yield Figure(f"{new}: CPU, to the empty function's", "", world.ratios(new, "cpu"))


def _changed(situation: Situation) -> str:
    """What a request is that the function has not seen, beside what is promised of one that it has."""
    if situation.bound is None:
        return ""
    bound = f"bound of the same XR again: {number(situation.bound)}"
    return f"an XR that has just changed, worked out anew; {bound}" if situation.again else bound


def _crowds(world: _World, situation: Situation, others: Sequence[str]) -> Iterator[Figure]:
    """Rows for each number of callers: all functions, and this one once more with requests that it has not seen."""
    for callers in world.scale.callers[1:]:
        for name in (EMPTY, OURS, *others):
            yield Figure(
                f"{_PLACED}, {callers} callers: p50 of {name}, to the empty function's",
                "",
                world.ratios(_PLACED, "p50", name, callers=callers),
                situation.bound if name == OURS else None,
                world.crowd(_PLACED, name, callers),
            )
        new = _PLACED + _NEW
        yield Figure(
            f"{new}, {callers} callers: p50 of {OURS}, to the empty function's",
            "",
            world.ratios(new, "p50", callers=callers),
            note=world.crowd(new, OURS, callers),
        )


def _beside(world: _World, others: Sequence[str]) -> Iterator[Figure]:
    for situation in sorted({situation for situation, _, name in world.asked if name in others}):
        new = situation + _NEW
        for name in others:
            floor = number(statistics.median(world.ratios(situation, "p50", name)))
            note = f"{floor} times the empty function's; {world.cpu(situation, name)}"
            yield Figure(f"{situation}: p50 of {name}", " ms", world.values(situation, "p50", name), note=note)
            bound = _TEN_TIMES if (name, str(_MANY) in situation) == ("function-go-templating", True) else None
            yield Figure(f"{situation}: p50, to that of {name}", "", world.ratios(situation, "p50", base=name), bound)
            yield Figure(f"{new}: p50, to that of {name}", "", world.ratios(new, "p50", base=name))


def _leak(world: _World) -> Figure:
    """What memory grows by, once a tenth of the calls have filled what is kept."""
    process, calls = world.running[OURS], world.scale.calls
    request = world.folder / f"{_PLACED}.{OURS}"
    load(process.address, request, 8, 0.0, calls // 10, new=True)
    before = machine.rss(process.pid)
    load(process.address, request, 8, 0.0, calls - calls // 10, new=True)
    grown = machine.rss(process.pid) - before
    return Figure(f"memory that {calls} calls add, each a new one", " MB", [grown], _GROWTH, "after a tenth of them")


def _starts(scale: Scale, situation: Situation) -> Iterator[Figure]:
    request = situation.make().SerializeToString(deterministic=True)
    for program in programs.own():
        took = [1000 * _first_answer(program, request) for _ in range(scale.turns)]
        bound = _START if program.name == OURS else None
        yield Figure(f"from start to the first answer: {program.name}", " ms", took, bound)
    tool = Path(sys.executable).with_name("kratix-crossplane")
    yield Figure(
        "kratix-crossplane --help", " ms", [1000 * _runs([str(tool), "--help"]) for _ in range(scale.turns)], _HELP
    )


def _first_answer(program: Program, request: bytes) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with running(program, Path(folder)) as process:
            # Without a back-off of a second between two tries to connect.
            options = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 20)]
            options.append(("grpc.min_reconnect_backoff_ms", 20))
            with grpc.insecure_channel(process.address, options=options) as channel:
                call = channel.unary_unary(METHOD)
                fnv1.RunFunctionResponse.FromString(call(request, wait_for_ready=True, timeout=60))
            return time.perf_counter() - began


def _runs(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
