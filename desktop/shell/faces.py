"""Windows and the popover, made when they are wanted first: a tenth of a second of imports, which no icon waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from desktop.settings.keys import Keys
from desktop.shell.bridge import Bridge
from desktop.shell.garbage import GarbageKeeper
from desktop.system.platforms.ports import ScreenLock
from desktop.tray.actions import Actions
from desktop.windows.desk import Desk

if TYPE_CHECKING:
    from desktop.popover.popover import Popover
    from desktop.windows.first_run import FirstRunWindow
    from desktop.windows.main import MainWindow


class Faces:
    """Makes them and joins them to what they show."""

    def __init__(
        self,
        *,
        desk: Desk,
        bridge: Bridge,
        actions: Actions,
        keys: Keys,
        screen_lock: ScreenLock | None,
        garbage: GarbageKeeper,
    ) -> None:
        """`garbage` is told of each, so that it looks at less later."""
        self._desk, self._bridge, self._actions, self._keys = desk, bridge, actions, keys
        self._screen_lock, self._garbage = screen_lock, garbage

    def window(self) -> MainWindow:
        """The main window, which follows the worker from now on."""
        from desktop.windows.main import MainWindow

        self._dress()
        made = MainWindow(self._desk)
        self._bridge.snapshot_changed.connect(made.take)
        self._bridge.events_arrived.connect(made.apply)
        self._bridge.logs_arrived.connect(made.add_lines)
        self._garbage.settle()
        return made

    def popover(self) -> Popover:
        """What opens beside the icon."""
        from desktop.popover.popover import Popover

        self._dress()
        made = Popover(self._desk, screen_lock=self._screen_lock)
        made.chosen.connect(self._actions.carry_out)
        self._garbage.settle()
        return made

    def first_run(self, *, finished: Callable[[], None], playground_wanted: Callable[[], None]) -> FirstRunWindow:
        """Where nothing is set up yet."""
        from desktop.settings.onboarding import Onboarding
        from desktop.windows.background import Background
        from desktop.windows.first_run import FirstRunWindow

        self._dress()
        autostart = self._desk.autostart
        onboarding = Onboarding(
            keys=self._keys,
            store=self._desk.settings,
            start_at_login=autostart.write if autostart is not None else None,
        )
        made = FirstRunWindow(onboarding, Background())
        made.finished.connect(finished)
        made.playground_wanted.connect(playground_wanted)
        made.page_wanted.connect(self._desk.outside.open_url)
        return made

    def _dress(self) -> None:
        from desktop.look.theme import theme

        theme().set_mode(self._desk.settings.preferences.appearance)
