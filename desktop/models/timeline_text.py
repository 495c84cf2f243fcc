"""What a span of a timeline says, to the eye and to a screen reader. No Qt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from desktop.look.language import day_text, number_text, tr
from desktop.look.wording import count_text, duration_text
from desktop.models.timeline import LaneName, TimelineSpan


def lane_text(lane: LaneName) -> str:
    return {
        "model": tr("Model"),
        "tool": tr("Tools"),
        "wait": tr("Waits for you"),
        "retry": tr("Retries"),
        "remark": tr("Remarks"),
    }[lane]


def clock_text(at: float, *, step: float = 1.0, with_day: bool = False) -> str:
    """A moment in local time, as exact as steps of so many seconds need."""
    local = datetime.fromtimestamp(at, UTC).astimezone()
    if step >= 60:
        said = f"{local:%H:%M}"
    elif step >= 1:
        said = f"{local:%H:%M:%S}"
    else:
        places = 1 if step >= 0.1 else 2
        said = f"{local:%H:%M}:{number_text(local.second + local.microsecond / 1e6, places=places).zfill(places + 3)}"
    return f"{day_text(local)} {said}" if with_day else said


def length_text(span: TimelineSpan, now: float) -> str:
    """How long it took, or takes so far. Empty: it is a moment."""
    if span.is_moment:
        return ""
    length = duration_text(span.until(now) - span.begin)
    return tr("{length} so far", length=length) if span.end is None else length


def read_text(span: TimelineSpan) -> str:
    """The tokens that went in, as the gateway counted them; empty where it did not."""
    read = count_text(span.tokens_in) if span.tokens_in else ""
    return tr("{n} ({cached} cached)", n=read, cached=count_text(span.tokens_cached)) if span.tokens_cached else read


def tokens_text(span: TimelineSpan) -> str:
    """Both ways."""
    if not span.tokens_in and not span.tokens_out:
        return ""
    return tr("{read} tokens in, {written} out", read=read_text(span) or "0", written=count_text(span.tokens_out))


def cost_text(span: TimelineSpan) -> str:
    """Empty where it is not known."""
    if span.cost_dollars <= 0:
        return ""
    places = 2 if span.cost_dollars >= 0.1 else 4
    return tr("${amount}", amount=number_text(span.cost_dollars, places=places))


def begun_text(span: TimelineSpan, now: float) -> str:
    """The time of day, with the day where that is another than today's."""
    today, then = (datetime.fromtimestamp(at, UTC).astimezone().date() for at in (now, span.begin))
    return clock_text(span.begin, with_day=today != then)


def _facts(span: TimelineSpan, now: float) -> tuple[str, str]:
    """When, how long and how it ended; what it used."""
    when = (begun_text(span, now), length_text(span, now), span.outcome)
    used = (tokens_text(span), cost_text(span))
    return _joined(when), _joined(used)


def _joined(parts: Iterable[str]) -> str:
    return "  ·  ".join(part for part in parts if part)


def span_lines(span: TimelineSpan, now: float) -> tuple[str, ...]:
    """For a tooltip."""
    return tuple(line for line in (span.name, span.about, *_facts(span, now)) if line)


def span_text(span: TimelineSpan, now: float) -> str:
    """The same on one line, what is long at its end."""
    return _joined((span.name, *_facts(span, now), span.about))
