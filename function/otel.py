"""OpenTelemetry traces, where the environment asks for them: one span a request, one below it for each step.

It is configured by OpenTelemetry's own environment variables, which its SDK reads; spans go out by OTLP over HTTP, the
protocol that the specification makes the default. A request whose metadata has a `traceparent` is part of that trace.
Crossplane's core sends none up to this day (internal/xfn/function_runner.go: its client has interceptors for metrics
alone), so traces begin here. Spans hold names and kinds, and nothing of what an XR says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from function import trace

_NAME: Final = "function-kratix"


class Recorder:
    """Records spans from now on, until it is closed.

    Args:
        exporter: Where they go; by default where OTEL_EXPORTER_OTLP_ENDPOINT says.
    """

    def __init__(self, version: str, exporter: SpanExporter | None = None) -> None:
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
        own = Resource({SERVICE_NAME: _NAME, SERVICE_VERSION: version})
        said = Resource.create()
        unnamed = str(said.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
        self._provider = TracerProvider(resource=said.merge(own) if unnamed else own.merge(said))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_NAME, version)
        trace.record(self._step)

    def _step(self, name: str) -> AbstractContextManager[Any]:
        # The words of an exception can quote what somebody wrote.
        return self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)

    @contextmanager
    def request(self, service: str, metadata: Sequence[tuple[str, str | bytes]]) -> Iterator[Span]:
        """The span of a request, part of the trace that its metadata names."""
        said = {key: value for key, value in metadata if isinstance(value, str)}
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": "RunFunction"}
        with self._tracer.start_as_current_span(
            f"{service}/RunFunction",
            propagate.extract(said),
            SpanKind.SERVER,
            attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    @staticmethod
    def tell(span: Span, about: Mapping[str, str], *, failed: bool) -> None:
        """What a request was about, and whether this function failed on it."""
        span.set_attributes(about)
        if failed:
            span.set_status(Status(StatusCode.ERROR))

    def close(self) -> None:
        """Send what is left, and stop recording."""
        trace.record(None)
        self._provider.shutdown()
