"""The tray's menu as data: pure functions of `TrayFacts`, tested without Qt."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from desktop.look.language import tr
from desktop.look.standing import unprotected
from desktop.look.wording import is_key_refused, moment, short, step_text
from desktop.notices.action import Action, Entry
from desktop.notices.questions import questions
from desktop.system.platforms.ports import Autostart
from desktop.tray.facts import TrayFacts
from desktop.tray.picture import reason, status
from worker_core.snapshot import EngineState, ExecutionView, QueueView
from worker_core.summary import Standing, summary

ROWS: Final = 10
"""Of queues, executions and approvals each; the window has them all."""

WORKING: Final = frozenset({EngineState.STARTING, EngineState.RUNNING, EngineState.PAUSED})


LINE: Final = Entry()


def menu(facts: TrayFacts) -> tuple[Entry, ...]:
    """Everything, from top to bottom. Every action is here: not every system sends clicks on the icon."""
    sections = (
        _header(facts),
        control(facts),
        _approvals(facts),
        _queues(facts),
        _executions(facts),
        (
            *(() if facts.unset else (Entry(title=tr("New task…"), action=Action.NEW_TASK),)),
            Entry(title=tr("Open Kubiya Worker"), action=Action.OPEN),
            Entry(title=tr("Logs"), action=Action.LOGS),
            Entry(title=tr("Settings"), action=Action.SETTINGS),
            _snooze(facts),
            _autostart(facts),
        ),
        _quit(facts),
    )
    entries: list[Entry] = []
    for section in filter(None, sections):
        entries += [LINE, *section] if entries else section
    return tuple(entries)


def _header(facts: TrayFacts) -> tuple[Entry, ...]:
    lines = [Entry(title=status(facts), enabled=False)]
    if why := reason(facts):
        lines.append(Entry(title=short(why, 80), enabled=False))
    if summary(facts.snapshot).unprotected and not facts.unset:
        lines.append(Entry(title=f"⚠ {unprotected()}", action=Action.SETTINGS, target="require_sandbox"))
    if facts.attached:
        lines.append(
            Entry(title=tr("Served by the worker service (pid {pid})", pid=str(facts.snapshot.pid)), enabled=False)
        )
    return tuple(lines)


def control(facts: TrayFacts) -> tuple[Entry, ...]:
    """What can be done about the worker in its state."""
    if facts.unset:
        return (Entry(title=tr("Set up…"), action=Action.OPEN),)
    match facts.snapshot.state:
        case _ if summary(facts.snapshot).standing is Standing.LOCKED:
            return (
                Entry(title=tr("Try again"), action=Action.START),
                Entry(title=tr("Stop"), action=Action.STOP),
            )
        case EngineState.STOPPED:
            return (Entry(title=tr("Start"), action=Action.START),)
        case EngineState.FAILED:
            again = Entry(title=tr("Try again"), action=Action.START)
            key = Entry(title=tr("Enter a key…"), action=Action.SETTINGS, target="key")
            return (key, again) if is_key_refused(facts.snapshot) else (again,)
        case EngineState.DRAINING:
            return (Entry(title=tr("Stop now, cancel what runs"), action=Action.CANCEL_WORK),)
        case EngineState.PAUSED:
            return (
                Entry(title=tr("Resume"), action=Action.RESUME),
                _pause(),
                Entry(title=tr("Stop"), action=Action.STOP),
            )
        case _:
            return (_pause(), Entry(title=tr("Stop"), action=Action.STOP))


def _pause() -> Entry:
    return Entry(
        title=tr("Pause"),
        children=(
            Entry(title=tr("For 30 minutes"), action=Action.PAUSE_30_MINUTES),
            Entry(title=tr("For 1 hour"), action=Action.PAUSE_HOUR),
            Entry(title=tr("Until tomorrow"), action=Action.PAUSE_UNTIL_TOMORROW),
            Entry(title=tr("Until I resume"), action=Action.PAUSE),
        ),
    )


def _approvals(facts: TrayFacts) -> tuple[Entry, ...]:
    waiting = questions(facts.snapshot)
    if not waiting:
        return ()
    title = Entry(title=tr("Approvals"), enabled=False)
    rows = [Entry(title=one.title, action=Action.OPEN_APPROVAL, target=one.approval_id) for one in waiting[:ROWS]]
    return (title, *rows, *_rest(len(waiting)))


def _queues(facts: TrayFacts) -> tuple[Entry, ...]:
    queues = facts.snapshot.queues
    if not queues:
        return ()
    return (*(Entry(title=queue_title(queue), enabled=False) for queue in queues[:ROWS]), *_rest(len(queues)))


def queue_title(queue: QueueView) -> str:
    name = short(queue.queue_name or queue.queue_id, 40)
    if queue.is_silent:
        return tr("{queue}: no answer", queue=name)
    if not queue.polling:
        return tr("{queue}: not polled", queue=name)
    if queue.statistics is None:
        return tr("{queue}: polled", queue=name)
    return tr("{queue}: {count} waiting", queue=name, count=queue.statistics.backlog)


def _executions(facts: TrayFacts) -> tuple[Entry, ...]:
    running = [one for one in facts.snapshot.executions if one.status == "running"]
    if not running:
        return ()
    rows = [
        Entry(
            title=execution_title(one),
            children=(
                Entry(title=tr("Open"), action=Action.OPEN_EXECUTION, target=one.execution_id),
                Entry(title=tr("Cancel"), action=Action.CANCEL_EXECUTION, target=one.execution_id),
            ),
        )
        for one in running[:ROWS]
    ]
    return (*rows, *_rest(len(running)))


def execution_title(execution: ExecutionView) -> str:
    said = tr("Execution {id}, turn {turn}", id=execution.execution_id[:8], turn=execution.turn)
    return f"{said}: {short(step_text(execution.step), 30)}" if execution.step else said


def _rest(count: int) -> tuple[Entry, ...]:
    if count <= ROWS:
        return ()
    return (Entry(title=tr("{count} more", count=count - ROWS), action=Action.OPEN),)


def _snooze(facts: TrayFacts) -> Entry:
    now = facts.now or datetime.now(UTC)
    if facts.snoozed_until is not None and facts.snoozed_until > now:
        title = tr("Notifications are off until {time}", time=moment(facts.snoozed_until, now))
        return Entry(title=title, action=Action.UNSNOOZE, checked=True)
    return Entry(
        title=tr("Silence notifications"),
        children=(
            Entry(title=tr("For 30 minutes"), action=Action.SNOOZE_30_MINUTES),
            Entry(title=tr("For 1 hour"), action=Action.SNOOZE_HOUR),
            Entry(title=tr("Until tomorrow"), action=Action.SNOOZE_UNTIL_TOMORROW),
        ),
    )


def _autostart(facts: TrayFacts) -> Entry:
    match facts.autostart:
        case Autostart.UNSUPPORTED:
            return Entry(title=tr("Start at login is not possible here"), enabled=False)
        case Autostart.BLOCKED:
            return Entry(title=tr("Start at login (switched off by the system)"), enabled=False, checked=False)
        case state:
            return Entry(title=tr("Start at login"), action=Action.TOGGLE_AUTOSTART, checked=state is Autostart.ON)


def _quit(facts: TrayFacts) -> tuple[Entry, ...]:
    if facts.attached:
        return (Entry(title=tr("Quit (the worker service goes on)"), action=Action.QUIT_DRAINED),)
    if facts.snapshot.state in WORKING | {EngineState.DRAINING} and facts.snapshot.tasks_in_flight:
        return (
            Entry(title=tr("Finish what runs, then quit"), action=Action.QUIT_DRAINED),
            Entry(title=tr("Quit now, cancel what runs"), action=Action.QUIT_NOW),
        )
    return (Entry(title=tr("Quit"), action=Action.QUIT_DRAINED),)
