"""The function as a real process, and calls to it over gRPC as core makes them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from function.simulate.errors import SimulationError

# gRPC and protobuf are imported when the first call is near: the process starts, and imports them too, meanwhile.
if TYPE_CHECKING:
    import grpc
    from crossplane.function.proto.v1 import run_function_pb2 as fnv1

    from function.simulate.steps import Runner

CALL_SECONDS = 10.0
START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_MIB = 1024 * 1024
_MESSAGE_MIB = 64
_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_MIB * _MIB),
    ("grpc.max_send_message_length", _MESSAGE_MIB * _MIB),
    ("grpc.enable_http_proxy", 0),  # a proxy for the internet has no say over a process on this machine
    # A process that is just starting refuses a connection or two: try again soon, not after gRPC's second.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]


class Process:
    """This project's function as a process of its own, on a free port of this machine. Stopped at the end of the block.

    Attributes:
        address: Where it listens, `host:port`.

    Raises:
        SimulationError: From `connect`: it could not start, or is not healthy within START_SECONDS.
    """

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{_free_port()}"
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._log = self._open.enter_context(tempfile.TemporaryFile())
        arguments = ["--insecure", "--address", self.address, "--max-recv-message-size", str(_MESSAGE_MIB)]
        self._process = subprocess.Popen(  # noqa: S603 - this project's own module, no shell
            [sys.executable, "-m", "function.main", *arguments],
            stdout=self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            env={"FUNCTION_KRATIX_IMAGE": "function-kratix", **os.environ},  # no pod is made of it
        )
        self._open.callback(_stop, self._process)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def connect(self) -> Runner:
        """Wait until it serves, and call it from then on."""
        channel = self._open.enter_context(_channel(self.address))
        self._wait(channel)
        return _runner(channel, self.address)

    def _wait(self, channel: grpc.Channel) -> None:
        import grpc
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        health = health_pb2_grpc.HealthStub(channel)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                why = self._last_line() or f"it ended with code {self._process.returncode}"
                raise SimulationError(f"cannot start the function: {why}")
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1)  # type: ignore[attr-defined]  # incomplete stubs
            except grpc.RpcError:
                time.sleep(_POLL_SECONDS)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
        raise SimulationError(f"cannot start the function: it is not healthy after {START_SECONDS:.0f} s")

    def _last_line(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


@contextlib.contextmanager
def started() -> Iterator[Runner]:
    """Start this project's function and wait until it serves.

    Raises:
        SimulationError: It cannot start, or is not healthy within START_SECONDS.
    """
    with Process() as process:
        yield process.connect()


@contextlib.contextmanager
def connected(address: str) -> Iterator[Runner]:
    """Call a function that runs already, without TLS.

    Args:
        address: `host:port`.

    Raises:
        SimulationError: Nothing listens there within CALL_SECONDS.
    """
    import grpc

    with _channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=CALL_SECONDS)
        except grpc.FutureTimeoutError:
            why = f"no connection within {CALL_SECONDS:.0f} s"
            raise SimulationError(f"cannot reach the function at {address}: {why}") from None
        yield _runner(channel, address)


def _channel(address: str) -> grpc.Channel:
    import grpc

    return grpc.insecure_channel(address, options=_OPTIONS)


def _runner(channel: grpc.Channel, address: str) -> Runner:
    import grpc
    from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1

    stub = grpcv1.FunctionRunnerServiceStub(channel)  # type: ignore[no-untyped-call]  # generated code has no types

    def run(request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        try:
            response: fnv1.RunFunctionResponse = stub.RunFunction(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details()
            raise SimulationError(f"cannot call the function at {address}: {code}: {details}") from None
        return response

    return run


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
