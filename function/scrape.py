"""The metrics in Prometheus' text format. Imported when they are first asked for: starting and serving need none of it.

What any gRPC server counts has the names that Crossplane's functions in Go have (function-sdk-go: sdk.go, which takes
go-grpc-middleware's), so that one dashboard shows all functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from function.api.histogram import Histogram
from function.metrics import Numbers

_METHOD = "RunFunction"


def text(numbers: Numbers) -> bytes:
    """The numbers of this moment, and those of the process."""
    registry = CollectorRegistry()
    registry.register(_Collector(numbers))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._version = metadata.version("function-kratix")

    def collect(self) -> Iterable[Metric]:
        yield from _calls(self._numbers)
        yield _counter("kratix_function_answers", "Answers, by what came of the request.", self._numbers.answers)
        repeated = CounterMetricFamily(
            "kratix_function_repeated_answers", "Answers that the same request was given before."
        )
        repeated.add_metric([], self._numbers.repeated)
        yield repeated
        yield _histogram("kratix_function_documents", "Documents that an answer was made of.", self._numbers.documents)
        yield _histogram(
            "kratix_function_expression_seconds",
            "How long the CEL expressions of an answer took to be evaluated.",
            self._numbers.expressions,
        )
        build = GaugeMetricFamily("kratix_function_build_info", "1, with the version.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build


def _calls(numbers: Numbers) -> Iterator[Metric]:
    labels = ["grpc_type", "grpc_service", "grpc_method"]
    started = CounterMetricFamily("grpc_server_started", "RPCs that came in.", labels=labels)
    handled = CounterMetricFamily("grpc_server_handled", "RPCs that were answered.", labels=[*labels, "grpc_code"])
    seconds = HistogramMetricFamily("grpc_server_handling_seconds", "How long answering took.", labels=labels)
    for service, calls in sorted(numbers.calls.items()):
        called = ["unary", service, _METHOD]
        started.add_metric(called, calls.started)
        for code, count in sorted(calls.handled.copy().items()):
            handled.add_metric([*called, code], count)
        took = calls.seconds.copy()
        seconds.add_metric(called, took.cumulative(), took.total)
    yield from (started, handled, seconds)


def _counter(name: str, said: str, counts: Mapping[str, int]) -> Metric:
    made = CounterMetricFamily(name, said, labels=["outcome"])
    for outcome, count in counts.items():
        made.add_metric([outcome], count)
    return made


def _histogram(name: str, said: str, counted: Histogram) -> Metric:
    made = HistogramMetricFamily(name, said)
    found = counted.copy()
    made.add_metric([], found.cumulative(), found.total)
    return made
