"""What Prometheus is told (text format 0.0.4): counts, sizes and times, and nothing about any patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_sacro import __version__
from edge_sacro.errors import EdgeSacroError

if TYPE_CHECKING:
    from edge_sacro.node.web.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TOTAL = "total"


class NodeMetrics:
    """What is counted while the node runs; it begins anew with the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._assessments = Histogram(
            "edge_sacro_assessment_seconds",
            "Wall-clock time of one assessment, by its outcome.",
            ["outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = Counter(
            "edge_sacro_stage_seconds",
            "Wall-clock time spent in each stage of the assessments.",
            ["stage"],
            registry=self.registry,
        )
        self._requests = Counter(
            "edge_sacro_http_requests",
            "Requests over HTTP, by route and status.",
            ["route", "status"],
            registry=self.registry,
        )

    def observe(self, outcome: str, timings_ms: Mapping[str, float]) -> None:
        """Count one assessment.

        Args:
            outcome: the result's state.
            timings_ms: as the report has them: milliseconds by stage, and ``total``.
        """
        stages = {name: each for name, each in timings_ms.items() if name != _TOTAL}
        self._assessments.labels(outcome).observe(timings_ms.get(_TOTAL, sum(stages.values())) / 1000)
        for name, milliseconds in stages.items():
            self._stages.labels(name).inc(milliseconds / 1000)

    def request(self, route: str, status: int) -> None:
        """Count one request by its route's template, never by its path."""
        self._requests.labels(route, str(status)).inc()

    def text(self) -> bytes:
        """Everything that is registered, as Prometheus reads it."""
        return generate_latest(self.registry)


class QueueCollector(Collector):
    """What the queue and the disk say at the moment of a scrape."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._config, self._store, self._spool = services.config, services.store, services.spool

    def collect(self) -> Iterable[Metric]:
        """One family after another; the queue's are left out where it cannot be read, and ``up`` says so."""
        yield self._build()
        try:
            families = list(self._queue())
        except (EdgeSacroError, OSError):
            families = []
        yield from families
        yield GaugeMetricFamily("edge_sacro_storage_up", "Whether queue and disk can be read.", float(bool(families)))

    def _build(self) -> Metric:
        info = {"version": __version__}
        assessing = self._services.assessing()
        if assessing is not None:
            bundle = assessing.bundle
            info |= {
                "bundle": bundle.name,
                "bundle_version": bundle.version,
                "demonstration": str(bundle.demonstration).lower(),
            }
        return InfoMetricFamily("edge_sacro_build", "Software and bundle.", info)

    def _queue(self) -> Iterable[Metric]:
        counts = self._store.counts()
        yield CounterMetricFamily(
            "edge_sacro_instances_received", "Instances received since the queue began.", sum(counts.values())
        )
        states = GaugeMetricFamily("edge_sacro_instances", "Instances by state.", labels=["state"])
        for state, number in counts.items():
            states.add_metric([state], number)
        yield states
        yield GaugeMetricFamily(
            "edge_sacro_queue_waiting", "Instances that have not come to an end.", self._store.waiting()
        )
        yield GaugeMetricFamily(
            "edge_sacro_queue_limit", "Waiting instances beyond which none is received.", self._config.limits.queue
        )
        outstanding = GaugeMetricFamily(
            "edge_sacro_deliveries_outstanding", "Objects that a destination has yet to take.", labels=["destination"]
        )
        for each in self._config.destinations:
            outstanding.add_metric([each.name], len(self._store.outstanding(each.name)))
        yield outstanding
        yield GaugeMetricFamily("edge_sacro_disk_free_bytes", "Free space on the node's disk.", self._spool.free())
        yield GaugeMetricFamily(
            "edge_sacro_disk_reserve_bytes", "Free space below which nothing is received.", self._spool.reserve
        )
