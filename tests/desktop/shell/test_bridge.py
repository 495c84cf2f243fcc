from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from desktop.shell.bridge import EVENTS_LIMIT, Bridge
from tests.support.snapshots import snapshot
from worker_core.events import EventBus, ExecutionWaiting, SnapshotReplaced
from worker_core.logs.ring import LogLine, LogRing, now


def make(ring: LogRing | None = None) -> tuple[Any, Bridge]:
    worker: Any = SimpleNamespace(events=EventBus(), snapshot=snapshot())
    return worker, Bridge(worker, ring)


def line(number: int) -> LogLine:
    return LogLine(at=now(), level="INFO", logger="test", message=f"line {number}")


def test_the_newest_snapshot_and_all_events_in_one_round(qtbot: QtBot) -> None:
    worker, bridge = make()
    snapshots = QSignalSpy(bridge.snapshot_changed)
    events = QSignalSpy(bridge.events_arrived)
    for turn in range(50):
        worker.events.publish(SnapshotReplaced(snapshot=snapshot(reason=f"{turn}")))
        worker.events.publish(ExecutionWaiting(execution_id="e", turn=turn))
    qtbot.waitUntil(lambda: events.count() == 1)
    assert [one.at(0)[0].reason for one in (snapshots,)] == ["49"]
    assert [event.turn for event in events.at(0)[0]] == list(range(50))
    bridge.close()


def test_what_was_said_comes_before_the_question_that_follows_it(qtbot: QtBot) -> None:
    """Questions are known from the snapshot; the sentence that explains one, from an event before it."""
    worker, bridge = make()
    order: list[str] = []
    bridge.events_arrived.connect(lambda _: order.append("events"))
    bridge.snapshot_changed.connect(lambda _: order.append("snapshot"))
    worker.events.publish(ExecutionWaiting(execution_id="e", turn=1))
    worker.events.publish(SnapshotReplaced(snapshot=snapshot()))
    qtbot.waitUntil(lambda: len(order) == 2)
    assert order == ["events", "snapshot"]
    bridge.close()


def timer_of(bridge: Bridge) -> QTimer:
    [timer] = bridge.findChildren(QTimer)
    return timer


def test_rounds_keep_their_distance_and_order(qtbot: QtBot) -> None:
    worker, bridge = make()
    seen: list[int] = []

    def heard(events: list[Any]) -> None:
        seen.extend(event.turn for event in events)
        if len(seen) < 5:
            worker.events.publish(ExecutionWaiting(execution_id="e", turn=len(seen)))
            assert timer_of(bridge).remainingTime() > 50  # the next round waits for the rest of 100 ms

    bridge.events_arrived.connect(heard)
    worker.events.publish(ExecutionWaiting(execution_id="e", turn=0))
    qtbot.waitUntil(lambda: len(seen) == 5)
    assert seen == [0, 1, 2, 3, 4]
    bridge.close()


def test_nothing_ticks_when_nothing_happens(qtbot: QtBot) -> None:
    worker, bridge = make(LogRing())
    assert not timer_of(bridge).isActive()
    spy = QSignalSpy(bridge.events_arrived)
    worker.events.publish(ExecutionWaiting(execution_id="e", turn=0))
    qtbot.waitUntil(lambda: spy.count() == 1)
    assert not timer_of(bridge).isActive()
    bridge.close()


def test_lines_of_any_thread_arrive_in_batches(qtbot: QtBot) -> None:
    import threading

    ring = LogRing()
    ring.append(line(-1))  # before the bridge: whoever wants it reads the ring
    _, bridge = make(ring)
    batches: list[list[LogLine]] = []
    bridge.logs_arrived.connect(batches.append)

    def write(first: int) -> None:
        for number in range(first, first + 100):
            ring.append(line(number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    qtbot.waitUntil(lambda: sum(map(len, batches)) == 300)
    assert len(batches) <= 3
    ring.append(line(300))
    qtbot.waitUntil(lambda: sum(map(len, batches)) == 301)
    bridge.close()


def test_too_many_events_drop_the_oldest_and_are_counted(qtbot: QtBot) -> None:
    worker, bridge = make()
    spy = QSignalSpy(bridge.events_arrived)
    for turn in range(EVENTS_LIMIT + 7):
        worker.events.publish(ExecutionWaiting(execution_id="e", turn=turn))
    qtbot.waitUntil(lambda: spy.count() == 1)
    assert spy.at(0)[0][0].turn == bridge.dropped == 7
    bridge.close()


def test_a_closed_bridge_is_silent(qtbot: QtBot) -> None:
    ring = LogRing()
    worker, bridge = make(ring)
    spy = QSignalSpy(bridge.events_arrived)
    worker.events.publish(ExecutionWaiting(execution_id="e", turn=0))
    bridge.close()
    worker.events.publish(ExecutionWaiting(execution_id="e", turn=1))
    ring.append(line(0))
    qtbot.wait(1)
    assert spy.count() == 0
