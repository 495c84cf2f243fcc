"""Every metric of Temporal's SDK, kept as its updates add up. Names, units and help are the SDK's own."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal

from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BufferedMetric,
    BufferedMetricUpdate,
)

from worker_core.basics.quick_dataclass import dataclass

BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper ends of a histogram's buckets: seconds, for all that the SDK measures this way today."""

MOST_SERIES: Final = 5_000
"""Metrics times combinations of their attributes. What comes beyond is not kept."""

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Distribution:
    """Of values that were observed."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """How many were at most `BOUNDS[n]`, and above the bound before it; the last: above all."""

    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def observe(self, value: float) -> None:
        self.buckets[bisect_left(BOUNDS, value)] += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)


@dataclass(slots=True)
class Metric:
    """One metric, by its attributes."""

    name: str
    kind: Kind
    help: str
    unit: str
    values: dict[Labels, float] = field(default_factory=dict)
    distributions: dict[Labels, Distribution] = field(default_factory=dict)
    """Of a histogram."""


class SdkSeries:
    """Takes updates one by one. Not for several threads at once."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self._count = 0

    def take(self, update: BufferedMetricUpdate) -> None:
        metric = self._metric(update.metric)
        labels = _labels(update.attributes)
        if metric.kind == "histogram":
            if labels not in metric.distributions:
                if not self._has_room():
                    return
                metric.distributions[labels] = Distribution()
            metric.distributions[labels].observe(float(update.value))
            return
        if labels not in metric.values and not self._has_room():
            return
        before = metric.values.get(labels, 0.0) if metric.kind == "counter" else 0.0
        metric.values[labels] = before + float(update.value)

    def _has_room(self) -> bool:
        self._count += 1
        return self._count <= MOST_SERIES

    def _metric(self, told: BufferedMetric) -> Metric:
        if (known := self.metrics.get(told.name)) is None:
            kind: Kind = "histogram"
            if told.kind == BUFFERED_METRIC_KIND_COUNTER:
                kind = "counter"
            elif told.kind == BUFFERED_METRIC_KIND_GAUGE:
                kind = "gauge"
            known = Metric(name=told.name, kind=kind, help=told.description or "", unit=told.unit or "")
            self.metrics[told.name] = known
        return known


def _labels(attributes: Mapping[str, Any]) -> Labels:
    return tuple(sorted((name, str(value)) for name, value in attributes.items() if name != "service_name"))
