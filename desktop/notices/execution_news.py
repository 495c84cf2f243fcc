"""What executions have to tell: a turn has ended and waits for the person, or all has. Many are one notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from desktop.look.language import tr
from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice, execution_thing
from worker_core.basics.quick_dataclass import dataclass
from worker_core.events import Event, ExecutionFinished, ExecutionStarted, ExecutionWaiting

AT_ONCE: Final = 2
"""More of one kind in one round become one notice with a count."""

_ALL_THAT_WAIT: Final = "all that wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What an execution is called, and what was said last in it; empty where it is not known."""

    title: str = ""
    answer: str = ""


class ExecutionNews:
    """Hears events; says what is to be told of executions."""

    def __init__(self, *, say: Callable[[Notice], None]) -> None:
        self.words: Callable[[str], Words] = lambda _: Words()
        self._say = say
        self._waiting: dict[str, None] = {}
        """Executions that wait for the person, and of which he was told since he looked last."""

    def seen(self) -> None:
        """The person looks."""
        self._waiting.clear()

    def hear(self, events: Sequence[Event]) -> None:
        """One round of events, in order."""
        self._say_finished([event for event in events if isinstance(event, ExecutionFinished)])
        self._say_waiting(events)

    def _say_waiting(self, events: Sequence[Event]) -> None:
        """One of each execution; of three and more, one of all."""
        new = []
        for event in events:
            match event:
                case ExecutionWaiting():
                    new.append(event.execution_id)
                case ExecutionStarted() | ExecutionFinished():
                    self._waiting.pop(event.execution_id, None)
                    new = [one for one in new if one != event.execution_id]
        if not new:
            return
        before = tuple(self._waiting)
        self._waiting |= dict.fromkeys(new)
        count = len(self._waiting)
        if count > AT_ONCE:
            self._say(
                Notice(
                    title=tr("Tasks wait for you"),
                    body=tr("{count} tasks wait for you.", count=count),
                    level=Level.NEWS,
                    key=_ALL_THAT_WAIT,
                    replaces=tuple(map(execution_thing, before[: AT_ONCE + 1])),
                )
            )
            return
        for execution_id in dict.fromkeys(new):
            said = self.words(execution_id)
            title = said.title or tr("A turn has ended")
            body = said.answer or tr("Execution {id} waits for your next message.", id=execution_id[:8])
            self._news(title, body, execution_id, key=execution_thing(execution_id))

    def _say_finished(self, events: Sequence[ExecutionFinished]) -> None:
        for failed in (False, True):
            some = [event for event in events if (event.status == "failed") is failed]
            level = Level.PROBLEM if failed else Level.NEWS
            title = tr("Execution failed") if failed else tr("Execution finished")
            if len(some) > AT_ONCE:
                said = tr("{count} executions failed.") if failed else tr("{count} executions finished.")
                self._say(Notice(title=title, body=said.format(count=len(some)), level=level))
                continue
            for event in some:
                short = event.execution_id[:8]
                named = self.words(event.execution_id).title
                body = event.error or named or tr("Execution {id}: {status}.", id=short, status=event.status)
                self._news(title, body, event.execution_id, level=level)

    def _news(self, title: str, body: str, execution_id: str, *, level: Level = Level.NEWS, key: str = "") -> None:
        action = Action.OPEN_EXECUTION
        self._say(Notice(title=title, body=body, level=level, action=action, target=execution_id, key=key))
