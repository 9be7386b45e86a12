"""The functions that are measured, each a process of its own: this one, the empty one, and others that a machine has.

The others are published as images. A machine without a container engine runs what an environment variable names:
FUNCTION_GO_TEMPLATING and FUNCTION_PATCH_AND_TRANSFORM a binary built from its source, FUNCTION_PYTHON and
FUNCTION_PYTHONIC the command in the virtual environment that it is installed in (of the latter `function-pythonic
grpc`). One that is not named is left out, which is said.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import structs

OURS, EMPTY = "function-kratix", "empty function"
_PEERS = Path(__file__).with_name("peers.yaml")


@dataclass(frozen=True, slots=True)
class Program:
    """A function's program.

    Attributes:
        command: Without the address.
        inputs: What it is given instead of a PromiseInput; empty where it takes that.
    """

    name: str
    command: Sequence[str]
    inputs: Mapping[str, Mapping[str, Any]]

    def asked(self, request: fnv1.RunFunctionRequest, *, reads: bool) -> bytes:
        """A request as this function takes it."""
        made = fnv1.RunFunctionRequest()
        made.CopyFrom(request)
        if self.inputs:
            made.input.Clear()
            structs.fill(made.input, self.inputs.get("reads" if reads else "composes", self.inputs["composes"]))
        return made.SerializeToString(deterministic=True)


def own() -> tuple[Program, Program]:
    """The empty function and this one."""
    return (
        Program(EMPTY, (sys.executable, "-m", "bench.empty"), {}),
        Program(OURS, (str(Path(sys.executable).with_name("function-kratix")), "--insecure", "--address"), {}),
    )


def peers() -> tuple[tuple[Program, ...], tuple[str, ...]]:
    """Other functions: those that this machine has, and the names of those that it has not."""
    found: list[Program] = []
    missing: list[str] = []
    for name, inputs in yaml.safe_load(_PEERS.read_text(encoding="utf-8")).items():
        program = os.environ.get(name.upper().replace("-", "_"), "")
        if program:
            found.append(Program(name, (*shlex.split(program), "--insecure", "--address"), inputs))
        else:
            missing.append(name)
    return tuple(found), tuple(missing)


class Running:
    """A function's process."""

    def __init__(self, program: Program, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        with log.open("wb") as output:
            # One request at a time must not wait for an answer's log line.
            self._process = subprocess.Popen([*program.command, self.address], stdout=output, stderr=output)
        self.pid = self._process.pid

    def stop(self) -> None:
        """As Kubernetes would."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(program: Program, folder: Path) -> Iterator[Running]:
    """The process of a function, which is ended afterwards."""
    process = Running(program, folder / f"{program.name}.log")
    try:
        yield process
    finally:
        process.stop()
