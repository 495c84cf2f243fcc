"""One row of the table, the table, and what became of rows since they were measured last."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = Path(__file__).with_name("results.json")

NOTABLE: Final = 1.15
"""A ratio that is so many times what it was, or the other way round, is said: less is the noise of two runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measurement. `goal` is a ceiling on a quiet machine with two cores, in the same unit."""

    name: str
    unit: str
    ours: float
    bare: float | None = None
    """Of the baseline in the same run; None: there is nothing to compare with."""

    goal: float
    paired: float | None = None
    """The median of the ratios of pairs, each measured in one moment; None: there was one of each."""

    @property
    def ratio(self) -> float | None:
        return self.paired or (self.ours / self.bare if self.bare else None)


def in_pairs(*, name: str, unit: str, goal: float, bare: Sequence[float], ours: Sequence[float]) -> Result:
    """Medians, and that of the ratios: a moment in which the machine is busy is in both sides of one."""
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    return Result(
        name=name, unit=unit, goal=goal, bare=statistics.median(bare), ours=statistics.median(ours), paired=ratio
    )


def table(results: Sequence[Result]) -> str:
    width = max((len(one.name) for one in results), default=0)
    lines = [f"{'':{width}}  {'ours':>9}  {'bare':>9}  {'ratio':>6}  {'goal':>9}"]
    for one in results:
        verdict = "" if one.ours <= one.goal else "  missed"
        bare = _value(one.bare, one.unit) if one.bare is not None else ""
        ratio = f"{one.ratio:.2f}x" if one.ratio is not None else ""
        lines.append(
            f"{one.name:{width}}  {_value(one.ours, one.unit):>9}  {bare:>9}  {ratio:>6}  "
            f"{f'{one.goal:g} {one.unit}':>9}{verdict}"
        )
    return "\n".join(lines)


def _value(value: float, unit: str) -> str:
    digits = 3 if unit == "s" or (unit == "ms" and value < 1) else 0 if unit in {"MB", ""} else 1
    return f"{value:.{digits}f} {unit}".rstrip()


def changes(before: Sequence[Result], after: Sequence[Result]) -> list[str]:
    """What became of rows that both have, as sentences; of those alone that have a ratio.

    Two runs are held against each other by their ratios: the machine, and what else it did, is in both sides of one.
    """
    known = {one.name: one.ratio for one in before}
    said = []
    for one in after:
        was, now = known.get(one.name), one.ratio
        if not was or not now:
            continue
        word = "slower" if now > was * NOTABLE else "faster" if now * NOTABLE < was else ""
        if word:
            said.append(f"{word}: {one.name}: {now:.2f}x, it was {was:.2f}x")
    return said


def read(text: str) -> list[Result]:
    """What `write` wrote; nothing of a text that is something else."""
    try:
        return [Result(**{name: row[name] for name in Result.__slots__ if name in row}) for row in json.loads(text)]
    except (ValueError, TypeError, LookupError):
        return []


def written(results: Sequence[Result]) -> str:
    """As JSON, a row a line, so that a commit shows which rows moved."""
    rows = [json.dumps({**asdict(one), "ratio": one.ratio and round(one.ratio, 3)}) for one in results]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def merged(old: Sequence[Result], new: Sequence[Result]) -> list[Result]:
    """New rows in the place of old ones of their name, and those that were not measured this time as they were."""
    fresh = {one.name: one for one in new}
    return [fresh.pop(one.name, one) for one in old] + list(fresh.values())


def committed(file: Path = RESULTS) -> list[Result]:
    """The results in the last commit; nothing where there are none."""
    where = f"HEAD:./{file.name}"
    shown = subprocess.run(["git", "show", where], cwd=file.parent, capture_output=True, text=True, check=False)
    return read(shown.stdout)
