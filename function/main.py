"""Flags to a serving process: `function-kratix --help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1beta1 import run_function_pb2 as fnv1beta1
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from function import log, probes, reflection, service
from function.fn import FunctionRunner
from function.memory import Memory
from function.metrics import Numbers

if TYPE_CHECKING:
    from function.otel import Recorder

_GRACE = 5.0
_MIB = 1024 * 1024
_IDENTITY = 1  # of grpc_compression_algorithm, the first: none
_METRICS_ADDRESS = "0.0.0.0:8080"  # the port that Crossplane declares: probes.py
_SERVICES = (
    fnv1.DESCRIPTOR.services_by_name["FunctionRunnerService"].full_name,
    fnv1beta1.DESCRIPTOR.services_by_name["FunctionRunnerService"].full_name,
)
_log = logging.getLogger("function-kratix")


class StartError(Exception):
    """Why the function cannot start, in one sentence."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM; a failure to start is one sentence and exit code 1."""
    flags = _flags(arguments)
    log.to_stderr(debug=flags.debug)
    try:
        asyncio.run(_serve(flags))
    except (StartError, probes.AddressError) as error:
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
    parser.add_argument(
        "--metrics-address",
        metavar="HOST:PORT",
        help="where /metrics, /healthz and /readyz are, in clear; empty for nowhere"
        f" (default: {_METRICS_ADDRESS}, and nowhere with --insecure)",
    )
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
    asyncio.get_running_loop().set_exception_handler(log.unhandled)
    numbers, recorder = Numbers(), _recorder()
    pages = probes.Probes(lambda: _scraped(numbers))
    listening = _metrics_socket(flags)
    memory = Memory()
    server = _server(flags.max_recv_message_size * _MIB, numbers, recorder, memory)
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    _listen(server, flags.address, credentials)
    await server.start()
    for name in ("", *_SERVICES):
        await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    _log.info("listening on %s%s", flags.address, " without TLS" if credentials is None else "")
    pages.unready = ""
    if listening is not None:
        await pages.serve(listening)
        _log.info("metrics and probes are on %s:%d", *listening.getsockname()[:2])
    memory.started()
    await _until_stopped(server, healthy, pages)
    if recorder is not None:
        recorder.close()


def _server(size: int, numbers: Numbers, recorder: Recorder | None, memory: Memory) -> grpc.aio.Server:
    """Both versions of the service, for messages of so many bytes, and what tells of them."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", size),
            # Without it a second process could listen on the same port and take part of the requests.
            ("grpc.so_reuseport", 0),
            # The limit above is of a message as it comes: compressed, 1 MiB could be 1 GiB. Crossplane compresses none.
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY),
        ]
    )
    runner = FunctionRunner(numbers)
    services = [service.Watched(name, runner, numbers, recorder, memory) for name in _SERVICES]
    listed = reflection.handler((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME))
    server.add_generic_rpc_handlers([*(each.handler() for each in services), listed])
    return server


def _metrics_socket(flags: argparse.Namespace) -> socket.socket | None:
    """Where metrics and probes will be; None for nowhere."""
    address = flags.metrics_address
    if address is not None:
        return probes.listen(address) if address else None
    if flags.insecure:
        return None
    try:
        return probes.listen(_METRICS_ADDRESS)
    except probes.AddressError as error:
        # Nobody asked for this address, and the function is of use without it.
        _log.warning("there are no metrics and no probes: %s", error)
        return None


def _recorder() -> Recorder | None:
    try:
        return service.recorder()
    except ImportError:
        # What sets such variables in all pods of a cluster must not keep this one from starting.
        _log.warning("no traces are recorded: OpenTelemetry is not installed (pip install function-kratix[otel])")
        return None


def _scraped(numbers: Numbers) -> bytes:
    from function import scrape  # what it needs costs time and memory that a start has no use for

    return scrape.text(numbers)


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
    _check_certificates(Path(flags.tls_certs_dir))
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)


def _certificate(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from None


def _check_certificates(folder: Path) -> None:
    """Find out now what gRPC would at the first handshake, and tell nobody: that no client could ever be let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key", password="")
    except (ssl.SSLError, ValueError):
        raise StartError(f"{folder}: tls.crt and tls.key are not a certificate and its key") from None
    try:
        context.load_verify_locations(cafile=folder / "ca.crt")
        authorities = context.get_ca_certs()
    except (ssl.SSLError, ValueError):
        authorities = []
    if not authorities:
        raise StartError(f"{folder}: ca.crt holds no certificate of an authority, so no client could be let in")


def _listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> None:
    try:
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
    except RuntimeError:
        raise StartError(f"cannot listen on {address}: the address is taken or not this machine's") from None


async def _until_stopped(server: grpc.aio.Server, healthy: health.aio.HealthServicer, pages: probes.Probes) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    _log.info("stopping")
    pages.unready = "stopping"
    await healthy.enter_graceful_shutdown()
    await server.stop(_GRACE)


if __name__ == "__main__":
    main()
