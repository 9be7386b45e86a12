"""Bounds that hold by default, one test each; docs/security.md has all of them with where they are tested."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from grpc_health.v1 import health_pb2, health_pb2_grpc

import build
from bridge import kubeconfig
from bridge.bodies import Call, Stream
from bridge.clusters import Limits
from bridge.errors import KubeconfigError, UnreachableError
from function import cel
from function.api import goyaml, input, manifest, metadata, output
from function.api.errors import InvalidError
from function.documents import MAX_DOCUMENTS
from function.fn import run

_MIB = 2**20


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[grpc.Channel, int]]:
    """The function with no flag but `--insecure`, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen([sys.executable, "-m", "function.main", "--insecure", "--address", address])
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(address, options)
    try:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=120, wait_for_ready=True)
        yield channel, process.pid
    finally:
        channel.close()
        process.terminate()
        process.wait(60)


def _status(channel: grpc.Channel, size: int, compression: grpc.Compression | None = None) -> grpc.StatusCode:
    body = build.xr(spec={"env": "dev", "note": "x" * size})
    try:
        grpcv1.FunctionRunnerServiceStub(channel).RunFunction(
            build.request(body), timeout=240, **({"compression": compression} if compression else {})
        )
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def test_a_message_has_at_most_16_mib(served: tuple[grpc.Channel, int]) -> None:
    channel, _ = served
    assert _status(channel, 15 * _MIB) == grpc.StatusCode.OK
    assert _status(channel, 16 * _MIB) == grpc.StatusCode.RESOURCE_EXHAUSTED


def _peak(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split()[0]) / 1024


def test_a_compressed_message_is_not_taken(served: tuple[grpc.Channel, int]) -> None:
    """gRPC bounds a message as it comes, and decompresses it after that: 64 MiB of one letter are 64 KiB."""
    channel, pid = served
    before = _peak(pid)
    assert _status(channel, 64 * _MIB, grpc.Compression.Gzip) == grpc.StatusCode.UNIMPLEMENTED
    assert _peak(pid) < before + 32
    assert _status(channel, 1) == grpc.StatusCode.OK, "it goes on"


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"x": 1}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def _asked(where: str, levels: int) -> fnv1.RunFunctionRequest:
    """A request that has so many levels of objects in an XR or in a Promise that it requires."""
    if where == "XR":
        return build.resolved(build.request(build.xr(spec=_nested(levels - 1))))
    promise = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": "postgresql"},
        "spec": {"dependencies": [_nested(levels - 3)]},
    }
    return build.resolved(build.request(given=build.promise_input(promise={"ref": {"name": "postgresql"}})), [promise])


def test_what_a_pipeline_says_can_be_handed_over_again(served: tuple[grpc.Channel, int]) -> None:
    """What comes in too deep is fatal for good: nothing that goes out may come back so."""
    said = output.Output({}, status=b"a: " + b"{a: " * 23 + b"1" + b"}" * 23)
    undeclared = {"kratix": {"steps": {"postgresql": {"undeclared": metadata.read(said).status}}}}
    manifest_ = _nested(28)
    made = {"apiVersion": "v1", "kind": "Object", "metadata": {"name": "a"}, "spec": {"forProvider": {"a": manifest_}}}
    req = build.request(build.xr(status=undeclared), observed={"a": made})
    rsp = grpcv1.FunctionRunnerServiceStub(served[0]).RunFunction(build.resolved(req), timeout=60)
    assert build.fatal(rsp) == ""


@pytest.mark.parametrize(("where", "most"), [("XR", 32), ("required Promise", 31)])
def test_what_crossplane_hands_over_has_at_most_32_levels(
    served: tuple[grpc.Channel, int], where: str, most: int
) -> None:
    """More is no gRPC error, of which an XR would show neither a condition nor a sentence of ours."""
    stub = grpcv1.FunctionRunnerServiceStub(served[0])
    assert build.fatal(stub.RunFunction(_asked(where, most), timeout=60)) == ""
    for levels in (33, 34, 48, 64, 200):
        rsp = stub.RunFunction(_asked(where, levels), timeout=60)
        assert "nested deeper than 32 levels of objects (31 in a required resource)" in build.fatal(rsp)
        assert build.conditions(rsp)["Delivered"] == ("False", "InvalidInput")
        assert build.message(rsp, "Delivered") == build.fatal(rsp)
        assert len(rsp.conditions) == 4
    assert build.fatal(stub.RunFunction(_asked(where, most), timeout=60)) == "", "it goes on"


LISTS = {
    "checks": (input.MAX_ITEMS, lambda i: {"name": f"c{i}", "expression": "true"}),
    "documents": (input.MAX_ITEMS, lambda i: build.config_map(f"d{i}")),
    "decorate": (input.MAX_ITEMS, lambda i: {"labels": {"a": str(i)}}),
    "context": (64, lambda i: {"name": f"c{i}", "apiVersion": "v1", "kind": "ConfigMap", "matchName": "a"}),
}


@pytest.mark.parametrize("field", LISTS)
def test_an_input_has_so_many_of_each(field: str) -> None:
    most, made = LISTS[field]
    input.parse(build.promise_input(**{field: [made(i) for i in range(most)]}))
    with pytest.raises(InvalidError, match=f"^{field}: "):
        input.parse(build.promise_input(**{field: [made(i) for i in range(most + 1)]}))


def _adopting(count: int) -> fnv1.RunFunctionResponse:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    given = build.promise_input(documents=[], adopt={"names": ["*"]}, deliver={"as": "Composed"})
    return run(build.resolved(build.request(given=given, desired={f"k{i}": made for i in range(count)})))


