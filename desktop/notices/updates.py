"""Asks once a day whether there is a newer release, where the person wants that, and tells. It never downloads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from desktop.look.language import fact, tr
from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.notices.releases import RELEASES_URL, ReleaseAnswer, is_newer
from desktop.settings.store import SettingsStore
from worker_core import __version__
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError

log = logging.getLogger(__name__)

EVERY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """What is known. `newest` is empty where nobody asked; `trouble` is why the last question has no answer.
    `withdrawn` is why nobody should run this version.
    """

    newest: str = ""
    withdrawn: str = ""
    trouble: str = ""
    asking: bool = False

    @property
    def is_newer(self) -> bool:
        return is_newer(self.newest, __version__)


class UpdateWatch:
    """Off: no question and no timer. Belongs to one event loop."""

    def __init__(
        self,
        *,
        ask: Callable[[], Awaitable[ReleaseAnswer]],
        store: SettingsStore,
        say: Callable[[Notice], None],
        page: str = RELEASES_URL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`ask` answers or raises KubiyaError; when it was asked last, and what was believed, is in the preferences.

        `page` shows the releases to a person.
        """
        self.page = page
        self.state = UpdateState()
        self._ask = ask
        self._store = store
        self._say = say
        self._now = now
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []
        store.changed.connect(self.look)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when `state` has changed."""
        self._listeners.append(listener)

    def look(self) -> None:
        """Ask where it is time to, and look again when it is next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._store.preferences.check_for_updates:
            return
        left = self._left()
        if left <= timedelta(0):
            self.ask_now()
            left = EVERY
        self._timer = asyncio.get_running_loop().call_later(left.total_seconds(), self.look)

    def ask_now(self) -> None:
        """Ask, whatever the preferences say: the person wants to know."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._find_out(), name="update check")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()

    def _left(self) -> timedelta:
        """Until the next question. A clock that was put back does not put it off for longer than a day."""
        try:
            asked = datetime.fromisoformat(self._store.preferences.update_asked)
            return min(asked + EVERY - self._now(), EVERY)
        except (ValueError, TypeError):
            return timedelta(0)

    async def _find_out(self) -> None:
        self._show(replace(self.state, asking=True))
        self._store.remember(update_asked=self._now().isoformat(timespec="seconds"))
        try:
            answer = await self._ask()
        except KubiyaError as error:
            log.info("Whether there is a newer release is not known: %s", error.sentence)
            self._show(replace(self.state, trouble=fact(error), asking=False))
            return
        newest = answer.version
        if (seen := answer.seen) is not None:
            self._store.remember(update_keys_seen=seen.generation, update_index_seen=seen.sequence)
        self._show(UpdateState(newest=newest, withdrawn=answer.withdrawn))
        self._tell_withdrawn(answer.withdrawn)
        if self.state.is_newer and self._store.preferences.update_told != newest:
            self._store.remember(update_told=newest)
            self._say(
                Notice(
                    title=tr("Kubiya Worker {version} is there", version=newest),
                    body=tr("This is {version}. Settings lead to the page of the release.", version=__version__),
                    level=Level.NEWS,
                    action=Action.SETTINGS,
                )
            )

    def _tell_withdrawn(self, reason: str) -> None:
        """Each time it is asked: whoever goes on with such a version should know that."""
        if reason:
            self._say(
                Notice(
                    title=tr("Kubiya Worker {version} was withdrawn", version=__version__),
                    body=reason,
                    level=Level.PROBLEM,
                    action=Action.SETTINGS,
                )
            )

    def _show(self, state: UpdateState) -> None:
        self.state = state
        for listener in tuple(self._listeners):
            listener()
