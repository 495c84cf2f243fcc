"""An execution as spans of time: model calls, tool calls, waits for a person, waits before another try, remarks.

Made of what was seen alone. What was seen to happen, but not how long it took, is a moment. No Qt.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from desktop.look.language import tr
from desktop.look.tokens import Tone
from desktop.look.wording import status_text
from desktop.models.conversation_items import Approval, Message, Notice, ToolCall, moment_of
from desktop.models.executions import Execution
from worker_core.basics.quick_dataclass import dataclass
from worker_core.events import ModelCalled

LaneName = Literal["model", "tool", "wait", "retry", "remark"]

LANES: Final[tuple[LaneName, ...]] = ("model", "tool", "wait", "retry", "remark")
"""From the top to the bottom."""

SpanState = Literal["running", "done", "failed", "denied", "unknown", "expired", "info", "warning"]

_TONES: Final[dict[SpanState, Tone]] = {
    "failed": "danger", "denied": "neutral", "unknown": "warning", "expired": "neutral", "info": "neutral",
    "warning": "warning",
}  # fmt: skip

_LANE_TONES: Final[dict[LaneName, Tone]] = {
    "model": "accent", "tool": "success", "wait": "warning", "retry": "neutral", "remark": "neutral",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSpan:
    """One thing that took time. Times are seconds since 1970."""

    lane: LaneName
    name: str
    about: str = ""
    """What it was about, on one line, such as a tool's command."""

    begin: float
    end: float | None
    """None: it still runs. As `begin`: a moment."""

    state: SpanState = "done"
    outcome: str = ""
    """Its state in words that are more exact."""

    key: str = ""
    """Of the item of the conversation that it leads to; empty: there is none."""

    tokens_in: int = 0
    tokens_cached: int = 0
    """Of those that went in."""

    tokens_out: int = 0
    cost_dollars: float = 0.0
    """0: not known, or it cost nothing."""

    @property
    def is_moment(self) -> bool:
        return self.end == self.begin

    @property
    def tone(self) -> Tone:
        return _TONES.get(self.state, _LANE_TONES[self.lane])

    def until(self, now: float) -> float:
        """Its end; of what runs, `now`."""
        return max(self.begin, now if self.end is None else self.end)


def timeline_of(one: Execution) -> tuple[TimelineSpan, ...]:
    """All spans of an execution, by their beginning. What nothing is known of but that it was is left out."""
    over = None if one.is_live else (one.ended_at.timestamp() if one.ended_at else 0.0)
    seen = [*_items(one, over), *_rests(one, over)]
    calls = _model_calls(one)
    retries = _retries(calls, sorted(span.begin for span in seen if span.lane != "remark"))
    found = [*calls, *seen, *retries]
    return tuple(sorted(_linked(found, one), key=lambda span: (span.begin, LANES.index(span.lane))))


