from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from desktop.notices.action import Action
from desktop.notices.connection_loss import LOST_AFTER
from desktop.notices.execution_news import Words
from desktop.notices.inbox import sections
from desktop.notices.notice import Level, Notice
from desktop.notices.notifications import Notifications
from desktop.notices.snoozes import LONGEST_WAIT
from desktop.settings.preferences import NotificationLevel, Preferences
from desktop.system.conditions import Machine, why_not
from tests.support.snapshots import NOON, asking, snapshot
from worker_core.events import (
    EngineStateChanged,
    Event,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionWaiting,
    HeartbeatFailed,
    HeartbeatSent,
    PollingStalled,
    PollingStarted,
)
from worker_core.snapshot import EngineState, SandboxView
from worker_core.summary import Standing, summary


class Bell:
    """Rings when it is told to."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.seconds, self.ring, self.is_cancelled = seconds, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


class Rig:
    def __init__(self, level: NotificationLevel = "all") -> None:
        self.said: list[Notice] = []
        self.now = NOON
        self.level: NotificationLevel = level
        self.bells: list[Bell] = []
        self.notifications = Notifications(level=lambda: self.level, now=lambda: self.now, later=self._later)
        self.notifications.deliver_to(self.said.append)

    def _later(self, seconds: float, call: Callable[[], None]) -> Bell:
        self.bells.append(Bell(seconds, call))
        return self.bells[-1]

    @property
    def titles(self) -> list[str]:
        return [notice.title for notice in self.said]


def finished(number: int, status: str = "completed", error: str | None = None) -> ExecutionFinished:
    return ExecutionFinished(execution_id=f"{number:08d}-x", status=status, error=error)


def test_what_ended_is_told_and_leads_there() -> None:
    rig = Rig()
    rig.notifications.hear([finished(1), finished(2, "failed", "The model refused.")])
    rig.notifications.hear([ExecutionWaiting(execution_id="00000003-x", turn=1)])
    assert rig.titles == ["Execution finished", "Execution failed", "A turn has ended"]
    assert [notice.level for notice in rig.said] == [Level.NEWS, Level.PROBLEM, Level.NEWS]
    assert (rig.said[1].body, rig.said[1].action, rig.said[1].target) == (
        "The model refused.",
        Action.OPEN_EXECUTION,
        "00000002-x",
    )


def test_a_notice_leaves_what_is_repaired_in_a_terminal_to_the_terminal() -> None:
    rig, said = Rig(), "There is no API key. Run `kubiya-worker login`."
    before, after = EngineState.STARTING, EngineState.FAILED
    repair = "Run `kubiya-worker login`."
    rig.notifications.hear([EngineStateChanged(before=before, after=after, reason=said, repair=repair)])
    assert rig.said[0].body == "There is no API key."


def test_many_at_once_are_one() -> None:
    rig = Rig()
    rig.notifications.hear([finished(number) for number in range(40)])
    assert [notice.body for notice in rig.said] == ["40 executions finished."]


@pytest.mark.parametrize(("level", "count"), [("all", 3), ("problems", 2), ("none", 0)])
def test_levels(level: NotificationLevel, count: int) -> None:
    rig = Rig(level)
    rig.notifications.hear([finished(1), finished(2, "failed")])
    rig.notifications.look(asking("May I?"))
    assert (len(rig.said), len(rig.notifications.history)) == (count, 3)


def test_silence_ends_by_itself_and_the_history_goes_on() -> None:
    rig = Rig()
    heard: list[Notice] = []
    rig.notifications.listen(heard.append)
    rig.notifications.snooze(NOON + timedelta(hours=1))
    rig.notifications.hear([finished(1, "failed")])
    assert (rig.said, len(heard), len(rig.notifications.history)) == ([], 1, 1)
    rig.now += timedelta(hours=2)
    rig.notifications.hear([finished(2)])
    assert len(rig.said) == 1
    assert rig.notifications.snoozed_until is None


def test_a_question_is_asked_once() -> None:
    rig = Rig()
    for shown in (snapshot(), asking("Run it?"), asking("Run it?"), asking("Run it?", "And this?"), snapshot()):
        rig.notifications.look(shown)
    assert [(notice.body, notice.target) for notice in rig.said] == [("Run it?", "a0"), ("And this?", "a1")]


def test_that_tools_are_not_started_is_told_once() -> None:
    rig = Rig()
    refused = SandboxView(name="refused", reason="Tools are not started: because.")
    for view in (SandboxView(), refused, refused, SandboxView(name="bubblewrap", reason="It works."), refused):
        rig.notifications.look(snapshot(sandbox=view))
    assert rig.titles == ["Tools are not started"] * 2
    assert (rig.said[0].body, rig.said[0].level) == (refused.reason, Level.PROBLEM)
    said = summary(snapshot(sandbox=refused))
    assert (said.standing, said.sentence, said.unprotected) == (Standing.NO_TOOLS, refused.reason, False)
    said = summary(snapshot(sandbox=SandboxView(name="none", reason="Without.")))
    assert (said.standing, said.unprotected) == (Standing.IDLE, True)


def test_a_worker_that_failed_is_told() -> None:
    rig = Rig()
    change: Any = EngineStateChanged(before=EngineState.RUNNING, after=EngineState.FAILED, reason="The key is wrong.")
    rig.notifications.hear([change])
    assert [(notice.title, notice.body) for notice in rig.said] == [("The worker has stopped", "The key is wrong.")]


def test_a_lost_connection_is_told_after_a_minute_once_and_when_it_is_back() -> None:
    rig = Rig()
    failed = HeartbeatFailed(queue_id="q", sentence="The control plane does not answer.")
    stalled = PollingStalled(queue_id="q", sentence="Temporal does not answer.")
    rig.notifications.hear([failed, stalled, failed])
    (bell,) = rig.bells
    assert (bell.seconds, rig.said) == (LOST_AFTER.total_seconds(), [])
    bell.ring()
    rig.notifications.hear([failed, PollingStarted(queue_id="q", queue_name="q", worker_id="w")])
    assert (rig.titles, len(rig.bells)) == (["Connection lost for more than a minute"], 1)
    assert rig.said[0].body == "The control plane does not answer."
    rig.notifications.hear([HeartbeatSent(queue_id="q", worker_id="w", full=False)])
    assert rig.titles[1:] == ["Connection restored"]


@pytest.mark.parametrize(
    "ends",
    [
        HeartbeatSent(queue_id="q", worker_id="w", full=False),
        EngineStateChanged(before=EngineState.RUNNING, after=EngineState.STOPPED, reason="Stopped."),
    ],
)
def test_a_short_interruption_is_not_told(ends: Event) -> None:
    rig = Rig()
    rig.notifications.hear([HeartbeatFailed(queue_id="q", sentence="No answer.")])
    rig.notifications.hear([ends])
    assert rig.bells[0].is_cancelled
    assert rig.said == []


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine(), ""),
        (Machine(battery_percent=10, on_battery=True), "below 20 %"),
        (Machine(battery_percent=20, on_battery=True), ""),
        (Machine(battery_percent=10, on_battery=False), ""),
        (Machine(metered=True), "metered"),
    ],
)
def test_conditions_say_why_not(machine: Machine, words: str) -> None:
    chosen = Preferences(pause_below_battery_percent=20, pause_on_metered_network=True)
    why = why_not(machine, chosen)
    assert bool(why) is bool(words)
    assert words in why
    assert why_not(machine, Preferences()) == ""


def waiting(number: int) -> ExecutionWaiting:
    return ExecutionWaiting(execution_id=f"{number:08d}-x", turn=1)


def test_questions_alone_pop_up_while_the_window_is_before_the_person() -> None:
    rig = Rig()
    watched = True
    rig.notifications.know(is_watched=lambda: watched, words=lambda _: Words())
    rig.notifications.hear([waiting(1)])
    rig.notifications.look(asking("Run it?"))
    assert ([notice.level for notice in rig.said], len(rig.notifications.history)) == ([Level.QUESTION], 2)
    watched = False
    rig.notifications.hear([waiting(2)])
    assert len(rig.said) == 2


def test_many_that_wait_are_one_notice_however_they_come() -> None:
    """Two hundred turns that end over a minute: two by name, then one with a count, which takes its own place."""
    rig = Rig()
    for number in range(200):
        rig.notifications.hear([waiting(number)])
    by_name, bundled = rig.said[:2], rig.said[2:]
    assert [notice.key for notice in by_name] == ["execution 00000000-x", "execution 00000001-x"]
    assert {notice.key for notice in bundled} == {"all that wait"}
    assert bundled[0].replaces == ("execution 00000000-x", "execution 00000001-x")
    assert bundled[-1].body == "200 tasks wait for you."
    rig.notifications.seen()
    rig.notifications.hear([waiting(7)])
    assert rig.said[-1].key == "execution 00000007-x", "who has looked is told by name again"


def test_what_goes_on_waits_no_more() -> None:
    rig = Rig()
    for number in range(4):
        rig.notifications.hear([waiting(number)])
        rig.notifications.hear([ExecutionStarted(execution_id=f"{number:08d}-x", queue_id="q", turn=2)])
    assert [notice.key for notice in rig.said] == [f"execution {number:08d}-x" for number in range(4)]


def test_an_execution_is_called_by_its_request_and_answer() -> None:
    rig = Rig()
    words = Words(title="Why is it slow?", answer="The index is missing.")
    rig.notifications.know(is_watched=lambda: False, words=lambda _: words)
    rig.notifications.hear([waiting(1)])
    assert (rig.said[0].title, rig.said[0].body) == (words.title, words.answer)


def items(rig: Rig) -> list[tuple[str, str, int]]:
    """The section, the title and the count of each thing."""
    found = sections(
        rig.notifications.history,
        rig.notifications.standing,
        snoozed_until=rig.notifications.snoozes.until,
        now=datetime.now(UTC),
    )
    return [(section.title, item.notice.title, item.count) for section in found for item in section.items]


def test_an_execution_is_one_thing_from_its_first_turn_to_its_end() -> None:
    rig = Rig()
    rig.notifications.hear([waiting(1)])
    rig.notifications.seen()
    rig.notifications.hear([waiting(1)])
    rig.notifications.hear([finished(1)])
    assert items(rig) == [("Today", "Execution finished", 3)]
    assert rig.notifications.unseen == 1


def test_a_lost_connection_stands_until_it_is_back_and_is_one_thing() -> None:
    rig = Rig()
    rig.notifications.hear([HeartbeatFailed(queue_id="q", sentence="No answer.")])
    rig.bells[0].ring()
    rig.notifications.look(snapshot())
    assert items(rig) == [("Needs you now", "Connection lost for more than a minute", 1)]
    rig.notifications.hear([HeartbeatSent(queue_id="q", worker_id="w", full=False)])
    assert items(rig) == [("Today", "Connection restored", 2)]
    rig.notifications.close()


def test_a_worker_that_failed_needs_its_user_until_it_does_not() -> None:
    """Its event may come before the snapshot that knows of it."""
    rig = Rig()
    change: Any = EngineStateChanged(before=EngineState.RUNNING, after=EngineState.FAILED, reason="The key is wrong.")
    failed = snapshot(state=EngineState.FAILED)
    rig.notifications.hear([change])
    for shown, section in ((snapshot(), "Today"), (failed, "Needs you now"), (snapshot(), "Today")):
        rig.notifications.look(shown)
        assert items(rig) == [(section, "The worker has stopped", 1)]


def test_troubles_of_a_snapshot_stand_as_long_as_it_has_them() -> None:
    rig = Rig()
    for view in (SandboxView(name="refused", reason="Because."), SandboxView(name="asked")):
        rig.notifications.look(snapshot(sandbox=view))
        assert [section for section, _, _ in items(rig)].count("Needs you now") == 1
    rig.notifications.look(snapshot())
    assert {section for section, _, _ in items(rig)} == {"Today"}


def test_what_is_put_off_is_kept_over_a_restart_and_comes_back_by_itself() -> None:
    first, kept = Rig(), [""]
    first.notifications.snoozes.keep("", lambda text: kept.append(text))
    first.notifications.look(asking("Run it?"))
    [thing] = first.notifications.standing
    first.notifications.put_off(thing, NOON + timedelta(hours=1))
    assert first.notifications.unseen == 0
    second = Rig()
    second.notifications.remember(list(first.notifications.history))
    second.notifications.snoozes.keep(kept[-1], lambda text: kept.append(text))
    second.notifications.look(asking("Run it?"))
    assert (second.said, second.notifications.unseen) == ([], 0)
    assert items(second) == [("Snoozed", "An agent asks for approval", 2)]
    second.now += timedelta(minutes=59)
    second.notifications.look(asking("Run it?"))
    assert second.said == []
    second.now += timedelta(minutes=2)
    second.notifications.look(asking("Run it?"))
    assert (second.titles, second.notifications.unseen) == (["An agent asks for approval"], 1)
    assert items(second) == [("Needs you now", "An agent asks for approval", 2)]
    assert kept[-1] == "", "what has come back is put off no more"


def test_what_is_over_before_it_comes_back_does_not_come() -> None:
    rig = Rig()
    rig.notifications.look(asking("Run it?"))
    [thing] = rig.notifications.standing
    rig.notifications.put_off(thing, NOON + timedelta(hours=1))
    rig.notifications.look(snapshot())
    assert items(rig) == [("Today", "An agent asks for approval", 1)]
    rig.now += timedelta(hours=2)
    rig.notifications.look(snapshot())
    assert (len(rig.said), rig.notifications.unseen) == (1, 0)


@pytest.mark.parametrize(
    "kept", ["no time\tthing", "2026-11-29T12:00:00\tthing", "2026-11-29T12:00:00+00:00", "\n\t\n"]
)
def test_what_another_version_has_kept_and_cannot_be_read_is_passed_over(kept: str) -> None:
    rig = Rig()
    rig.notifications.snoozes.keep(kept, lambda _: None)
    assert rig.notifications.snoozes.until("thing") is None


async def test_by_default_the_loop_brings_it_back() -> None:
    notifications = Notifications(level=lambda: "all")
    notifications.snoozes.put_off("thing", datetime.now(UTC) + timedelta(hours=1))
    alarm = notifications.snoozes._alarm
    assert isinstance(alarm, asyncio.TimerHandle)
    assert alarm.when() <= asyncio.get_running_loop().time() + LONGEST_WAIT.total_seconds() + 5
    notifications.close()
    assert alarm.cancelled()


def test_what_is_kept_is_read_before_there_is_a_loop() -> None:
    notifications = Notifications(level=lambda: "all")
    notifications.snoozes.keep("2126-11-29T12:00:00+00:00\tthing", lambda _: None)
    assert notifications.snoozes.until("thing") is not None
