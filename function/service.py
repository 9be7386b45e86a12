"""The gRPC service around the runner: what is counted of calls, and the span of each where traces are recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING

import grpc
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1

from function.fn import FunctionRunner, named
from function.metrics import Calls, Numbers

if TYPE_CHECKING:
    from function.otel import Recorder

_Context = grpc.aio.ServicerContext[fnv1.RunFunctionRequest, fnv1.RunFunctionResponse]
# Any of these sends traces somewhere (OpenTelemetry's specification, "SDK environment variables").
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Watched(grpcv1.FunctionRunnerServiceServicer):
    """One version of the service, with what is counted and recorded of its calls.

    Args:
        name: The service's full name.
        recorder: Where spans go; None for nowhere.
    """

    def __init__(self, name: str, runner: FunctionRunner, numbers: Numbers, recorder: Recorder | None) -> None:
        self._name = name
        self._runner = runner
        self._calls = numbers.calls[name] = Calls()
        self._recorder = recorder

    async def RunFunction(  # noqa: N802 - the name is gRPC's
        self, req: fnv1.RunFunctionRequest, context: _Context
    ) -> fnv1.RunFunctionResponse:
        """As the runner answers."""
        began, code = time.perf_counter(), "Unknown"
        self._calls.started += 1
        try:
            rsp = await (self._recorded if self._recorder else self._runner.RunFunction)(req, context)
            code = "OK"
        finally:
            self._calls.ended(code, time.perf_counter() - began)
        return rsp

    async def _recorded(self, req: fnv1.RunFunctionRequest, context: _Context) -> fnv1.RunFunctionResponse:
        assert self._recorder is not None  # noqa: S101 - only called with one
        with self._recorder.request(self._name, tuple(context.invocation_metadata() or ())) as span:
            rsp = await self._runner.RunFunction(req, context)
            fatal = any(result.severity == fnv1.SEVERITY_FATAL for result in rsp.results)
            self._recorder.tell(span, {"crossplane.composite": named(req)}, failed=fatal)
        return rsp


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