def busy_times(spans: Iterable[TimelineSpan], now: float) -> list[tuple[float, float]]:
    """When something worked, in order and without overlaps: waits for a person are none of it but their ends."""
    busy: list[tuple[float, float]] = []
    for span in spans:
        until = span.until(now)
        busy += [(span.begin, span.begin), (until, until)] if span.lane == "wait" else [(span.begin, until)]
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(busy):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def seconds_in(spans: Iterable[TimelineSpan], now: float) -> float:
    """How long at least one of them lasted."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted((span.begin, span.until(now)) for span in spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


# -- below --------------------------------------------------------------------------------------------------------


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _items(one: Execution, over: float | None) -> list[TimelineSpan]:
    """What the conversation tells. `over`: when the execution ended, 0 where that is not known; None: it has not."""
    made = []
    for item in one.conversation.items:
        span = None
        match item:
            case ToolCall():
                span = _tool(item, over)
            case Approval():
                span = _approval(item, over)
            case Notice(severity=severity) if item.at is not None:
                at = item.at.timestamp()
                state: SpanState = "failed" if severity == "danger" else severity
                span = TimelineSpan(
                    lane="remark", name=tr("Remark"), about=_line(item.text), begin=at, end=at, state=state
                )
        if span is not None:
            made.append(replace(span, key=item.key))
    return made


def _tool(call: ToolCall, over: float | None) -> TimelineSpan | None:
    begin, end = _stamp(call.started_at), _stamp(call.ended_at)
    took = call.duration_seconds
    if begin is None and end is not None and took is not None:
        begin = end - took
    if begin is None:
        return None
    state: SpanState
    if call.succeeded is None:
        state, end = ("running", None) if over is None else ("unknown", max(begin, over))
    elif call.succeeded:
        state = "done"
    else:
        state = call.failure or "failed"
    if call.succeeded is not None and end is None:
        end = begin if took is None else begin + took
    outcome = {
        "running": tr("Running"), "done": tr("Done"), "failed": tr("Failed"), "denied": tr("Denied"),
        "unknown": tr("Outcome unknown"),
    }[state]  # fmt: skip
    name = f"{call.member} · {call.name}" if call.member else call.name
    return TimelineSpan(
        lane="tool", name=name, about=_line(call.summary), begin=begin, end=end, state=state, outcome=outcome
    )


def _approval(asked: Approval, over: float | None) -> TimelineSpan | None:
    if (begin := _stamp(asked.asked_at)) is None:
        return None
    name = tr("A budget is used up") if asked.about_budget else tr("Question about {tool}", tool=asked.tool)
    if asked.answer:
        end = _stamp(asked.answered_at)
        outcome = {"allowed": tr("Allowed"), "expired": tr("Expired")}.get(asked.answer, tr("Denied"))
        states: dict[str, SpanState] = {"allowed": "done", "expired": "expired"}
        state, end = states.get(asked.answer, "denied"), begin if end is None else max(begin, end)
    elif over is None and not asked.adrift:
        state, end, outcome = "running", None, tr("Waits for you")
    else:
        state, end, outcome = "expired", max(begin, over or 0.0), tr("Not answered")
    return TimelineSpan(
        lane="wait", name=name, about=_line(asked.summary), begin=begin, end=end, state=state, outcome=outcome
    )


def _rests(one: Execution, over: float | None) -> Iterator[TimelineSpan]:
    for rest in one.course.rest:
        if rest.status == "waiting_for_approval":  # its question says more
            continue
        begin, until = rest.since.timestamp(), _stamp(rest.until)
        if until is None and over is not None:
            until = max(begin, over)
        yield TimelineSpan(
            lane="wait",
            name=status_text(rest.status),
            begin=begin,
            end=until,
            state="running" if until is None else "done",
        )


def _model_calls(one: Execution) -> list[TimelineSpan]:
    made, tries = [], 0
    for call in one.course.model_calls:
        tries += 1
        made.append(_model_call(call, tries))
        tries = 0 if call.succeeded else tries
    if one.course.asks_since is not None and one.is_live:
        begin = one.course.asks_since.timestamp()
        made.append(
            TimelineSpan(
                lane="model", name=tr("Model call"), begin=begin, end=None, state="running", outcome=tr("Running")
            )
        )
    return made


def _model_call(call: ModelCalled, tries: int) -> TimelineSpan:
    end = call.at.timestamp()
    return TimelineSpan(
        lane="model",
        name=tr("Model call") if tries == 1 else tr("Model call, try {n}", n=tries),
        begin=end - max(0.0, call.duration_seconds),
        end=end,
        state="done" if call.succeeded else "failed",
        outcome=tr("Done") if call.succeeded else tr("Failed"),
        tokens_in=call.prompt_tokens,
        tokens_cached=call.cached_tokens,
        tokens_out=call.completion_tokens,
        cost_dollars=call.cost_dollars,
    )


def _retries(calls: Sequence[TimelineSpan], others: Sequence[float]) -> Iterator[TimelineSpan]:
    """Between a call that failed and the next one, where nothing else was begun meanwhile.

    Several at a time are members of a team: who tries again then, nobody can tell.
    """
    reached = float("-inf")
    for before, after in itertools.pairwise(sorted(calls, key=lambda span: span.begin)):
        end = before.end
        alone, reached = end is not None and reached <= end, max(reached, end or reached)
        if before.state != "failed" or end is None or not alone or after.begin <= end:
            continue
        if bisect.bisect_left(others, end) == bisect.bisect_right(others, after.begin):
            yield TimelineSpan(
                lane="retry", name=tr("Wait before another try"), begin=end, end=after.begin, key=before.key
            )


def _linked(spans: Iterable[TimelineSpan], one: Execution) -> Iterator[TimelineSpan]:
    """Each with the item that it leads to: of a model call what it said, else what came of it; of what has none of its
    own, what was there before it.
    """
    timed = sorted(
        (at.timestamp(), item.key, isinstance(item, Message) and item.role != "user")
        for item in one.conversation.items
        if (at := moment_of(item)) is not None
    )
    times = [at for at, _, _ in timed]
    for span in spans:
        if span.key or not timed:
            yield span
            continue
        first = bisect.bisect_left(times, span.begin)
        place = max(0, first - 1)
        if span.lane == "model":
            last = len(times) if span.end is None else bisect.bisect_right(times, span.end)
            said = next((number for number in range(first, last) if timed[number][2]), None)
            place = said if said is not None else min(last, len(times) - 1)
        yield replace(span, key=timed[place][1])


def _line(text: str) -> str:
    return " ".join(text[:300].split())[:200]
