"""The function as the process that it is in a pod, for tests: its gRPC channel, what it logs, and its pages."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).parents[1]
_PATIENCE = 120.0  # of a busy machine


class Process(subprocess.Popen[str]):
    """The function's process; its log is read while it runs.

    Attributes:
        log: The lines so far.
    """

    def __init__(self, *flags: str, **more: str) -> None:
        super().__init__(command(*flags), env={**environment(), **more}, stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.stderr is not None
        for line in self.stderr:
            self.log.append(line.rstrip("\n"))
            if "metrics and probes" in line:
                self._listening.set()

    def lines(self) -> list[dict[str, Any]]:
        """The log, read as JSON."""
        return [json.loads(line) for line in self.log]

    def page(self, path: str) -> str:
        """What is on a page, where it has --metrics-address."""
        assert self._listening.wait(_PATIENCE), self.log
        where = next(line["msg"].rpartition(" ")[2] for line in self.lines() if "metrics and probes" in line["msg"])
        with urllib.request.urlopen(f"http://{where}{path}", timeout=_PATIENCE) as answer:
            return str(answer.read().decode())

    def end(self) -> None:
        self.terminate()
        self.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        assert self.stderr is not None
        self.stderr.close()


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "function.main", *flags]


def environment() -> dict[str, str]:
    left_out = ("TLS_SERVER_CERTS_DIR",)
    return {k: v for k, v in os.environ.items() if k not in left_out and not k.startswith("OTEL_")} | {
        "PYTHONPATH": str(ROOT)
    }


@contextmanager
def serving(
    *flags: str, credentials: grpc.ChannelCredentials | None = None, **more: str
) -> Iterator[tuple[grpc.Channel, Process]]:
    """The function, once it serves; `more` goes into its environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = Process("--address", address, *flags, **more)
    channel = grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
    try:
        stub = health_pb2_grpc.HealthStub(channel)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=_PATIENCE, wait_for_ready=True)
        yield channel, process
    finally:
        channel.close()
        process.end()
