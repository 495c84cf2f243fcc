"""Questions and the machine's clock: nobody loses his time to answer because somebody has set it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from worker_core.policy import questions
from worker_core.policy.questions import ApprovalBook, Asked, NoSuchApproval
from worker_core.snapshot import QuestionPart

DAY = timedelta(days=1)


class Machine:
    """Its clock, and how long it has run."""

    def __init__(self) -> None:
        self.wall, self.passed = datetime.now(UTC), 0.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(questions, "_now", lambda: made.wall)
    monkeypatch.setattr(questions, "steady", lambda: made.passed)
    return made


def asked_at(now: datetime) -> Asked:
    return Asked(
        id="1a2b3c4d", execution_id="e1", call_id="c1", workflow_id="w1", queue_id="q1", tool="shell", digest="d1",
        parts=(QuestionPart(name="command", text="make"),), asked_at=now, expires_at=now + timedelta(hours=1),
    )  # fmt: skip


@pytest.mark.parametrize("ahead", [-20_000 * DAY, -DAY, DAY, 36_500 * DAY])
def test_a_question_can_be_answered_whatever_the_clock_says(tmp_path: Path, machine: Machine, ahead: timedelta) -> None:
    book = ApprovalBook(tmp_path)
    book.ask(asked_at(machine.wall))
    machine.wall += ahead
    machine.passed += 600
    assert [view.id for view in book.views()] == ["1a2b3c4d"]
    assert book.answer("1a2b", allow=True, scope="once", by="me").answer == "allow"


def test_its_time_is_over_by_both_clocks(tmp_path: Path, machine: Machine) -> None:
    book = ApprovalBook(tmp_path)
    book.ask(asked_at(machine.wall))
    machine.wall += timedelta(hours=1)
    machine.passed += 3600
    assert book.views() == ()
    with pytest.raises(NoSuchApproval):
        book.answer("1a2b", allow=True, scope="once", by="me")


def test_a_worker_that_starts_while_the_clock_lies_ahead_forgets_no_question(tmp_path: Path, machine: Machine) -> None:
    asked = asked_at(machine.wall)
    ApprovalBook(tmp_path).ask(asked)
    machine.wall += 400 * DAY
    book = ApprovalBook(tmp_path)
    book.sweep(asked.asked_at)  # what the control plane's clock says
    machine.wall = asked.asked_at
    assert [view.id for view in book.views()] == ["1a2b3c4d"]


def test_what_nobody_was_told_about_goes_two_days_later(tmp_path: Path, machine: Machine) -> None:
    asked = asked_at(machine.wall)
    answered = msgspec.structs.replace(asked, id="5e6f7a8b", call_id="c2", answer="allow")
    book = ApprovalBook(tmp_path)
    for one in (asked, answered):
        book.ask(one)
    book.sweep(asked.expires_at + 2 * DAY)
    assert len(book.of_execution("e1")) == 2
    book.sweep(asked.expires_at + 2 * DAY + timedelta(seconds=1))
    assert [one.id for one in book.of_execution("e1")] == ["5e6f7a8b"]
    assert [file.name for file in tmp_path.glob("*/*.json")] == ["5e6f7a8b.json"]
