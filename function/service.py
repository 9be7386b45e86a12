"""The gRPC service around the runner: what is counted of calls, and the span of each where traces are recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING

import grpc
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf.message import DecodeError

from function import metrics
from function.fn import FunctionRunner, named
from function.memory import Memory
from function.metrics import Calls, Numbers

if TYPE_CHECKING:
    from function.otel import Recorder

_Context = grpc.aio.ServicerContext[fnv1.RunFunctionRequest | None, bytes]
# Any of these sends traces somewhere (OpenTelemetry's specification, "SDK environment variables").
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Watched:
    """One version of the service, with what is counted and recorded of its calls.

    Both versions of the protocol are the same bytes, and an answer is bytes already.

    Args:
        name: The service's full name.
        recorder: Where spans go; None for nowhere.
        memory: Told how large each request is.
    """

    def __init__(
        self, name: str, runner: FunctionRunner, numbers: Numbers, recorder: Recorder | None, memory: Memory
    ) -> None:
        self._name = name
        self._runner = runner
        self._calls = numbers.calls[name] = Calls()
        self._recorder = recorder
        self._memory = memory

    def handler(self) -> grpc.GenericRpcHandler:
        """What a server takes."""
        handler: grpc.RpcMethodHandler[fnv1.RunFunctionRequest | None, bytes] = grpc.unary_unary_rpc_method_handler(
            self._answer, request_deserializer=self._request
        )
        return grpc.method_handlers_generic_handler(self._name, {"RunFunction": handler})

    def _request(self, content: bytes) -> fnv1.RunFunctionRequest | None:
        """The request; None where it is nested deeper than protobuf reads: 100 messages, of which an object is three.

        The bound can be lifted (SetAllowOversizeProtos), but then 300 kB that are nested deeply enough end the process.
        """
        self._memory.take(len(content))
        try:
            return fnv1.RunFunctionRequest.FromString(content)
        except DecodeError as error:
            if "MaxDepth" not in str(error):
                raise
            return None

    async def _answer(self, req: fnv1.RunFunctionRequest | None, context: _Context) -> bytes:
        began, code = time.perf_counter(), "Unknown"
        self._calls.started += 1
        try:
            if req is None:
                content = self._runner.unreadable()
            else:
                content = self._recorded(req, context) if self._recorder else self._runner.answer(req)[0]
            code = "OK"
        finally:
            self._calls.ended(code, time.perf_counter() - began)
        return content

    def _recorded(self, req: fnv1.RunFunctionRequest, context: _Context) -> bytes:
        assert self._recorder is not None  # noqa: S101 - only called with one
        with self._recorder.request(self._name, tuple(context.invocation_metadata() or ())) as span:
            content, given = self._runner.answer(req)
            fatal = given.outcome in (metrics.FATAL, metrics.INVALID, metrics.FAILED)
            self._recorder.tell(span, {"crossplane.composite": named(req)}, failed=fatal)
        return content


def recorder(environ: Mapping[str, str] = os.environ) -> Recorder | None:
    """What records spans, where the environment wants some.

    Raises:
        ImportError: It does, and OpenTelemetry is not installed.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    exporters = {name.strip().lower() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",")} - {""}
    if not ("otlp" in exporters if exporters else any(environ.get(name) for name in _ENDPOINTS)):
        return None
    from function.otel import Recorder

    return Recorder(metadata.version("function-kratix"))
