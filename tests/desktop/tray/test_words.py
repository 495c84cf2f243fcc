"""Icon, tooltip and menu as pure functions: no Qt."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from desktop.look import language
from desktop.look.wording import TEXT_LIMIT, moment, short, tomorrow_morning
from desktop.notices.action import Action, Entry
from desktop.system.platforms.ports import Autostart
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import LINE, ROWS, menu
from desktop.tray.picture import IconState, Picture, picture, reason, status, tooltip
from tests.support.imports import loaded_by
from tests.support.snapshots import NOON, asking, execution, facts, queue, snapshot, troubled
from worker_core.snapshot import EngineState

S, Icon = EngineState, IconState


def test_the_words_need_no_window() -> None:
    loaded = loaded_by(
        "import desktop.tray.menu, desktop.notices.notifications, desktop.system.conditions, desktop.worker.face"
    )
    assert not {name for name in loaded if name.startswith(("PySide6", "shiboken6", "qasync", "temporalio"))}


@pytest.mark.parametrize(
    ("state", "running", "shown", "badge", "words"),
    [
        (S.STOPPED, 0, Icon.STOPPED, "", "Stopped"),
        (S.STARTING, 0, Icon.STOPPED, "", "Starting"),
        (S.RUNNING, 0, Icon.RUNNING, "", "Running"),
        (S.RUNNING, 1, Icon.BUSY, "1", "1 task runs"),
        (S.RUNNING, 9, Icon.BUSY, "9", "9 tasks run"),
        (S.RUNNING, 23, Icon.BUSY, "9+", "23 tasks run"),
        (S.PAUSED, 0, Icon.PAUSED, "", "Paused"),
        (S.PAUSED, 2, Icon.PAUSED, "2", "Paused"),
        (S.DRAINING, 3, Icon.DRAINING, "3", "Draining"),
        (S.FAILED, 0, Icon.ATTENTION, "", "Needs attention"),
    ],
)
def test_each_state_has_its_icon_and_words(
    state: EngineState, running: int, shown: IconState, badge: str, words: str
) -> None:
    known = facts(state, running=running)
    assert picture(known) == Picture(state=shown, badge=badge)
    assert status(known) == words
    assert words in tooltip(known)
    assert menu(known)[0] == Entry(title=words, enabled=False)


def test_what_a_terminal_repairs_it_with_is_not_said_at_the_icon() -> None:
    fact, repair = "The control plane refused the API key.", "Run `kubiya-worker login` with a valid key."
    known = facts(S.FAILED, reason=f"{fact} {repair}", repair=repair)
    assert reason(known) == fact
    rested = facts(S.STOPPED, reason="Stopped.")
    assert reason(rested) == "Stopped."


def test_the_tooltip_says_why() -> None:
    known = facts(S.FAILED, reason="The control plane refused the API key.")
    assert tooltip(known) == "Kubiya Worker: Needs attention. The control plane refused the API key."
    assert len(tooltip(facts(reason="x " * 500))) <= TEXT_LIMIT
    assert "<" not in tooltip(facts(reason="<img src=/etc/passwd>"))


def test_what_is_wrong_although_it_runs_needs_attention() -> None:
    lost = facts(queues=(queue("a"), queue("b", polling=False, reason="Temporal cannot be reached. Trying again.")))
    assert (picture(lost).state, reason(lost)) == (Icon.ATTENTION, "Temporal cannot be reached. Trying again.")
    held = TrayFacts(snapshot=troubled("Events are kept on disk."))
    assert (picture(held).state, reason(held)) == (Icon.ATTENTION, "Events are kept on disk.")
    starting = facts(S.STARTING, queues=(queue(polling=False, reason="Connecting."),))
    assert picture(starting).state is Icon.STOPPED


def test_a_timed_pause_says_when_it_ends() -> None:
    until = NOON + timedelta(minutes=30)
    assert status(facts(S.PAUSED, paused_until=until)) == f"Paused until {until.astimezone():%H:%M}"


@pytest.mark.parametrize(
    ("state", "wishes"),
    [
        (S.STOPPED, {Action.START}),
        (S.FAILED, {Action.START}),
        (S.STARTING, {Action.STOP}),
        (S.RUNNING, {Action.STOP}),
        (S.PAUSED, {Action.STOP, Action.RESUME}),
        (S.DRAINING, {Action.CANCEL_WORK}),
    ],
)
def test_the_menu_offers_what_can_be_done(state: EngineState, wishes: set[Action]) -> None:
    steering = {Action.START, Action.STOP, Action.RESUME, Action.CANCEL_WORK}
    found = {entry.action for entry in menu(facts(state))}
    assert found & steering == wishes
    assert found >= {
        Action.NEW_TASK,
        Action.OPEN,
        Action.LOGS,
        Action.SETTINGS,
        Action.QUIT_DRAINED,
        Action.TOGGLE_AUTOSTART,
    }


def test_before_anything_is_set_up_there_is_no_task_to_begin() -> None:
    assert Action.NEW_TASK not in {entry.action for entry in menu(TrayFacts(snapshot=snapshot(S.STOPPED), unset=True))}


def test_pausing_is_offered_for_how_long() -> None:
    pause = next(entry for entry in menu(facts()) if entry.title == "Pause")
    assert [child.action for child in pause.children] == [
        Action.PAUSE_30_MINUTES,
        Action.PAUSE_HOUR,
        Action.PAUSE_UNTIL_TOMORROW,
        Action.PAUSE,
    ]


def test_queues_show_their_backlog_and_executions_can_be_opened_and_cancelled() -> None:
    known = facts(running=2, queues=(queue("a", backlog=3), queue("b", backlog=None), queue("c", polling=False)))
    entries = menu(known)
    titles = [entry.title for entry in entries]
    assert {"a: 3 waiting", "b: polled", "c: not polled"} <= set(titles)
    row = next(entry for entry in entries if entry.title == "Execution 00000001, turn 1: model is thinking")
    assert [(child.action, child.target) for child in row.children] == [
        (Action.OPEN_EXECUTION, "00000001-aaaa"),
        (Action.CANCEL_EXECUTION, "00000001-aaaa"),
    ]


def test_waiting_executions_are_not_running_ones() -> None:
    known = TrayFacts(snapshot=snapshot(), now=NOON)
    waiting = TrayFacts(
        snapshot=type(known.snapshot)(state=S.RUNNING, executions=(execution(1, status="waiting_for_input"),))
    )
    assert picture(waiting).state is Icon.RUNNING
    assert not [entry for entry in menu(waiting) if entry.children and entry.title.startswith("Execution")]


def test_approvals_come_first() -> None:
    known = TrayFacts(snapshot=asking("Run rm -r build?", "Send a mail?"))
    assert (picture(known).state, status(known)) == (Icon.ATTENTION, "2 questions wait for you")
    rows = [entry for entry in menu(known) if entry.action is Action.OPEN_APPROVAL]
    assert [(row.title, row.target) for row in rows] == [("Run rm -r build?", "a0"), ("Send a mail?", "a1")]


def test_long_lists_are_cut() -> None:
    entries = menu(facts(running=ROWS + 5))
    assert sum(entry.title.startswith("Execution") for entry in entries) == ROWS
    assert Entry(title="5 more", action=Action.OPEN) in entries


def test_quitting_asks_only_where_something_would_be_lost() -> None:
    def quits(known: TrayFacts) -> list[str]:
        return [entry.title for entry in menu(known) if entry.action in {Action.QUIT_DRAINED, Action.QUIT_NOW}]

    assert quits(facts()) == ["Quit"]
    assert quits(facts(running=1)) == ["Finish what runs, then quit", "Quit now, cancel what runs"]
    assert quits(facts(S.DRAINING, running=1)) == ["Finish what runs, then quit", "Quit now, cancel what runs"]
    assert quits(facts(running=1, attached=True)) == ["Quit (the worker service goes on)"]


@pytest.mark.parametrize(
    ("state", "enabled", "checked"),
    [
        (Autostart.OFF, True, False),
        (Autostart.ON, True, True),
        (Autostart.FOREIGN, True, False),
        (Autostart.BLOCKED, False, False),
        (Autostart.UNSUPPORTED, False, None),
    ],
)
def test_start_at_login_tells_the_truth(state: Autostart, enabled: bool, checked: bool | None) -> None:
    entry = next(entry for entry in menu(facts(autostart=state)) if entry.title.startswith("Start at login"))
    assert (entry.enabled, entry.checked) == (enabled, checked)


def test_snoozing_shows_its_end_and_how_to_end_it() -> None:
    assert {entry.title for entry in menu(facts())} >= {"Silence notifications"}
    until = NOON + timedelta(hours=1)
    entry = next(entry for entry in menu(facts(snoozed_until=until)) if entry.action is Action.UNSNOOZE)
    assert f"{until.astimezone():%H:%M}" in entry.title
    assert not [entry for entry in menu(facts(snoozed_until=NOON)) if entry.action is Action.UNSNOOZE]


def test_separators_stand_between_sections_only() -> None:
    for state in EngineState:
        entries = menu(facts(state, running=1))
        assert entries[0] != LINE != entries[-1]
        assert all(pair != (LINE, LINE) for pair in itertools.pairwise(entries))


def test_everything_can_be_said_in_another_language() -> None:
    language.use({"Running": "Läuft", "{queue}: {count} waiting": "{queue}: {count} warten"})
    assert status(facts()) == "Läuft"
    assert "default: 4 warten" in {entry.title for entry in menu(facts(queues=(queue(backlog=4),)))}


@given(some.text(), some.integers(min_value=1, max_value=200))
def test_short_is_one_line_and_short(text: str, limit: int) -> None:
    said = short(text, limit)
    assert len(said) <= limit
    assert len(said.splitlines()) <= 1


@given(some.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2100, 1, 1), timezones=some.just(UTC)))  # noqa: DTZ001 - hypothesis wants them naive
def test_tomorrow_morning_is_the_next_morning(now: datetime) -> None:
    until = tomorrow_morning(now)
    assert timedelta(hours=7) < until - now < timedelta(hours=34)
    assert (until.astimezone().hour, moment(until, now)) == (8, "tomorrow 08:00")
