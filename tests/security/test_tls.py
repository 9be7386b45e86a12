"""Who may call the function: by real TLS handshakes with a process of it. Without a certificate of Crossplane's, nobody."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from grpc_health.v1 import health_pb2, health_pb2_grpc

import build
from function.main import main
from testbed import certificates
from testbed.certificates import Pair

_ROOT = Path(__file__).resolve().parents[2]
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Served:
    """A function that listens with TLS, and what is known of its certificates.

    Attributes:
        authority: The one that its callers must be of: Crossplane's own, in a cluster.
        client: A certificate of that authority.
    """

    address: str
    authority: Pair
    client: Pair

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def _command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "function.main", *flags]


def _environment(**more: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if key != "TLS_SERVER_CERTS_DIR"}
    return {**own, "PYTHONPATH": str(_ROOT), **more}


def _folder(path: Path, by: Pair) -> Path:
    pair = certificates.issue(by, "function-kratix", [_HOST])
    for name, content in {**pair.files, "ca.crt": by.certificate}.items():
        (path / name).write_bytes(content)
    return path


@contextmanager
def _called(address: str, *, trusts: bytes, client: Pair | None) -> Iterator[grpc.Channel]:
    """A channel to the function."""
    key, certificate = (client.key, client.certificate) if client else (None, None)
    channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(trusts, key, certificate))
    try:
        yield channel
    finally:
        channel.close()


def _answers(channel: grpc.Channel, seconds: float = 30.0) -> bool:
    """Whether it runs for this caller; health is a service of its own, and has to be closed too."""
    try:
        grpcv1.FunctionRunnerServiceStub(channel).RunFunction(build.request(), timeout=seconds)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, "the handshake fails, and not the call"
        with pytest.raises(grpc.RpcError):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=seconds)
        return False
    return True


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    authority = certificates.authority("crossplane-root-ca")
    folder = _folder(tmp_path_factory.mktemp("tls"), authority)
    with socket.socket() as free:
        free.bind((_HOST, 0))
        address = f"{_HOST}:{free.getsockname()[1]}"
    client = certificates.issue(authority, "crossplane", ["crossplane"])
    # As Crossplane starts it: no flag at all, and the folder in the environment.
    process = subprocess.Popen(
        _command("--address", address), env=_environment(TLS_SERVER_CERTS_DIR=str(folder)), stderr=subprocess.DEVNULL
    )
    try:
        with _called(address, trusts=authority.certificate, client=client) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            stub.Check(health_pb2.HealthCheckRequest(), timeout=120, wait_for_ready=True)
        yield Served(address, authority, client)
    finally:
        process.terminate()
        process.wait(60)


def test_a_client_of_crossplanes_authority_is_answered(served: Served) -> None:
    with _called(served.address, trusts=served.authority.certificate, client=served.client) as channel:
        assert _answers(channel)


def test_without_a_client_certificate_nothing_is_answered(served: Served) -> None:
    with _called(served.address, trusts=served.authority.certificate, client=None) as channel:
        assert not _answers(channel)


def test_a_client_of_another_authority_is_not_answered(served: Served) -> None:
    other = certificates.issue(certificates.authority("crossplane-root-ca"), "crossplane", ["crossplane"])
    with _called(served.address, trusts=served.authority.certificate, client=other) as channel:
        assert not _answers(channel), "the authority has the same name, and not the same key"


def test_a_certificate_that_its_owner_signed_is_not_answered(served: Served) -> None:
    with _called(
        served.address, trusts=served.authority.certificate, client=certificates.authority("crossplane")
    ) as channel:
        assert not _answers(channel)


def test_plain_text_is_not_answered(served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        assert not _answers(channel)


def test_a_client_that_expects_another_authority_sends_nothing(served: Served) -> None:
    other = certificates.authority("crossplane-root-ca")
    with _called(served.address, trusts=other.certificate, client=served.client) as channel:
        assert not _answers(channel), "who answers has to be of Crossplane's authority too"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_tls_of_long_ago_is_not_spoken(served: Served) -> None:
    context = ssl.create_default_context(cadata=served.authority.certificate.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the server that refuses
    with (
        socket.create_connection((_HOST, served.port), timeout=30) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(connection, server_hostname=_HOST)


def _sentence(*flags: str) -> str:
    """Why it does not start."""
    with pytest.raises(SystemExit) as ended:
        main(["--address", f"{_HOST}:0", *flags])
    return str(ended.value.code)


def test_without_certificates_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = "no certificates: give --tls-certs-dir or TLS_SERVER_CERTS_DIR, or --insecure to serve without TLS"
    for folder in (None, ""):
        monkeypatch.delenv("TLS_SERVER_CERTS_DIR", raising=False)
        if folder is not None:
            monkeypatch.setenv("TLS_SERVER_CERTS_DIR", folder)
        assert _sentence() == f"function-kratix: cannot start: {wanted}"


def test_without_an_authority_for_clients_it_does_not_start(tmp_path: Path) -> None:
    folder = _folder(tmp_path, certificates.authority("ours"))
    (folder / "ca.crt").unlink()
    assert _sentence("--tls-certs-dir", str(folder)).endswith("ca.crt: No such file or directory")


@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
@pytest.mark.parametrize("content", [b"", b"\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_with_a_certificate_that_is_none_it_does_not_start(tmp_path: Path, name: str, content: bytes) -> None:
    folder = _folder(tmp_path, certificates.authority("ours"))
    (folder / name).write_bytes(content)
    said = _sentence("--tls-certs-dir", str(folder))
    assert said.startswith("function-kratix: cannot start: "), said
    assert name in said, "an empty ca.crt would let every client of a public authority in, or nobody"
