"""Reads Prometheus' text format as strictly as `promtool check metrics` does, and adds the house's rules."""

from __future__ import annotations

import re

_SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+-]+)')
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')
_ENDS = ("_bucket", "_sum", "_count")
_NO_BASE_UNITS = ("_ms", "_milliseconds", "_minutes", "_kilobytes", "_mb", "_percent")


def parsed(text: str) -> dict[str, float]:
    """Each series with its value: once, below its one HELP and TYPE, all of a name together, by the conventions."""
    values: dict[str, float] = {}
    kinds: dict[str, str] = {}
    name = ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, said = line.removeprefix("# HELP ").split(" ", 1)
            assert name not in kinds, line
            assert said, line
        elif line.startswith("# TYPE "):
            told, kind = line.removeprefix("# TYPE ").split(" ")
            assert told == name, line
            assert (kind == "counter") == name.endswith("_total"), line
            assert kind != "histogram" or not name.endswith(_ENDS), line
            assert not name.removesuffix("_total").endswith(_NO_BASE_UNITS), line
            kinds[name] = kind
        else:
            found = _SAMPLE.fullmatch(line)
            assert found is not None, line
            base = name
            if kinds[name] == "histogram":
                assert found[1] in {name + end for end in _ENDS}, line
                base = found[1]
            assert found[1] == base, line
            labels = [one[0] for one in _LABEL.findall(found[2] or "")]
            assert len(labels) == len(set(labels)), line
            series = line.rpartition(" ")[0]
            assert series not in values, line
            values[series] = float(found[3])
    _check_histograms(values, [one for one, kind in kinds.items() if kind == "histogram"])
    return values


def _check_histograms(values: dict[str, float], names: list[str]) -> None:
    for name in names:
        so_far: dict[str, float] = {}
        for series, value in values.items():
            if series.startswith(f"{name}_bucket{{"):
                rest, _, end = series.rpartition('le="')
                assert value >= so_far.get(rest, 0.0), series
                so_far[rest] = value
                if end == '+Inf"}':
                    labels = rest.partition("{")[2].rstrip(",")
                    assert values[f"{name}_count" + (f"{{{labels}}}" if labels else "")] == value, series
        assert so_far, name
