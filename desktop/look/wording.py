"""How times, sizes, states and numbers are said. Pure functions over `tr`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from desktop.look.language import byte_sign, day_text, number_text, retold, tr
from desktop.look.tokens import Tone
from worker_core.basics.sentences import Worded, again, without, worded
from worker_core.basics.sizes import size
from worker_core.errors import ExitCode
from worker_core.snapshot import BudgetView, EngineSnapshot, EngineState, QueueView

TOOLTIP_LIMIT = 1_000

TEXT_LIMIT = 120
"""Characters of a sentence that a tooltip or a menu shows; Windows cuts tooltips at 127."""


def is_key_refused(snapshot: EngineSnapshot) -> bool:
    """Whether the worker failed because the control plane does not take its API key."""
    return snapshot.state is EngineState.FAILED and snapshot.exit_code == ExitCode.CREDENTIALS_REFUSED


def lacks_settings(snapshot: EngineSnapshot) -> bool:
    """Whether the worker failed because something is not set: a key, a queue, or a setting that is not valid."""
    return snapshot.state is EngineState.FAILED and snapshot.exit_code == ExitCode.NOT_CONFIGURED


def queue_reason(queue: QueueView) -> str:
    """What keeps it from being served, or that it is. Not what repairs it in a terminal."""
    if queue.trouble is not None:
        return retold(queue.trouble.sentence, queue.trouble.said)
    return retold(without(again(queue.reason, queue.said), queue.repair))


def status_text(status: str) -> str:
    """An execution's status for people; a status we do not know as it is."""
    return {
        "pending": tr("Pending"),
        "running": tr("Running"),
        "waiting_for_input": tr("Waiting for you"),
        "waiting_for_approval": tr("Asks you"),
        "paused": tr("Paused"),
        "completed": tr("Done"),
        "failed": tr("Failed"),
        "cancelled": tr("Cancelled"),
        "interrupted": tr("Interrupted"),
    }.get(status, status.replace("_", " ").capitalize())


def status_tone(status: str) -> Tone:
    tones: dict[str, Tone] = {
        "running": "accent",
        "waiting_for_input": "warning",
        "waiting_for_approval": "warning",
        "paused": "warning",
        "completed": "success",
        "failed": "danger",
    }
    return tones.get(status, "neutral")


def step_text(step: str) -> str:
    """What an execution does just now: several things with commas between them; what we do not know as it is."""
    return ", ".join(map(_one_step, step.split(", "))) if step else ""


def _one_step(step: str) -> str:
    kind, _, name = step.partition(" ")
    if step == "model":
        return tr("model is thinking")
    return tr("tool {name}", name=name) if kind == "tool" and name else step


def budget_text(view: BudgetView) -> str:
    """`this turn: 1 200 of 2 000 tokens`."""
    where = {
        "turn": tr("this turn"), "execution": tr("this execution"), "agent": tr("this agent today"), "day": tr("today"),
    }[view.scope]  # fmt: skip
    match view.kind:
        case "cost":
            spent, limit = (tr("${amount}", amount=number_text(one, places=2)) for one in (view.spent, view.limit))
        case "wall_time":
            spent, limit = duration_text(view.spent), duration_text(view.limit)
        case _:
            n = count_text(round(view.limit))
            spent = count_text(round(view.spent))
            limit = {
                "tokens": tr("{n} tokens", n=n),
                "model_calls": tr("{n} model calls", n=n),
                "tool_calls": tr("{n} tool calls", n=n),
            }[view.kind]
    said = tr("{where}: {spent} of {limit}", where=where, spent=spent, limit=limit)
    return f"{said} ({tr('some prices are unknown')})" if view.unknown else said


