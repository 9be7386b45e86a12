"""The function as a process of its own, and calls to it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

import build
from function import simulate
from function.api import names
from function.fn import run
from function.simulate import SimulationError, process

KRATIX = names.KRATIX_API_VERSION
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "namespace": build.TEAM},
    "data": {"a": "1"},
}


def test_process_serves_and_ends():
    with simulate.Process() as own:
        runner = own.connect()
        rsp = runner(build.request())
        child = own._process
        assert rsp == run(build.request()), "the same as in this process"
        with simulate.connected(own.address) as other:
            assert other(build.request()) == rsp
    assert child.returncode in (0, -signal.SIGTERM), "it is stopped"


def test_started_waits_until_it_serves():
    with simulate.started() as runner:
        assert runner(build.request()).conditions


@dataclass(frozen=True)
class Start:
    change: Mapping[str, Any]
    error: str
    reason: str
    seconds: Mapping[str, float] = field(default_factory=dict)


STARTS: dict[str, Start] = {
    "ends": Start({"executable": "false"}, "it ended with code 1", "a process that ends says so at once"),
    "says why": Start({"executable": "ls"}, "cannot start the function: ", "its last line is the reason"),
}


@pytest.mark.parametrize("case", STARTS.values(), ids=STARTS)
def test_a_process_that_cannot_start(case: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process.sys, "executable", case.change["executable"])
    with pytest.raises(SimulationError, match=case.error), simulate.started():
        pass


def test_a_process_that_is_never_healthy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process.sys, "executable", "cat")
    monkeypatch.setattr(process, "START_SECONDS", 0.0)
    with pytest.raises(SimulationError, match="not healthy after 0 s"), simulate.started():
        pass


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "CALL_SECONDS", 0.3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with (
            pytest.raises(SimulationError, match=f"cannot reach the function at {address}"),
            simulate.connected(address),
        ):
            pass


def test_a_call_that_fails_is_one_sentence():
    with simulate.Process() as own:
        runner = own.connect()
        own._process.kill()
        own._process.wait()
        with pytest.raises(SimulationError, match=r"cannot call the function at .*: UNAVAILABLE"):
            runner(build.request())
