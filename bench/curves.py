"""Curves as drawings: one SVG that is light or dark as its reader's system is, which plotting libraries do not draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 64, 48
_COLOURS: Final = ("one", "two")

STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 15px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
path.one, circle.one { stroke: #0969da } .one { fill: #0969da }
path.two, circle.two { stroke: #bc4c00 } .two { fill: #bc4c00 }
.ground { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d } .ground { fill: #0d1117 }
  path.one, circle.one { stroke: #4493f8 } .one { fill: #4493f8 }
  path.two, circle.two { stroke: #f0883e } .two { fill: #f0883e }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of a drawing."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What grows with what. `across` is drawn logarithmically; upwards begins at 0."""

    name: str
    """Of the file."""

    title: str
    across: str
    up: str
    lines: tuple[Line, ...]
    bound: str
    """One sentence on what bounds it."""


def drawn(curve: Curve) -> str:
    """The SVG of one or two lines."""
    xs = sorted({x for line in curve.lines for x, _ in line.points})
    highest = _round_up(max(y for line in curve.lines for _, y in line.points))

    def place(x: float, y: float) -> tuple[float, float]:
        low, high = math.log10(xs[0]), math.log10(xs[-1])
        part = (math.log10(x) - low) / ((high - low) or 1)
        return _LEFT + part * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - y / highest * (HEIGHT - _TOP - _BOTTOM)

    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(curve.title, quote=True)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="title" x="16" y="26">{escape(curve.title)}</text>',
        f'<text x="16" y="48">{escape(curve.up)}</text>',
        f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{escape(curve.across)}</text>',
    ]
    for step in range(5):
        value = highest * step / 4
        _, y = place(xs[0], value)
        made.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        made.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for x in _apart(xs, place):
        at, _ = place(x, 0)
        made.append(f'<text x="{at:.1f}" y="{HEIGHT - 28}" text-anchor="middle">{_short(x)}</text>')
    for colour, line in zip(_COLOURS, curve.lines, strict=False):
        places = [place(x, y) for x, y in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        made.append(f'<path class="line {colour}" style="fill:none" d="M{path}"/>')
        made += [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    made += _legend(curve.lines)
    return "\n".join([*made, "</svg>", ""])


def _legend(lines: Sequence[Line]) -> list[str]:
    if len(lines) == 1:
        return []
    names = "".join(
        f'<tspan class="{colour}" dx="14">●</tspan> {escape(line.name)}'
        for colour, line in zip(_COLOURS, lines, strict=False)
    )
    return [f'<text x="{WIDTH - _RIGHT}" y="48" text-anchor="end">{names}</text>']


def _apart(xs: Sequence[float], place: Callable[[float, float], tuple[float, float]]) -> list[float]:
    """Those of the values that are written without touching each other."""
    kept: list[float] = []
    for x in xs:
        if not kept or place(x, 0)[0] - place(kept[-1], 0)[0] > 36:
            kept.append(x)
    return kept


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten: a quarter of it is a round number too."""
    if value <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)
