"""What every way to have keys from anywhere tells: its state, and when it changes."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from desktop.system.platforms.ports import HotkeyState


class TellsState(QObject):
    """The half of `ports.Hotkey` that a person reads. Begins as off."""

    pressed = Signal(str)
    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = HotkeyState.OFF
        self._assigned = ""

    @property
    def state(self) -> HotkeyState:
        return self._state

    @property
    def assigned(self) -> str:
        return self._assigned

    def _be(self, state: HotkeyState, assigned: str = "") -> None:
        if (state, assigned) != (self._state, self._assigned):
            self._state, self._assigned = state, assigned
            self.changed.emit()
