from __future__ import annotations

from datetime import UTC, datetime, timedelta

from desktop.models.conversation_items import Message, ToolCall
from desktop.models.execution_list import ExecutionListModel, ExecutionRole
from desktop.models.executions import KEPT, Execution, ExecutionStore
from desktop.models.export import markdown_of
from tests.support.questions import parts
from worker_core.control_plane.models import ExecutionRecord
from worker_core.events import (
    ExecutionEventPublished,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionWaiting,
    ModelCalled,
    ToolFinished,
)
from worker_core.snapshot import ApprovalView, EngineSnapshot, EngineState, ExecutionView, QueueView

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


def test_tokens_of_every_model_call_are_counted() -> None:
    store = ExecutionStore()
    store.describe("e", ExecutionRecord(id="e", usage={"total_tokens": 1_200}))
    for _ in range(3):
        store.apply(
            [
                ModelCalled(
                    execution_id="e",
                    succeeded=True,
                    duration_seconds=1.0,
                    prompt_tokens=1_000,
                    completion_tokens=50,
                    cached_tokens=900,
                    cost_dollars=0.01,
                )
            ]
        )
    one = store.get("e")
    assert one is not None
    assert one.tokens == 1_200 + 3 * 1_050
    store.describe("e", ExecutionRecord(id="e", usage={"total_tokens": 4_350}))
    assert one.tokens == 4_350, "the record's word is not counted a second time"


def test_own_words_are_there_at_once_and_once() -> None:
    store = ExecutionStore()
    message = store.say("e", "Go on.\nPlease.")
    one = store.get("e")
    assert one is not None
    assert [(item.text, item.delivery) for item in one.conversation.items if isinstance(item, Message)] == [
        ("Go on.\nPlease.", "sending")
    ]
    assert "Go on." in markdown_of(one.conversation)
    store.told("e", message, "")
    store.load_session("e", {"messages": [{"role": "user", "content": "Go on.\nPlease.", "message_id": "m"}]})
    assert [item.key for item in one.conversation.items] == ["m"]
    store.told("e", store.say("e", "Go on.\nPlease."), "failed")
    store.load_session("e", {"messages": [{"role": "user", "content": "Go on.\nPlease.", "message_id": "m"}]})
    assert len(one.conversation.items) == 2, "what was not taken is not taken for what was"


def test_what_is_fetched_stands_where_it_was_said() -> None:
    """What came from a terminal is in the stored session alone; a question was never stored."""
    store = ExecutionStore()
    asked = {"approval_id": "a", "tool_name": "shell", "parts": []}
    store.apply(
        [
            ExecutionEventPublished(
                execution_id="e", type="approval_requested", payload=asked, sequence=1, at=AT + timedelta(seconds=5)
            )
        ]
    )
    stored = [
        {"role": "user", "content": text, "timestamp": (AT + timedelta(seconds=at)).isoformat()}
        for at, text in ((1, "before"), (9, "from a terminal"))
    ]
    store.load_session("e", {"messages": stored})
    one = store.get("e")
    assert one is not None
    assert [type(item).__name__ for item in one.conversation.items] == ["Message", "Approval", "Message"]


def listed(execution_id: str, status: str = "completed", **more: str) -> ExecutionRecord:
    return ExecutionRecord(
        id=execution_id,
        status=status,
        entity_name="SRE",
        prompt=f"What of {execution_id}?",
        created_at="2026-01-01T00:00:00",
        **more,
    )


def test_what_the_control_plane_lists_is_there_after_a_restart() -> None:
    store, heard = ExecutionStore(), []
    store.take(EngineSnapshot(queues=(QueueView(queue_id="q", queue_name="platform"),)))
    store.listen(lambda execution_id, _: heard.append(execution_id))
    begun = listed("b", "waiting_for_input", started_at="2026-01-01T00:00:05")
    store.remember("q", [listed("a"), begun])
    assert [(one.execution_id, one.status, one.title, one.agent, one.queue) for one in store.all()] == [
        ("b", "waiting_for_input", "What of b?", "SRE", "platform"),
        ("a", "completed", "What of a?", "SRE", "platform"),
    ]
    assert [one.started_at for one in store.all()] == [AT + timedelta(seconds=5), AT]
    store.remember("q", [listed("a"), listed("b", "completed")])
    assert heard == ["a", "b", "b"], "only what is new or changed is told"
    assert store.all()[0].status == "completed", "it went on elsewhere"


