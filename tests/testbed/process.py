"""The function as a local process, as `crossplane render` calls it."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_START = 30.0
_STOP = 15.0
_TRIES = 3
_OPTIONS = [("grpc.enable_http_proxy", 0)]  # a proxy for the internet has no say over a process on this machine


@contextmanager
def function() -> Iterator[str]:
    """A running function's address; it has to stop cleanly at the end, with exit code 0.

    Raises:
        RuntimeError: It did not start, or did not stop as it should; with what it logged.
    """
    with tempfile.TemporaryFile("w+") as log:
        process, address = _started(log)
        try:
            yield address
        finally:
            _stop(process, log)


def _started(log: IO[str]) -> tuple[subprocess.Popen[str], str]:
    for _ in range(_TRIES):
        address = f"127.0.0.1:{_free_port()}"
        command = [sys.executable, "-m", "function.main", "--insecure", "--address", address]
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        if _serves(process, address):
            return process, address
        # Somebody took the port between our look and its start, or the function is broken: the log tells.
        process.kill()
        process.wait()
    raise RuntimeError(f"the function did not start:\n{_read(log)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serves(process: subprocess.Popen[str], address: str) -> bool:
    until = time.monotonic() + _START
    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while process.poll() is None and time.monotonic() < until:
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1, wait_for_ready=True)  # type: ignore[attr-defined]
            except grpc.RpcError:
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return True
    return False


def _stop(process: subprocess.Popen[str], log: IO[str]) -> None:
    process.terminate()
    try:
        code = process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RuntimeError(f"the function did not stop within {_STOP:.0f} s of SIGTERM:\n{_read(log)}") from None
    if code:
        raise RuntimeError(f"the function stopped with exit code {code}:\n{_read(log)}")


def _read(log: IO[str]) -> str:
    log.seek(0)
    return log.read()