def duration_text(span: timedelta | float | None) -> str:
    """`840 ms`, `3.2 s`, `1 min 12 s`, `2 h 5 min`; a dash for what is not known."""
    if span is None:
        return "–"
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds < 1:
        return tr("{n} ms", n=round(seconds * 1000)) if seconds else tr("0 s")
    if seconds < 10:
        return tr("{n} s", n=number_text(seconds, places=1))
    whole = round(seconds)
    if whole < 60:
        return tr("{n} s", n=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return tr("{m} min {s} s", m=minutes, s=rest) if rest else tr("{m} min", m=minutes)
    hours, minutes = divmod(minutes, 60)
    return tr("{h} h {m} min", h=hours, m=minutes) if hours < 48 else tr("{d} days", d=hours // 24)


def when_text(at: datetime | None, now: datetime | None = None) -> str:
    """`14:02`, `yesterday 14:02`, `2026-11-28 14:02`: it stays true however long somebody looks at it."""
    if at is None:
        return ""
    local, today = at.astimezone(), (now or datetime.now(UTC)).astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.date() == (today - timedelta(days=1)).date():
        return tr("yesterday {time}", time=f"{local:%H:%M}")
    return moment_text(local)


def clock_text(at: datetime) -> str:
    """A time of day, in local time: `14:02`."""
    return f"{at.astimezone():%H:%M}"


def moment_text(at: datetime) -> str:
    """A day and a time of day, in local time: `2026-11-28 14:02`."""
    local = at.astimezone()
    return f"{day_text(local)} {local:%H:%M}"


def size_text(size_bytes: float) -> str:
    """`512 B`, `4.2 MB`: as everywhere, also in the terminal, but for the language's own signs."""
    amount, unit = size(size_bytes).split(" ")
    places = len(amount.partition(".")[2])
    return f"{number_text(float(amount), places=places)} {unit.replace('B', byte_sign())}"


def milliseconds_text(milliseconds: float) -> str:
    """`1.4 ms`, `140 ms`."""
    return tr("{n} ms", n=number_text(milliseconds, places=1 if milliseconds < 10 else 0))


def rate_text(per_second: float) -> str:
    """A rate of tasks: per minute where it is slow."""
    if per_second and per_second < 0.5:
        return tr("{n}/min", n=number_text(per_second * 60, places=1))
    return tr("{n}/s", n=number_text(per_second, places=1))


def count_text(count: int) -> str:
    """`950`, `12.4k`, `3.1M`."""
    if count < 1_000:
        return str(count)
    if count < 1_000_000:
        return f"{number_text(count / 1_000, places=1)}k"
    return f"{number_text(count / 1_000_000, places=1)}M"


def tooltip_text(text: str) -> str:
    """A tooltip that is never taken for HTML, with which Qt would read files that the text names."""
    if "<" not in text and "&" not in text:
        return text[:TOOLTIP_LIMIT]
    escaped = text[:TOOLTIP_LIMIT].replace("&", "&amp;").replace("<", "&lt;")
    return f'<span style="white-space: pre-wrap">{escaped}</span>'


def short(text: str, limit: int = TEXT_LIMIT) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def moment(when: datetime, now: datetime) -> str:
    """A time of day in local time, with the day where it is not today's."""
    local, today = when.astimezone(), now.astimezone().date()
    clock = local.strftime("%H:%M")
    if local.date() == today:
        return clock
    if local.date() == today + timedelta(days=1):
        return tr("tomorrow {time}", time=clock)
    return moment_text(local)


def pause_reason(until: datetime | None, now: datetime) -> Worded:
    """The sentence of a pause that its user chose, from the tray or from the window. It is the worker's from then on:
    English, which each window says in its language.
    """
    if until is None:
        return worded("Paused by you.")
    local = until.astimezone()
    time = f"{local:%H:%M}"
    match (local.date() - now.astimezone().date()).days:
        case 0:
            return worded("Paused by you until {time}.", time=time)
        case 1:
            return worded("Paused by you until {time}.", time=worded("tomorrow {time}", time=time))
        case _:
            return worded("Paused by you until {time}.", time=f"{local:%Y-%m-%d} {time}")


def tomorrow_morning(now: datetime) -> datetime:
    """Until when "until tomorrow" lasts: eight o'clock, local time, on the next day."""
    local = now.astimezone()
    morning = local.replace(hour=8, minute=0, second=0, microsecond=0)
    return (morning.replace(tzinfo=None) + timedelta(days=1)).astimezone()