def test_what_the_worker_tells_is_nearer_to_the_truth_than_the_list() -> None:
    store = ExecutionStore()
    store.apply([ExecutionStarted(execution_id="e", queue_id="q", turn=1, at=AT)])
    store.remember("q", [listed("e", "pending")])
    one = store.get("e")
    assert one is not None
    assert (one.status, one.title, one.is_told) == ("running", "What of e?", True)


def test_the_list_pushes_nothing_out() -> None:
    store = ExecutionStore()
    store.apply([ExecutionFinished(execution_id=str(number), status="completed", at=AT) for number in range(KEPT - 1)])
    store.remember("q", [listed("first"), listed("second")])
    assert (len(store), store.get("0") is not None) == (KEPT, True)
    assert store.get("second") is None


def test_what_it_waits_for_a_person_is_no_time_of_work() -> None:
    def later(seconds: int) -> datetime:
        return AT + timedelta(seconds=seconds)

    store = ExecutionStore()
    store.apply([ExecutionStarted(execution_id="e", queue_id="q", turn=1, at=AT)])
    one = store.get("e")
    assert one is not None
    assert one.duration(later(5)) == timedelta(seconds=5)
    store.apply([ExecutionWaiting(execution_id="e", turn=1, at=later(10))])
    assert (one.duration(later(500)), one.waits_since) == (timedelta(seconds=10), later(10))
    store.apply([ExecutionStarted(execution_id="e", queue_id="q", turn=2, at=later(500))])
    assert (one.duration(later(507)), one.waits_since) == (timedelta(seconds=17), None)
    store.apply([ExecutionWaiting(execution_id="e", turn=2, at=later(510))])
    store.apply([ExecutionFinished(execution_id="e", status="completed", at=later(900))])
    assert one.duration(later(9_000)) == timedelta(seconds=20)


def test_how_long_one_worked_that_waits_elsewhere_is_not_known() -> None:
    store = ExecutionStore()
    store.remember("q", [listed("waits", "waiting_for_input"), listed("runs", "running")])
    waits, runs = store.get("waits"), store.get("runs")
    assert waits is not None
    assert runs is not None
    assert (waits.duration(AT + timedelta(days=3)), waits.waits_since) == (None, None)
    assert runs.duration(AT + timedelta(seconds=3)) == timedelta(seconds=3)


def test_what_was_not_allowed_did_not_fail() -> None:
    store = ExecutionStore()
    call = {"tool_execution_id": "c1", "tool_name": "shell"}
    why = "This call was denied by you."
    store.apply(
        [
            said("e", "tool_started", **call),
            said("e", "tool_completed", **call, status="failed", tool_error=why),
            ToolFinished(
                execution_id="e", call_id="c1", tool_name="shell", succeeded=False, duration_seconds=0, failure="denied"
            ),
        ]
    )
    one = store.get("e")
    assert one is not None
    [item] = one.conversation.items
    assert isinstance(item, ToolCall)
    assert (item.succeeded, item.failure) == (False, "denied")
    assert "(Denied" in markdown_of(one.conversation)


def test_an_execution_has_a_name_before_its_title_is_known() -> None:
    one = Execution(execution_id="590b4b10-fd51-4d7e-8a51-aaaaaaaaaaaa")
    assert one.name == "Task 590b4b10"
    one.title = "Look after the checkout"
    assert one.name == "Look after the checkout"


def test_questions_of_a_worker_that_ended_wait_for_a_worker() -> None:
    at = datetime.now(UTC)
    waiting = ApprovalView(
        id="a", execution_id="e", tool="shell", parts=parts(command="ls"), left_out=0, asked_at=at, expires_at=at
    )
    store = ExecutionStore()
    runs = EngineSnapshot(state=EngineState.RUNNING, approvals=(waiting,))
    store.take(runs)
    [asked] = store.questions()
    store.take(EngineSnapshot(state=EngineState.RUNNING))
    assert store.questions() == [asked], "told by an event, it may be ahead of the snapshot"
    store.take(EngineSnapshot(state=EngineState.STOPPED))
    assert (store.questions(), store.approvals_waiting, asked.answer) == ([], 0, "")
    store.take(runs)
    assert store.questions() == [asked], "the next one asks it again"