def test_a_request_has_at_most_1024_documents() -> None:
    assert build.conditions(_adopting(MAX_DOCUMENTS))["ChecksPassed"][0] == "True"
    over = _adopting(MAX_DOCUMENTS + 1)
    assert build.message(over, "Delivered") == "documents: are 1025; at most 1024 can be delivered for one request"


def test_a_document_has_at_most_512_kib() -> None:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": ""}}
    body["data"]["a"] = "x" * (manifest.MAX_DOCUMENT - 200)
    manifest.check_manifest(body, "documents[0]")
    body["data"]["a"] = "x" * manifest.MAX_DOCUMENT
    with pytest.raises(InvalidError, match="a document may have at most 512 KiB"):
        manifest.check_manifest(body, "documents[0]")


def test_a_path_has_at_most_512_characters() -> None:
    manifest.check_path("a" * manifest.MAX_PATH, "documents[0].filename")
    with pytest.raises(InvalidError, match="must be a file path of 1 to 512 characters"):
        manifest.check_path("a" * (manifest.MAX_PATH + 1), "documents[0].filename")


def test_a_work_has_at_most_1_mib() -> None:
    documents = [
        {
            "name": f"d{i}",
            "manifest": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"d{i}"},
                "data": {"a": os.urandom(200_000).hex()},
            },
        }
        for i in range(5)
    ]
    rsp = run(build.resolved(build.request(given=build.promise_input(documents=documents))))
    assert "one Work may hold 1024 KiB" in build.message(rsp, "Delivered")
    assert not rsp.desired.resources


def test_an_expression_has_at_most_4096_characters() -> None:
    fits = "true" + " " * 4092
    assert cel.expression(fits, "checks[0].expression", cel.GATE).evaluate(cel.Scope({})) is True
    with pytest.raises(InvalidError, match="at most 4096"):
        cel.expression(fits + " ", "checks[0].expression", cel.GATE)


def test_an_expression_nests_at_most_32_levels() -> None:
    with pytest.raises(InvalidError, match="cannot be compiled"):
        cel.expression("(" * 40 + "1" + ")" * 40, "checks[0].expression", cel.GATE)


def test_loops_turn_at_most_10000_times() -> None:
    turns = f"[{', '.join(['1'] * 11)}].all(a, request.all(b, true))"
    for size, fits in ((800, True), (1_000, False)):
        scope = cel.Scope({"request": list(range(size))})
        if fits:
            assert cel.expression(turns, "x", cel.REQUEST).evaluate(scope) is True
        else:
            with pytest.raises(cel.EvaluationError):
                cel.expression(turns, "x", cel.REQUEST).evaluate(scope)


def test_a_result_has_at_most_4_mib() -> None:
    scope = cel.Scope({"request": "x" * (3 * _MIB)})
    assert len(cel.expression("request", "x", cel.REQUEST).evaluate(scope)) == 3 * _MIB
    with pytest.raises(cel.EvaluationError, match="gives more than 4 MiB"):
        cel.expression("request + request", "x", cel.REQUEST).evaluate(scope)


def test_all_expressions_of_a_request_take_so_much_together() -> None:
    """Each is within its bounds, and there can be 256 checks on each of 1,024 documents."""
    scope = cel.Scope({"request": ["x" * 20_000] * 20})
    greedy = cel.expression("request.all(a, request.all(b, a == b))", "x", cel.REQUEST)
    with pytest.raises(cel.EvaluationError, match="the expressions of this request take too long together"):
        for _ in range(100):
            greedy.evaluate(scope)


def test_yaml_has_at_most_64_levels_and_a_million_values() -> None:
    goyaml.documents("[" * goyaml.MAX_DEPTH + "]" * goyaml.MAX_DEPTH)
    with pytest.raises(goyaml.YamlError, match="nested deeper than 64 levels"):
        goyaml.documents("[" * (goyaml.MAX_DEPTH + 1) + "]" * (goyaml.MAX_DEPTH + 1))
    with pytest.raises(goyaml.YamlError, match="grows too large by its aliases"):
        goyaml.documents("a: &a [1, 2, 3, 4, 5]\nb: [*a, *a]\n", max_nodes=10)


def test_an_output_has_at_most_1024_files_and_16_mib() -> None:
    output.pack(output.Output({str(i): b"" for i in range(output.MAX_FILES)}))
    with pytest.raises(output.OutputError, match="at most 1024 can be taken"):
        output.pack(output.Output({str(i): b"" for i in range(output.MAX_FILES + 1)}))
    with pytest.raises(output.OutputError, match="at most 16777216 can be taken"):
        output.pack(output.Output({"a": bytes(output.MAX_UNPACKED + 1)}))


class _Answer:
    """An answer without an end."""

    def read1(self, _: int) -> bytes:
        return b"x" * 65536

    def close(self) -> None:
        """Nothing."""


def test_a_line_of_a_watch_has_at_most_16_mib() -> None:
    limits = Limits()
    assert (limits.line, limits.size, limits.answer) == (16 * _MIB, 256 * _MIB, 60.0)
    stream = Stream(_Answer(), Call("eu", "watch", threading.Event()), longest=limits.line)  # type: ignore[arg-type]
    with pytest.raises(UnreachableError, match="a line is longer than 16777216 bytes"):
        list(stream)


def test_a_kubeconfig_has_at_most_128_kib() -> None:
    with pytest.raises(KubeconfigError, match="more than 131072 bytes"):
        kubeconfig.read(b" " * ((128 << 10) + 1))
