"""The served function: flags, failures to start, health, reflection, both protocol versions, TLS, SIGTERM."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from crossplane.function.proto.v1beta1 import run_function_pb2 as fnv1beta1
from crossplane.function.proto.v1beta1 import run_function_pb2_grpc as grpcv1beta1
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import build
from served import command, environment, serving


@pytest.fixture(scope="module")
def served() -> Iterator[grpc.Channel]:
    with serving("--insecure") as (channel, _):
        yield channel


def test_answers_v1_and_v1beta1_alike(served: grpc.Channel) -> None:
    req = build.request()
    v1 = grpcv1.FunctionRunnerServiceStub(served).RunFunction(req, timeout=60)
    old = fnv1beta1.RunFunctionRequest.FromString(req.SerializeToString())
    beta = grpcv1beta1.FunctionRunnerServiceStub(served).RunFunction(old, timeout=60)
    assert v1.meta.tag == "tag"
    assert [c.type for c in v1.conditions] == ["ChecksPassed", "WorkflowCompleted", "Scheduled", "Delivered"]
    assert fnv1.RunFunctionResponse.FromString(beta.SerializeToString()) == v1


def test_says_that_each_service_is_healthy(served: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(served)
    for service in (
        "",
        "apiextensions.fn.proto.v1.FunctionRunnerService",
        "apiextensions.fn.proto.v1beta1.FunctionRunnerService",
    ):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, service


def test_lists_its_services_by_reflection(served: grpc.Channel) -> None:
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(reflection_pb2_grpc.ServerReflectionStub(served).ServerReflectionInfo(iter([ask]), timeout=60)))
    found = {service.name for service in answer.list_services_response.service}
    assert {"apiextensions.fn.proto.v1.FunctionRunnerService", "grpc.health.v1.Health"} <= found


def test_describes_a_service_by_reflection(served: grpc.Channel) -> None:
    ask = reflection_pb2.ServerReflectionRequest(
        file_containing_symbol="apiextensions.fn.proto.v1.FunctionRunnerService"
    )
    answer = next(iter(reflection_pb2_grpc.ServerReflectionStub(served).ServerReflectionInfo(iter([ask]), timeout=60)))
    assert b"RunFunctionRequest" in answer.file_descriptor_response.file_descriptor_proto[0]


def test_loads_what_only_tools_ask_for_when_they_do() -> None:
    loaded = "import sys, function.main; print([name for name in ('grpc_reflection.v1alpha', 'prometheus_client') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_takes_a_request_larger_than_grpcs_own_limit(served: grpc.Channel) -> None:
    body = build.xr(spec={"env": "dev", "size": 1, "note": "x" * (5 * 1024 * 1024)})
    rsp = grpcv1.FunctionRunnerServiceStub(served).RunFunction(build.request(body), timeout=60)
    assert not build.fatal(rsp)


def test_refuses_a_request_larger_than_the_flag_says() -> None:
    with serving("--insecure", "--max-recv-message-size", "1") as (channel, _):
        body = build.xr(spec={"note": "x" * (2 * 1024 * 1024)})
        with pytest.raises(grpc.RpcError) as error:
            grpcv1.FunctionRunnerServiceStub(channel).RunFunction(build.request(body), timeout=60)
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_stops_cleanly_on_sigterm() -> None:
    with serving("--insecure") as (_, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_speaks_mutual_tls(tmp_path: Path) -> None:
    certificates(tmp_path)
    pem = {name: (tmp_path / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")}
    trusted = grpc.ssl_channel_credentials(pem["ca.crt"], pem["tls.key"], pem["tls.crt"])
    with serving("--tls-certs-dir", str(tmp_path), credentials=trusted) as (channel, process):
        assert grpcv1.FunctionRunnerServiceStub(channel).RunFunction(build.request(), timeout=60).meta.tag == "tag"
        address = process.args[process.args.index("--address") + 1]  # type: ignore[union-attr,index]
        anonymous = grpc.secure_channel(address, grpc.ssl_channel_credentials(pem["ca.crt"]))
        with anonymous, pytest.raises(grpc.RpcError):
            grpcv1.FunctionRunnerServiceStub(anonymous).RunFunction(build.request(), timeout=5)


def certificates(folder: Path) -> None:
    """One self-signed certificate that is its own authority, as openssl makes it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())


FAILURES = {
    "no certificates": (
        (),
        "no certificates: give --tls-certs-dir or TLS_SERVER_CERTS_DIR, or --insecure to serve without TLS",
    ),
    "folder that is not there": (
        ("--tls-certs-dir", "nowhere"),
        "cannot read nowhere/tls.crt: No such file or directory",
    ),
    "address of another machine": (
        ("--insecure", "--address", "192.0.2.1:9443"),
        "cannot listen on 192.0.2.1:9443: the address is taken or not this machine's",
    ),
    "no address for metrics": (
        ("--insecure", "--metrics-address", "8080"),
        "cannot listen on 8080 for metrics: it must be HOST:PORT",
    ),
    "metrics on another machine": (
        ("--insecure", "--metrics-address", "192.0.2.1:8080"),
        "cannot listen on 192.0.2.1:8080 for metrics: Cannot assign requested address",
    ),
    "message size of zero": (
        ("--insecure", "--max-recv-message-size", "0"),
        "--max-recv-message-size must be at least 1 MiB, not 0",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_to_start_is_one_sentence_and_exit_code_1(name: str) -> None:
    flags, sentence = FAILURES[name]
    done = subprocess.run(command(*flags), env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"function-kratix: cannot start: {sentence}"
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_a_failure_to_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            command("--insecure", "--address", address),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert f"cannot listen on {address}" in done.stderr
