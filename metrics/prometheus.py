"""The text that Prometheus reads: every metric over all processes, since the beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.core.figures import Figures
from metrics.core.names import METRICS
from metrics.core.sketch import Sketch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Gauge(Struct, frozen=True):
    """Something as it is now; ``values`` by the values of its labels."""

    name: str
    help: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()


def render(figures: Figures, gauges: Iterable[Gauge] = ()) -> bytes:
    """Counters and histograms of ``figures``, and what is measured now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_counters(figures), *_histograms(figures), *(_gauge(gauge) for gauge in gauges)]))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._families


def _counters(figures: Figures) -> Iterator[Metric]:
    families = {name: CounterMetricFamily(name, m.help, labels=m.labels) for name, m in METRICS.items() if m.kind == "counter"}
    for series, amount in figures.counters():
        families[series[0]].add_metric(list(series[1:]), amount)
    yield from families.values()


def _histograms(figures: Figures) -> Iterator[Metric]:
    families = {name: HistogramMetricFamily(name, m.help, labels=m.labels) for name, m in METRICS.items() if m.kind == "histogram"}
    for series, sketch in figures.sketches():
        families[series[0]].add_metric(list(series[1:]), _buckets(sketch), sketch.total)
    yield from families.values()


def _buckets(sketch: Sketch) -> list[tuple[str, float]]:
    return [*((str(bound), float(sketch.below(bound))) for bound in BOUNDS), ("+Inf", float(sketch.count))]


def _gauge(gauge: Gauge) -> Metric:
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
    for labels, value in gauge.values.items():
        family.add_metric(list(labels), value)
    return family
