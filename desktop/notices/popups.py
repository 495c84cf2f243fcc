"""Notices as notifications of the system: with buttons where it has them, as the tray icon's messages elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from desktop.look.language import tr
from desktop.look.wording import short
from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.notices.questions import QUESTION_LIMIT
from desktop.system.activation import come_by
from desktop.system.platforms.ports import Bubble, Notifier, ScreenLock
from worker_core.basics.plain import one_line
from worker_core.basics.visible import visible_line
from worker_core.snapshot import EngineSnapshot

log = logging.getLogger(__name__)

ALLOW: Final = "allow"
DENY: Final = "deny"
KEPT: Final = 50
"""Notices that a click may still lead to."""

LONGEST_TITLE: Final = 100
LONGEST_BODY: Final = 300
_URGENCY: Final = {Level.NEWS: 0, Level.PROBLEM: 1, Level.QUESTION: 2}


class Popups:
    """Questions that fit can be answered with a button: once, for this call alone. All else happens in the window.

    While the screen is locked, what a notice is about is not shown, and nothing can be allowed.
    """

    def __init__(
        self,
        *,
        notifier: Notifier | None,
        message: Callable[[Notice], None],
        answer: Callable[[str, bool], None],
        follow: Callable[[Notice], None],
        screen_lock: ScreenLock | None = None,
    ) -> None:
        """`message` shows a notice where `notifier` cannot; `answer` takes an approval's id and a yes or no."""
        self._notifier = notifier
        self._message = message
        self._answer = answer
        self._follow = follow
        self._lock = screen_lock
        self._shown: dict[str, Notice] = {}
        self._veiled: set[str] = set()
        """Shown without what they are about."""

        self._count = 0
        if notifier is not None:
            notifier.acted.connect(self._acted)
            notifier.failed.connect(self._failed)
            notifier.lost.connect(self._put_up_again)
        if screen_lock is not None:
            screen_lock.unlocked.connect(self._unveil)

    def show(self, notice: Notice) -> None:
        """Put it up."""
        if self._notifier is None:
            self._message(notice)
            return
        self._count += 1
        asks = _asks(notice)
        key = f"approval {notice.target}" if asks else notice.key or f"notice {self._count}"
        for gone in notice.replaces:
            if gone in self._shown:
                self._withdraw(gone)
        self._shown[key] = notice
        while len(self._shown) > KEPT:
            del self._shown[next(iter(self._shown))]
        self._put_up(self._notifier, key, notice)

    def _put_up(self, notifier: Notifier, key: str, notice: Notice) -> None:
        veiled = self._is_locked()
        (self._veiled.add if veiled else self._veiled.discard)(key)
        notifier.show(
            Bubble(
                key=key,
                title=one_line(notice.title, LONGEST_TITLE),
                body=tr("Unlock the screen to read it.") if veiled else _body(notice),
                urgency=_URGENCY[notice.level],
                open_text=tr("Open"),
                actions=() if veiled else _actions(notice),
            )
        )

    def _is_locked(self) -> bool:
        return self._lock is not None and self._lock.is_locked()

    def _unveil(self) -> None:
        """The screen is unlocked: what is still there says what it is about, in its place."""
        veiled, self._veiled = self._veiled, set()
        for key in self._shown.keys() & veiled:
            if self._notifier is not None:
                self._put_up(self._notifier, key, self._shown[key])

    def take_back(self, thing: str) -> None:
        """What tells of a thing goes from the screen: the person has put it off."""
        for key, notice in list(self._shown.items()):
            if notice.thing == thing:
                self._withdraw(key)

    def look(self, snapshot: EngineSnapshot) -> None:
        """Questions that were answered elsewhere, or whose time is over, go from the screen."""
        waiting = {approval.id for approval in snapshot.approvals}
        for key, notice in list(self._shown.items()):
            if _asks(notice) and notice.target not in waiting:
                self._withdraw(key)

    def close(self) -> None:
        """Questions that nobody here could answer any more go from the screen."""
        if self._notifier is not None:
            for key, notice in list(self._shown.items()):
                if _asks(notice):
                    self._withdraw(key)
            self._notifier.close()

    def _withdraw(self, key: str) -> None:
        del self._shown[key]
        if self._notifier is not None:
            self._notifier.withdraw(key)

    def _acted(self, key: str, action: str, token: str) -> None:
        notice = self._shown.get(key)
        if notice is None:
            return
        if action == ALLOW and self._is_locked():
            log.warning("Approval %s was not answered from its notification: the screen is locked.", notice.target)
            self._veiled.add(key)  # it comes again when it is not
        elif action in dict(_actions(notice)):
            log.info("Approval %s is answered from its notification: %s.", notice.target, action)
            self._withdraw(key)
            self._answer(notice.target, action == ALLOW)
        else:
            come_by(token)
            self._follow(notice)

    def _failed(self, key: str) -> None:
        """It may be there all the same, or come later, and is answered then."""
        if (notice := self._shown.get(key)) is not None:
            self._message(notice)

    def _put_up_again(self, key: str) -> None:
        """What still waits; news is old by now."""
        notice = self._shown.get(key)
        if notice is not None and _asks(notice) and self._notifier is not None:
            self._put_up(self._notifier, key, notice)


def _body(notice: Notice) -> str:
    if not _asks(notice):
        return one_line(notice.body, LONGEST_BODY)
    said = short(visible_line(notice.body), QUESTION_LIMIT)
    return said if _fits(notice) else f"{said}  {tr('Open it to read all of it.')}"


def _actions(notice: Notice) -> tuple[tuple[str, str], ...]:
    """Nothing is allowed here that is not to be read here."""
    if not _asks(notice):
        return ()
    deny = (DENY, tr("Deny"))
    return ((ALLOW, tr("Allow once")), deny) if _fits(notice) else (deny,)


def _fits(question: Notice) -> bool:
    return question.is_whole and len(visible_line(question.body)) <= QUESTION_LIMIT


def _asks(notice: Notice) -> bool:
    return notice.action is Action.OPEN_APPROVAL and bool(notice.target)
