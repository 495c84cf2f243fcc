"""Times as people write them: `90`, `90 s`, `5 min`, `1 h 30 min`, `7 d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from worker_core.basics.sentences import worded

_UNITS: Final = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_PART: Final = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([a-z]+)\s*,?", re.ASCII)
_LONGEST_TEXT: Final = 100
_EXPLAIN: Final = worded("it must be seconds, or a time such as 30 s, 5 min, 2 h or 7 d")


def read_duration(value: object) -> timedelta:
    """A number counts as seconds; a text may name units, the same unit once.

    Raises:
        ValueError: it is no time; the message goes on from "X is Y; ".
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(_EXPLAIN)
    try:
        return timedelta(seconds=float(value))
    except ValueError:
        pass
    except OverflowError:
        raise ValueError(_EXPLAIN) from None
    return timedelta(seconds=_spelled(str(value)))


def _spelled(text: str) -> float:
    rest, total, seen = text.lower()[:_LONGEST_TEXT], 0.0, set[int]()
    while rest.strip():
        part = _PART.match(rest)
        size = _UNITS.get(part.group(2)) if part is not None else None
        if part is None or size is None or size in seen:
            raise ValueError(_EXPLAIN)
        seen.add(size)
        total += float(part.group(1)) * size
        rest = rest[part.end() :]
    if not seen or total > timedelta.max.total_seconds():
        raise ValueError(_EXPLAIN)
    return total


def duration_as_typed(span: timedelta) -> str:
    """As it would be typed: `5 min`, `1 h 30 min`, `7 d`, `0.5 s`. `read_duration` reads it back to the microsecond."""
    if span < timedelta(minutes=1) or span % timedelta(seconds=1):
        return f"{span.total_seconds():.6f}".rstrip("0").rstrip(".") + " s"
    left, parts = int(span.total_seconds()), list[str]()
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)
