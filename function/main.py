"""Flags to a serving process: `function-kratix --help`."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1beta1 import run_function_pb2 as fnv1beta1
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from function.fn import FunctionRunner

_GRACE = 5.0
_MIB = 1024 * 1024
_LARGE = _MIB
_AFTER = 1.0
_SERVICES = (
    fnv1.DESCRIPTOR.services_by_name["FunctionRunnerService"].full_name,
    fnv1beta1.DESCRIPTOR.services_by_name["FunctionRunnerService"].full_name,
)
_log = logging.getLogger("function-kratix")


class StartError(Exception):
    """Why the function cannot start, in one sentence."""


class _JsonLines(logging.Formatter):
    """One JSON object a line, with the keys that Crossplane's Go functions use."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname.lower(), "ts": self.formatTime(record), "msg": record.getMessage()}
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM; a failure to start is one sentence and exit code 1."""
    flags = _flags(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s") if flags.debug else _JsonLines())
    logging.basicConfig(level=logging.DEBUG if flags.debug else logging.INFO, handlers=[handler])
    try:
        asyncio.run(_serve(flags))
    except StartError as error:
        sys.exit(f"function-kratix: cannot start: {error}")


def _flags(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="function-kratix",
        description="A Crossplane composition function that runs Kratix Promise logic.",
        epilog="example: function-kratix --insecure --address 127.0.0.1:9443   (for crossplane render)",
    )
    parser.add_argument("--address", default="0.0.0.0:9443", help="where to listen (default: %(default)s)")
    parser.add_argument(
        "--tls-certs-dir",
        default=os.environ.get("TLS_SERVER_CERTS_DIR"),
        metavar="DIR",
        help="folder with tls.crt, tls.key and ca.crt for mTLS; Crossplane sets TLS_SERVER_CERTS_DIR",
    )
    parser.add_argument("--insecure", action="store_true", help="serve without TLS, for crossplane render")
    parser.add_argument("--debug", "-d", action="store_true", help="log for people, and more of it")
    parser.add_argument(
        "--max-recv-message-size",
        type=int,
        default=16,
        metavar="MIB",
        help="largest message, both ways (default: %(default)s MiB)",
    )
    return parser.parse_args(arguments)


async def _serve(flags: argparse.Namespace) -> None:
    if flags.max_recv_message_size < 1:
        raise StartError(f"--max-recv-message-size must be at least 1 MiB, not {flags.max_recv_message_size}")
    credentials = _credentials(flags)
    size = flags.max_recv_message_size * _MIB
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", size),
            # Without it a second process could listen on the same port and take part of the requests.
            ("grpc.so_reuseport", 0),
        ]
    )
    memory = _Memory()
    server.add_generic_rpc_handlers(_services(FunctionRunner(), memory))
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    _listen(server, flags.address, credentials)
    await server.start()
    for service in ("", *_SERVICES):
        await healthy.set(service, health_pb2.HealthCheckResponse.SERVING)
    memory.trim()  # what starting took
    _log.info("listening on %s%s", flags.address, " without TLS" if credentials is None else "")
    await _until_stopped(server, healthy)


class _Memory:
    """Gives back what large requests took, a second after the last one: the C library would keep it for the next."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        self._due: asyncio.TimerHandle | None = None

    def trim(self) -> None:
        """Give back what nobody uses; takes a millisecond or two."""
        if self._trim is not None:
            self._trim(0)

    def take(self, size: int) -> None:
        """A request of so many bytes has come."""
        if size >= _LARGE:
            if self._due is not None:
                self._due.cancel()
            self._due = asyncio.get_running_loop().call_later(_AFTER, self.trim)


def _services(runner: FunctionRunner, memory: _Memory) -> tuple[grpc.GenericRpcHandler, ...]:
    """Both versions of the protocol, which are the same bytes; an answer is bytes already."""

    def request(content: bytes) -> fnv1.RunFunctionRequest:
        memory.take(len(content))
        return fnv1.RunFunctionRequest.FromString(content)

    async def answer(req: fnv1.RunFunctionRequest, _: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        return runner.answer(req)

    handler: grpc.RpcMethodHandler[fnv1.RunFunctionRequest, bytes] = grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=request
    )
    return tuple(grpc.method_handlers_generic_handler(service, {"RunFunction": handler}) for service in _SERVICES)


def _credentials(flags: argparse.Namespace) -> grpc.ServerCredentials | None:
    if flags.insecure:
        return None
    if not flags.tls_certs_dir:
        raise StartError(
            "no certificates: give --tls-certs-dir or TLS_SERVER_CERTS_DIR, or --insecure to serve without TLS"
        )
    certificate, key, authority = (
        _certificate(Path(flags.tls_certs_dir, name)) for name in ("tls.crt", "tls.key", "ca.crt")
    )
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)


def _certificate(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from None


def _listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> None:
    try:
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
    except RuntimeError:
        raise StartError(f"cannot listen on {address}: the address is taken or not this machine's") from None


async def _until_stopped(server: grpc.aio.Server, healthy: health.aio.HealthServicer) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    _log.info("stopping")
    await healthy.enter_graceful_shutdown()
    await server.stop(_GRACE)


if __name__ == "__main__":
    main()
