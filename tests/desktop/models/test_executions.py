from __future__ import annotations

from datetime import UTC, datetime

from desktop.models.execution_list import ExecutionListModel, ExecutionRole
from desktop.models.executions import KEPT, ExecutionStore
from tests.support.questions import parts
from worker_core.control_plane.models import ExecutionRecord
from worker_core.events import ExecutionEventPublished, ExecutionFinished, ExecutionStarted, ExecutionWaiting
from worker_core.snapshot import ApprovalView, EngineSnapshot, ExecutionView, QueueView

AT = datetime(2026, 1, 1, tzinfo=UTC)


def said(execution_id: str, kind: str, **payload: object) -> ExecutionEventPublished:
    return ExecutionEventPublished(execution_id=execution_id, type=kind, payload=payload, sequence=1, at=AT)


def test_an_execution_from_its_start_to_its_end() -> None:
    store, heard = ExecutionStore(), []
    store.listen(lambda execution_id, item: heard.append((execution_id, item)))
    store.apply(
        [
            said("e", "metadata"),
            ExecutionStarted(execution_id="e", queue_id="q", turn=1, at=AT),
            said("e", "message", role="user", content="Find out   why", message_id="u"),
            said("e", "message_chunk", content="a", message_id="m"),
            said("e", "message_chunk", content="b", message_id="m", usage={"total_tokens": 7}),
        ]
    )
    one = store.get("e")
    assert one is not None
    assert (one.title, one.status, one.tokens, one.conversation.complete) == ("Find out why", "running", 7, True)
    assert len([item for _, item in heard if item is not None and item.key == "m"]) == 1, "pieces are told once"
    store.apply([ExecutionWaiting(execution_id="e", turn=1)])
    assert one.status == "waiting_for_input"
    store.apply([ExecutionFinished(execution_id="e", status="failed", error="No.", at=AT)])
    assert (one.status, one.error, one.is_live) == ("failed", "No.", False)


def test_snapshots_say_what_runs_and_in_which_queue() -> None:
    store = ExecutionStore()
    view = ExecutionView(execution_id="e", queue_id="q", turn=2, status="running", step="model", started_at=AT)
    store.take(EngineSnapshot(queues=(QueueView(queue_id="q", queue_name="platform"),), executions=(view,)))
    one = store.get("e")
    assert one is not None
    assert (one.queue, one.step, one.turn) == ("platform", "model", 2)
    heard: list[str] = []
    store.listen(lambda execution_id, item: heard.append(execution_id))
    store.take(EngineSnapshot(queues=(QueueView(queue_id="q", queue_name="platform"),), executions=(view,)))
    assert heard == [], "a snapshot that says nothing new is not told"


def test_the_longest_finished_execution_makes_room() -> None:
    store = ExecutionStore()
    store.apply([ExecutionStarted(execution_id="live", queue_id="q", turn=1, at=AT)])
    for number in range(KEPT + 3):
        store.apply([ExecutionFinished(execution_id=str(number), status="completed", at=AT)])
    assert len(store) == KEPT
    assert store.get("live") is not None


def test_the_control_planes_record_and_session_fill_what_was_not_seen() -> None:
    store = ExecutionStore()
    store.describe(
        "e",
        ExecutionRecord(
            id="e",
            entity_name="SRE",
            prompt="Why?",
            status="completed",
            usage={"input_tokens": 3, "output_tokens": 4},
            started_at="2026-01-01T00:00:00",
            completed_at="some time ago",
        ),
    )
    store.load_session("e", {"messages": [{"role": "user", "content": "Why?"}, "nonsense"]})
    one = store.get("e")
    assert one is not None
    assert (one.agent, one.title, one.status, one.tokens) == ("SRE", "Why?", "completed", 7)
    assert (one.started_at, one.ended_at) == (AT.replace(hour=0), None)
    assert len(one.conversation.items) == 1


def test_the_list_follows_with_few_signals_and_keeps_its_selection(qtmodeltester) -> None:
    store = ExecutionStore()
    model = ExecutionListModel(store)
    qtmodeltester.check(model)
    for number in range(5):
        store.apply([ExecutionStarted(execution_id=f"e{number}", queue_id="q", turn=1, at=AT.replace(minute=number))])
    assert model.data(model.index(0), ExecutionRole).execution_id == "e4"
    from PySide6.QtCore import QPersistentModelIndex

    chosen = QPersistentModelIndex(model.index(model.row_of("e2")))
    store.apply([ExecutionFinished(execution_id="e4", status="completed")])
    assert chosen.row() == model.row_of("e2")
    model.set_filter(text="e3")
    assert model.rowCount() == 1
    model.set_filter(live_only=True)
    assert model.rowCount() == 4


def test_a_question_that_the_snapshot_names_is_asked_once() -> None:
    at = datetime.now(UTC)
    waiting = ApprovalView(
        id="a", execution_id="e", tool="shell", parts=parts(command="rm -rf x"), left_out=0, asked_at=at, expires_at=at
    )
    store, heard = ExecutionStore(), []
    store.listen(lambda execution_id, item: heard.append(item))
    store.take(EngineSnapshot(approvals=(waiting,)))
    store.take(EngineSnapshot(approvals=(waiting,)))
    assert [(one.key, one.tool, one.summary) for one in store.approvals()] == [("a", "shell", "command: rm -rf x")]
    assert (store.approvals_waiting, len(heard)) == (1, 1)
