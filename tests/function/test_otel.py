"""Traces: what the served function sends to an OTLP receiver, whose trace it joins, and that it sends none unasked."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from crossplane.function.proto.v1beta1 import run_function_pb2 as fnv1beta1
from crossplane.function.proto.v1beta1 import run_function_pb2_grpc as grpcv1beta1
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import build
from function import service
from served import environment, serving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVICE = "apiextensions.fn.proto.v1.FunctionRunnerService"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


class Receiver:
    """An OTLP receiver; what comes in is in `received`."""

    def __init__(self) -> None:
        self.received: queue.Queue[ExportTraceServiceRequest] = queue.Queue()
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    received.put(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self, count: int) -> tuple[dict[str, str], list[Any]]:
        """The resource, and as many spans."""
        resource: dict[str, str] = {}
        spans: list[Any] = []
        while len(spans) < count:
            for part in self.received.get(timeout=60).resource_spans:
                resource = {each.key: each.value.string_value for each in part.resource.attributes}
                spans += [span for scope in part.scope_spans for span in scope.spans]
        return resource, spans

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


STEPS = [
    "read",
    "judge request",
    "advance workflow",
    "produce documents",
    "judge documents",
    "schedule",
    "deliver",
    "report",
]


def test_a_request_is_part_of_the_callers_trace_and_has_a_span_for_each_step() -> None:
    planted = "planted-in-the-spec"
    body = build.xr(spec={"env": "dev", "size": 1, "password": planted})
    req = build.resolved(build.request(body, build.promise_input(deliver={"as": "Composed"})))
    with (
        receiving() as receiver,
        serving("--insecure", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **SOON) as (channel, _),
    ):
        stub = grpcv1.FunctionRunnerServiceStub(channel)
        stub.RunFunction(req, timeout=30, metadata=(("traceparent", f"00-{TRACE}-{PARENT}-01"),))
        resource, spans = receiver.spans(1 + len(STEPS))
    assert resource["service.name"] == "function-kratix"
    (whole,) = [span for span in spans if span.name == f"{SERVICE}/RunFunction"]
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, PARENT)
    assert whole.kind == whole.SPAN_KIND_SERVER
    attributes = {each.key: each.value.string_value for each in whole.attributes}
    assert attributes == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "RunFunction",
        "crossplane.composite": "Postgres/team-a/orders",
    }
    steps = sorted((span for span in spans if span is not whole), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in steps] == STEPS
    assert {span.parent_span_id for span in steps} == {whole.span_id}
    assert all(whole.start_time_unix_nano <= s.start_time_unix_nano <= s.end_time_unix_nano for s in steps)
    assert not any(planted in str(span) for span in spans)


def test_a_request_of_nobodys_trace_begins_one_and_what_is_fatal_is_an_error() -> None:
    with receiving() as receiver, serving(
        "--insecure", OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.endpoint}/v1/traces",
        OTEL_SERVICE_NAME="mine", **SOON,
    ) as (channel, process):  # fmt: skip
        old = fnv1beta1.RunFunctionRequest.FromString(build.request(given={"kind": "None"}).SerializeToString())
        grpcv1beta1.FunctionRunnerServiceStub(channel).RunFunction(old, timeout=30)
        resource, spans = receiver.spans(2)
        assert [line["level"] for line in process.lines()] == ["info"]
    assert resource["service.name"] == "mine", "the environment wins"
    (whole,) = [span for span in spans if "/" in span.name]
    assert whole.name == "apiextensions.fn.proto.v1beta1.FunctionRunnerService/RunFunction"
    assert whole.parent_span_id == b""
    assert whole.status.code == whole.status.STATUS_CODE_ERROR
    assert not any(span.events for span in spans), "an exception's words are nobody's business"


UNASKED: dict[str, dict[str, str]] = {
    "nothing said": {},
    "turned off": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
    "no exporter": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
    "metrics alone": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318"},
}


@pytest.mark.parametrize("name", UNASKED)
def test_it_is_off_unless_the_environment_asks(name: str) -> None:
    assert service.recorder(UNASKED[name]) is None


def test_nothing_is_imported_when_it_is_off() -> None:
    program = (
        "import sys, function.main as m; assert m._recorder() is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_without_the_extra_it_says_so_and_starts() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import function.main as m; m.log.to_stderr(debug=False); assert m._recorder() is None"
    )
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment() | more, capture_output=True, text=True, check=True
    )
    assert "OpenTelemetry is not installed (pip install function-kratix[otel])" in done.stderr
