"""Prometheus metrics, under the names that dashboards for controller-runtime and client-go know.

Queues and watches count for themselves (queue.py, watch.py); what they count is read when it is asked for. Seconds are
those of client-go's workqueues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge import queue
from bridge.clusters import Answer, Cluster
from bridge.errors import ApiError, UnreachableError
from bridge.watch import Health
from function.api.histogram import Histogram as Counts

# controller-runtime's (pkg/internal/controller/metrics/metrics.go).
_RECONCILE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Live:
    """What counts for itself, read at each scrape.

    Attributes:
        queues: By name.
        watches: By cluster and kind.
        clusters: Whether each CrossplaneCluster is reached.
        counts: Of each CrossplaneCluster, by what is counted.
    """

    queues: Callable[[], Mapping[str, queue.Numbers]]
    watches: Callable[[], Mapping[tuple[str, str], Health]]
    clusters: Callable[[], Mapping[str, bool]]
    counts: Callable[[], Mapping[str, Mapping[str, int]]]


class Metrics:
    """All metrics of the process."""

    def __init__(self, live: Live) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no hints
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(live))
        ProcessCollector(registry=self._registry)
        controller = ("controller",)
        self._reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciles, by what came of them.",
            (*controller, "result"),
            registry=self._registry,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed.", controller, registry=self._registry
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long reconciles took.",
            controller,
            buckets=_RECONCILE_BUCKETS,
            registry=self._registry,
        )
        self._active = Gauge(
            "controller_runtime_active_workers", "Reconciles under way.", controller, registry=self._registry
        )
        self._requests = Counter(
            "rest_client_requests",
            "Requests to API servers, by what was answered.",
            ("code", "host", "method"),
            registry=self._registry,
        )
        self._leader = Gauge(
            "leader_election_master_status", "1 for the process that leads.", ("name",), registry=self._registry
        )

    def reconciled(self, controller: str, result: str, seconds: float) -> None:
        """A reconcile ended: success, requeue_after or error."""
        self._reconciles.labels(controller, result).inc()
        self._seconds.labels(controller).observe(seconds)
        # There from the first reconcile on, as in controller-runtime: a rate needs a zero before the first one.
        self._errors.labels(controller).inc(int(result == "error"))

    def under_way(self, controller: str, change: int) -> None:
        """A reconcile began, 1, or ended, -1."""
        self._active.labels(controller).inc(change)

    def requested(self, host: str, method: str, code: str) -> None:
        """A request to an API server."""
        self._requests.labels(code, host, method).inc()

    def leads(self, lease: str, *, leading: bool) -> None:
        """Whether this process leads."""
        self._leader.labels(lease).set(int(leading))

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)


class Counted(Cluster):
    """A cluster whose requests are counted."""

    told: Callable[[str, str, str], None] | None = None

    def send(self, method: str, path: str, /, **options: Any) -> Answer:
        """As `Cluster.send`."""
        try:
            answer = super().send(method, path, **options)
        except ApiError as error:
            self._tell(method, str(error.status))
            raise
        except UnreachableError:
            self._tell(method, "<error>")  # client-go's word for no answer
            raise
        self._tell(method, str(answer.status))
        return answer

    def _tell(self, method: str, code: str) -> None:
        if self.told is not None:
            self.told(self.server.partition("://")[2], method, code)


class _Collector(Collector):
    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterable[Metric]:
        yield from _queues(self._live.queues())
        yield from _watches(self._live.watches())
        up = GaugeMetricFamily("kratix_bridge_cluster_up", "Whether a cluster is reached.", labels=["cluster"])
        for cluster, reached in sorted(self._live.clusters().items()):
            up.add_metric([cluster], int(reached))
        yield up
        objects = GaugeMetricFamily(
            "kratix_bridge_objects", "Promises and Destinations, by what came of them.", labels=["cluster", "state"]
        )
        for cluster, counts in sorted(self._live.counts().items()):
            for state, count in sorted(counts.items()):
                objects.add_metric([cluster, state], count)
        yield objects


def _queues(found: Mapping[str, queue.Numbers]) -> Iterator[Metric]:
    gauges: Mapping[str, tuple[str, Callable[[queue.Numbers], float]]] = {
        "workqueue_depth": ("Keys that wait.", lambda n: n.depth),
        "workqueue_unfinished_work_seconds": ("How long the work under way has taken, in sum.", lambda n: n.unfinished),
        "workqueue_longest_running_processor_seconds": ("The longest of these.", lambda n: n.longest),
    }
    for name, (said, value) in gauges.items():
        gauge = GaugeMetricFamily(name, said, labels=["name"])
        for queue_name, numbers in sorted(found.items()):
            gauge.add_metric([queue_name], value(numbers))
        yield gauge
    counters: Mapping[str, tuple[str, Callable[[queue.Numbers], float]]] = {
        "workqueue_adds": ("Keys that were queued.", lambda n: n.adds),
        "workqueue_retries": ("Keys that were queued again after a failure.", lambda n: n.retries),
    }
    for name, (said, value) in counters.items():
        counter = CounterMetricFamily(name, said, labels=["name"])
        for queue_name, numbers in sorted(found.items()):
            counter.add_metric([queue_name], value(numbers))
        yield counter
    histograms: Mapping[str, tuple[str, Callable[[queue.Numbers], Counts]]] = {
        "workqueue_queue_duration_seconds": ("How long keys waited.", lambda n: n.waited),
        "workqueue_work_duration_seconds": ("How long work on a key took.", lambda n: n.worked),
    }
    for name, (said, of) in histograms.items():
        family = HistogramMetricFamily(name, said, labels=["name"])
        for queue_name, numbers in sorted(found.items()):
            took = of(numbers)
            family.add_metric([queue_name], took.cumulative(), took.total)
        yield family


def _watches(found: Mapping[tuple[str, str], Health]) -> Iterator[Metric]:
    labels = ["cluster", "resource"]
    lists = CounterMetricFamily("kratix_bridge_watch_lists", "Lists that were begun.", labels=labels)
    streams = CounterMetricFamily("kratix_bridge_watch_streams", "Watches that were opened.", labels=labels)
    failing = GaugeMetricFamily("kratix_bridge_watch_failing", "1 for a watch that is not up to date.", labels=labels)
    for key, health in sorted(found.items()):
        lists.add_metric(key, health.lists)
        streams.add_metric(key, health.streams)
        failing.add_metric(key, int(bool(health.error) or not health.synced))
    yield from (lists, streams, failing)
