"""Keys that open a new task from anywhere, as the person's preferences have them. Not imported while they are off."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from desktop.look.language import tr
from desktop.settings.store import SettingsStore
from desktop.system.platforms.combination import Combination
from desktop.system.platforms.ports import Hotkey, HotkeyState


class HotkeyKeeper(QObject):
    """Follows the preferences `hotkey_on` and `hotkey`, from `look` on."""

    pressed = Signal(str)
    """With the token by which a window may come forward on Wayland, or nothing."""

    changed = Signal()
    """`state` or `assigned` says something else."""

    def __init__(
        self, *, make: Callable[[], Hotkey | None], store: SettingsStore, parent: QObject | None = None
    ) -> None:
        """`make`: this system's; asked when it is switched on first."""
        super().__init__(parent)
        self._make, self._store = make, store
        self._hotkey: Hotkey | None = None
        self._wished = ""
        self._fails: HotkeyState | None = None
        """It is wished, and no system needs to be asked."""

        store.changed.connect(self.look)

    @property
    def state(self) -> HotkeyState:
        if self._fails is not None:
            return self._fails
        return self._hotkey.state if self._hotkey is not None else HotkeyState.OFF

    @property
    def assigned(self) -> str:
        """As `ports.Hotkey` has it."""
        return self._hotkey.assigned if self._hotkey is not None else ""

    def look(self) -> None:
        """Do what the preferences say. They change for other reasons, too."""
        chosen = self._store.preferences
        wished = chosen.hotkey if chosen.hotkey_on else ""
        if wished == self._wished:
            return
        self._wished = wished
        keys = Combination.of(wished)
        if keys is not None and self._hotkey is None:
            self._hotkey = self._made()
        if self._hotkey is not None and keys is not None:
            self._fail(None)
            self._hotkey.take(keys, purpose=tr("Ask an agent: open a new task"))
            return
        if self._hotkey is not None:
            self._hotkey.release()
        if not wished:
            self._fail(None)
        else:
            self._fail(HotkeyState.NO_SUCH_KEY if keys is None else HotkeyState.UNSUPPORTED)

    def close(self) -> None:
        self._store.changed.disconnect(self.look)
        if self._hotkey is not None:
            self._hotkey.release()

    def _made(self) -> Hotkey | None:
        made = self._make()
        if made is not None:
            made.pressed.connect(self.pressed)
            made.changed.connect(self.changed)
        return made

    def _fail(self, state: HotkeyState | None) -> None:
        if state is not self._fails:
            self._fails = state
            self.changed.emit()
