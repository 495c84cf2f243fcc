"""What ran before the program began stands in the window again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import call

from pytestqt.qtbot import QtBot

from desktop.models.execution_list import ExecutionListModel
from desktop.widgets.lists import RowList
from desktop.windows.past_executions import AGAIN_AFTER_SECONDS, PastExecutions
from tests.desktop.windows.stand_ins import a_desk, a_worker, busy, shown_window
from tests.support.finding import named, reads
from worker_core.control_plane.models import ExecutionRecord
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot

OLD = ExecutionRecord(
    id="old", status="completed", entity_name="SRE", prompt="Why was it slow?", created_at="2025-12-01"
)
WAITS = ExecutionRecord(id="waits", status="waiting_for_input", prompt="Look after it", created_at="2025-12-02")


def test_after_a_restart_the_window_has_what_ran_before(qtbot: QtBot, tmp_path: Path) -> None:
    worker = a_worker(EngineSnapshot())
    worker.queue_executions.return_value = {"q": [OLD, WAITS]}
    window = shown_window(qtbot, tmp_path, worker=worker)
    overview = window.page_named("overview")
    assert reads(overview, "Nothing has run yet")
    worker.queue_executions.assert_not_called()
    window.take(busy())
    worker.queue_executions.assert_called_once_with(("q", "p"), limit=50)
    assert not reads(overview, "Nothing has run yet")
    rows = named(overview, "Recent executions", RowList).model()
    assert isinstance(rows, ExecutionListModel)
    texts = [str(rows.index(row).data()) for row in range(rows.rowCount())]
    assert texts[1:] == ["Look after it, Waiting for you", "Why was it slow?, Done"]
    worker.get_execution.assert_called_once_with("e")  # a row of the list needs no question of its own
    window.show_page("executions", "waits")
    assert worker.load_session.call_args_list == [call("waits")], "what is opened, and no other"


class Stand:
    """A history on a desk of stand-ins, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.now, self.seen = 0.0, True
        self.desk = a_desk(folder)
        self.past = PastExecutions(self.desk, is_seen=lambda: self.seen, monotonic=lambda: self.now)

    @property
    def asked(self) -> Any:
        return self.desk.worker.queue_executions

    def take(self, *, after: float = 0.0) -> int:
        """How often it has asked when this snapshot was taken, so many seconds later."""
        self.now += after
        self.past.take(busy())
        return self.asked.call_count


def test_it_asks_again_only_while_something_may_have_changed(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.asked.return_value = {"q": [OLD, WAITS]}
    stand.seen = False
    assert stand.take() == 0, "nobody looks"
    stand.seen = True
    assert stand.take() == 1
    assert stand.take(after=AGAIN_AFTER_SECONDS / 2) == 1
    assert stand.take(after=AGAIN_AFTER_SECONDS) == 2, "one of them goes on elsewhere"
    stand.asked.return_value = {"q": [OLD, ExecutionRecord(id="waits", status="completed")]}
    assert stand.take(after=AGAIN_AFTER_SECONDS) == 3
    assert stand.take(after=AGAIN_AFTER_SECONDS * 9) == 3, "all are over"


def test_a_control_plane_that_does_not_answer_is_asked_later_and_once_at_a_time(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.asked.side_effect = KubiyaError("It does not answer.")
    said: list[str] = []
    stand.desk.background.failed.connect(said.append)
    assert stand.take() == 1
    assert stand.take(after=1) == 1
    stand.asked.side_effect = None
    stand.asked.return_value = {"q": [OLD]}
    assert stand.take(after=AGAIN_AFTER_SECONDS) == 2
    assert stand.desk.executions.get("old") is not None
    assert said == [], "a list that did not come is no reason for a banner"


def test_it_waits_for_its_answer(tmp_path: Path) -> None:
    async def live() -> None:
        begun: list[Any] = []
        desk = a_desk(tmp_path, background=type("Later", (), {"ask": lambda _, work, **__: begun.append(work)})())
        past = PastExecutions(desk, is_seen=lambda: True, monotonic=lambda: len(begun) * 1_000.0)
        for _ in range(3):
            past.take(busy())
        assert len(begun) == 1
        await begun[0]
        assert desk.worker.queue_executions.mock_calls == [call(("q", "p"), limit=50)]  # type: ignore[attr-defined]

    asyncio.run(live())
