"""What a worker's summary is called in the terminal: one sentence, with what to do about it there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker_core.summary import Summary


def sentence(said: Summary, now: datetime) -> str:
    """Why it runs, waits or does not, and what comes next; `now` is aware."""
    from worker_core.summary import Standing

    if (trouble := said.trouble) is not None:
        if trouble.what == "temporal_silent":
            return f"Temporal does not answer since {trouble.since.astimezone():%H:%M}; trying again."
        if trouble.next_try_at is None:
            return trouble.sentence
        left = round((trouble.next_try_at - now).total_seconds())
        return f"{trouble.sentence} " + (f"Next try in {left} s." if left > 0 else "Trying now.")
    match said.standing:
        case Standing.QUESTIONS:
            count = "1 question waits" if said.questions == 1 else f"{said.questions} questions wait"
            return f"{count} for you: `kubiya-worker approvals`."
        case Standing.ASKS_ABOUT_SANDBOX:
            return f"It asks, where it runs, whether tools may run without a sandbox. {said.sentence}"
        case Standing.BUSY:
            running = "1 task runs" if said.running == 1 else f"{said.running} tasks run"
            return f"{running}, {said.waiting} wait." if said.waiting else f"{running}."
        case _:
            return said.sentence
