"""What the user is told, how loudly, and what was said before. Knows no Qt: a callback delivers.

The list in the application is the truth; the system's pop-up is a courtesy that may not come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from desktop.look.language import retold, tr
from desktop.notices.action import Action
from desktop.notices.connection_loss import CONNECTION, ConnectionLoss
from desktop.notices.execution_news import ExecutionNews, Words
from desktop.notices.notice import Level, Notice, question_thing
from desktop.notices.questions import questions
from desktop.notices.snoozes import Later, Snoozes, on_the_loop
from desktop.settings.preferences import NotificationLevel
from worker_core.basics.sentences import again, without
from worker_core.events import EngineStateChanged, Event
from worker_core.snapshot import EngineSnapshot, EngineState

HISTORY: Final = 500
_SERVES = frozenset({EngineState.RUNNING, EngineState.PAUSED, EngineState.DRAINING})
_WORKER, _NO_TOOLS, _SANDBOX, _KEYCHAIN = "worker", "no tools", "sandbox", "keychain"
"""Things that notices tell of."""


class Notifications:
    """Hears events and snapshots; decides what is said."""

    def __init__(
        self,
        *,
        level: Callable[[], NotificationLevel],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        later: Later = on_the_loop,
    ) -> None:
        """`level` is the user's choice at the moment."""
        self.history: deque[Notice] = deque(maxlen=HISTORY)
        self.standing: dict[str, Notice] = {}
        """What needs the person now, by its thing."""

        self.snoozes = Snoozes(now=now, later=later, back=self._bring_back)
        self._unseen: set[str] = set()
        self._held: set[str] = set()
        """Of `standing`, what no snapshot knows of."""

        self.snoozed_until: datetime | None = None
        self._executions = ExecutionNews(say=self.say)
        self._connection = ConnectionLoss(say=self.say, over=lambda: self._end([CONNECTION]), later=later)
        self._is_watched: Callable[[], bool] = lambda: False
        self._deliver: Callable[[Notice], None] | None = None
        self._take_back: Callable[[str], None] = lambda _: None
        self.knows_questions = False
        """A worker has said which questions wait: from then on, those that it does not name are over."""

        self._level = level
        self._now = now
        self._listeners: list[Callable[[Notice], None]] = []
        self._counted: list[Callable[[], None]] = []
        self._asked: set[str] = set()
        self._refused = ""
        self._locked = False
        self._failure: Notice | None = None
        self._sandbox_asked = False

    def deliver_to(self, show: Callable[[Notice], None], *, take_back: Callable[[str], None] = lambda _: None) -> None:
        """Pop up with `show` what the user wants to see; until then nothing is. `take_back` gets a thing that is put
        off: what tells of it goes from the screen.
        """
        self._deliver, self._take_back = show, take_back

    def know(self, *, is_watched: Callable[[], bool], words: Callable[[str], Words]) -> None:
        """Pop up questions alone while the person looks at the window; call executions by their words."""
        self._is_watched, self._executions.words = is_watched, words

    def remember(self, notices: Sequence[Notice]) -> None:
        """What was said before this program started, oldest first. Nobody hears of it again."""
        self.history.extend(notices)

    @property
    def unseen(self) -> int:
        """Things of which something was told since the person looked; without those that are put off."""
        return len(self._unseen)

    def seen(self) -> None:
        """The person looks at them."""
        self._unseen.clear()
        self._executions.seen()
        self._tell_counted()

    def clear(self) -> None:
        """Forget all but what needs the person."""
        self.history.clear()
        self.snoozes.forget(self.standing.__contains__)
        self.seen()

    def hold(self, thing: str, notice: Notice | None) -> None:
        """What somebody else watches needs the person, or (None) does not any more; nothing is said."""
        if notice is None:
            self._held.discard(thing)
            self._end([thing])
            return
        self._held.add(thing)
        said = (one for one in reversed(self.history) if one.thing == thing)
        self.standing[thing] = next((one for one in said if one.body == notice.body), notice)
        self._tell_counted()

    def put_off(self, thing: str, until: datetime | None) -> None:
        """Nothing pops up about it and it is not counted until then, over restarts; None takes it up again."""
        self._unseen.discard(thing)
        self.snoozes.put_off(thing, until)
        if until is not None:
            self._take_back(thing)
        self._tell_counted()

    def count(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever `unseen`, `standing` or what is put off may have changed, or all were forgotten."""
        self._counted.append(listener)

    def listen(self, listener: Callable[[Notice], None]) -> None:
        """Call `listener` with each notice, also those that are not popped up."""
        self._listeners.append(listener)

    def snooze(self, until: datetime | None) -> None:
        """Pop nothing up until then; None ends it. The history goes on."""
        self.snoozed_until = until

    def say(self, notice: Notice) -> None:
        """Add one, and pop it up where the user wants that."""
        self.history.append(notice)
        if notice.stands:
            self.standing[notice.thing] = notice
        put_off = self.snoozes.until(notice.thing) is not None
        if not put_off and (notice.level > Level.NEWS or not self._is_watched()):
            self._unseen.add(notice.thing)
        for listener in tuple(self._listeners):
            listener(notice)
        self._tell_counted()
        if not put_off:
            self._pop_up(notice)

    def _pop_up(self, notice: Notice) -> None:
        """Where the user wants that."""
        watched = self._is_watched()
        if self.snoozed_until is not None:
            if self._now() < self.snoozed_until:
                return
            self.snoozed_until = None
        if watched and notice.level < Level.QUESTION:  # of a question, work stands still, on whatever page one is
            return
        chosen = self._level()
        wanted = chosen == "all" or (chosen == "problems" and notice.level >= Level.PROBLEM)
        if wanted and self._deliver is not None:
            self._deliver(notice)

    def hear(self, events: Sequence[Event]) -> None:
        """One round of events, in order."""
        if self._is_watched():
            self._executions.seen()
        self._executions.hear(events)
        for event in events:
            self._connection.hear(event)
            match event:
                case EngineStateChanged(after=EngineState.FAILED):
                    why = retold(without(again(event.reason, event.said), event.repair))
                    title = tr("The worker has stopped")
                    self._failure = Notice(title=title, body=why, level=Level.PROBLEM, about=_WORKER, stands=True)
                    self.say(self._failure)

    def look(self, snapshot: EngineSnapshot) -> None:
        """Questions that are new, and that tools are not started."""
        sandbox = snapshot.sandbox
        refused = retold(sandbox.reason, sandbox.said) if sandbox.name == "refused" else ""
        if refused and refused != self._refused:
            title = tr("Tools are not started")
            self.say(Notice(title=title, body=refused, level=Level.PROBLEM, about=_NO_TOOLS, stands=True))
        self._refused = refused
        asked = sandbox.name == "asked"
        if asked and not self._sandbox_asked:
            body = tr("This machine has none. Tools wait until you have said so.")
            title = tr("May tools run without a sandbox?")
            self.say(Notice(title=title, body=body, level=Level.QUESTION, about=_SANDBOX, stands=True))
        self._sandbox_asked = asked
        locked = snapshot.trouble is not None and snapshot.trouble.what == "keychain"
        if locked and not self._locked:
            body = tr("The worker starts once it is unlocked.")
            title = tr("Unlock your keychain to go on")
            self.say(Notice(title=title, body=body, level=Level.PROBLEM, about=_KEYCHAIN, stands=True))
        self._locked = locked
        self._connection.look(snapshot)
        waiting = questions(snapshot)
        for one in waiting:
            if one.approval_id not in self._asked:
                title = tr("An agent asks for approval")
                self.say(
                    Notice(
                        title=title,
                        body=one.text,
                        level=Level.QUESTION,
                        action=Action.OPEN_APPROVAL,
                        target=one.approval_id,
                        is_whole=one.is_whole,
                        stands=True,
                    )
                )
        self._asked = {one.approval_id for one in waiting}
        self._settle(snapshot)
        if not self.knows_questions and snapshot.state in _SERVES:
            self.knows_questions = True
            self._tell_counted()
        self.snoozes.look()

    def close(self) -> None:
        self._connection.forget()
        self.snoozes.close()

    # --- inside -------------------------------------------------------------------------------------------

    def _tell_counted(self) -> None:
        for listener in tuple(self._counted):
            listener()

    def _settle(self, snapshot: EngineSnapshot) -> None:
        """What the snapshot does not have any more is over."""
        now = {question_thing(one): True for one in self._asked} | {
            _NO_TOOLS: bool(self._refused),
            _SANDBOX: self._sandbox_asked,
            _KEYCHAIN: self._locked,
            _WORKER: snapshot.state is EngineState.FAILED,
            CONNECTION: self._connection.is_told,
        }
        if now[_WORKER] and self._failure is not None and _WORKER not in self.standing:
            self.standing[_WORKER] = self._failure
            self._tell_counted()
        self._end([thing for thing in self.standing if not now.get(thing, thing in self._held)])

    def _end(self, things: Sequence[str]) -> None:
        """They do not need the person any more."""
        over = [thing for thing in things if self.standing.pop(thing, None) is not None]
        if over:
            self._unseen.difference_update(over)
            for thing in over:
                if self.snoozes.until(thing) is not None:
                    self.snoozes.put_off(thing, None)
            self._tell_counted()

    def _bring_back(self, things: Sequence[str]) -> None:
        """Their time is over: what still needs the person, or was news, is told once more."""
        for thing in things:
            latest = next((one for one in reversed(self.history) if one.thing == thing), None)
            notice = self.standing.get(thing, latest)
            if notice is not None and (thing in self.standing or not notice.stands):
                self._unseen.add(thing)
                self._pop_up(notice)
        self._tell_counted()
