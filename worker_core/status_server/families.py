"""Metrics as they are told, whoever asks: families of samples, with Prometheus' names and units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.temporal.series import BOUNDS, Distribution, Kind, Labels, Metric

_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "bytes": "bytes"}


@dataclass(slots=True, kw_only=True)
class Family:
    """One metric with all its labels."""

    name: str
    help: str
    kind: Kind
    samples: dict[Labels, float | Distribution] = field(default_factory=dict)


def families(samples: Iterable[tuple[str, str, float | None, Mapping[str, str]]]) -> list[Family]:
    """Of ours, from name, help, value and labels. Counters end in `_total`; what is not known (None) is left out."""
    made: dict[str, Family] = {}
    for name, said, value, labels in samples:
        if value is not None:
            kind: Kind = "counter" if name.endswith("_total") else "gauge"
            family = made.setdefault(name, Family(name=name, help=said, kind=kind))
            family.samples[tuple(labels.items())] = value
    return list(made.values())


def of_the_sdk(metrics: Iterable[Metric]) -> list[Family]:
    """The SDK's, by Prometheus' conventions: the unit in the name, `_total` behind a counter."""
    made = []
    for one in metrics:
        unit = _UNITS.get(one.unit, "")
        name = one.name if not unit or one.name.endswith(unit) else f"{one.name}_{unit}"
        if one.kind == "counter" and not name.endswith("_total"):
            name += "_total"
        samples: dict[Labels, float | Distribution] = {**one.values, **one.distributions}
        made.append(Family(name=name, help=f"{one.help or one.name}.", kind=one.kind, samples=samples))
    return made


def prometheus_text(told: Iterable[Family]) -> str:
    """Prometheus' text format, version 0.0.4."""
    return "\n".join(_lines(told)) + "\n"


def _lines(told: Iterable[Family]) -> Iterator[str]:
    for family in told:
        said = family.help.replace("\\", "\\\\").replace("\n", "\\n")
        yield f"# HELP {family.name} {said}"
        yield f"# TYPE {family.name} {family.kind}"
        for labels, value in family.samples.items():
            if isinstance(value, Distribution):
                yield from _histogram(family.name, labels, value)
            else:
                yield f"{family.name}{_written(labels)} {value:.15g}"


def _histogram(name: str, labels: Labels, value: Distribution) -> Iterator[str]:
    so_far = 0
    for bound, count in zip((*BOUNDS, None), value.buckets, strict=True):
        so_far += count
        end = "+Inf" if bound is None else f"{bound:g}"
        yield f"{name}_bucket{_written((*labels, ('le', end)))} {so_far}"
    yield f"{name}_sum{_written(labels)} {value.total:.15g}"
    yield f"{name}_count{_written(labels)} {so_far}"


def _written(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
