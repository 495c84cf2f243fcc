"""Settings, this program: the keys that open a new task from anywhere, and what the system says to them."""

from __future__ import annotations

from desktop.look.language import fact, tr
from desktop.look.theme import theme
from desktop.system.platforms.ports import HotkeyState
from desktop.widgets.buttons import Switch
from desktop.widgets.keys_field import KeysField
from desktop.widgets.setting_row import SettingRow
from desktop.windows.desk import Desk
from worker_core.errors import ConfigurationError

FIELD_WIDTH = 160


class HotkeyRow(SettingRow):
    """The switch, and beside it the field of the keys."""

    def __init__(self, desk: Desk, title: str, meaning: str) -> None:
        self._desk = desk
        self._keys = KeysField(tr("Keys"))
        self._keys.setFixedWidth(theme().scaled(FIELD_WIDTH))
        super().__init__(title, meaning, Switch(title), change=self._switch, aside=self._keys)
        self._keys.given.connect(lambda keys: self.complain(self._choose(keys)))
        self._hotkey = desk.hotkey()
        if self._hotkey is not None:
            self._hotkey.changed.connect(self._say_state)
        self._show()

    def _show(self) -> None:
        chosen = self._desk.settings.preferences
        self.show_value(chosen.hotkey_on)
        self._keys.show_keys(chosen.hotkey)
        self._say_state()

    def _switch(self, on: str | bool) -> str:
        return self._prefer(hotkey_on=bool(on))

    def _choose(self, keys: str) -> str:
        from desktop.system.platforms.combination import Combination  # with the first keys

        if Combination.of(keys) is None:
            self._keys.show_keys(self._desk.settings.preferences.hotkey)
            return tr("Press one key together with Ctrl, Alt or Meta.")
        return self._prefer(hotkey=keys)

    def _prefer(self, **changes: str | bool) -> str:
        try:
            self._desk.settings.prefer(**changes)
        except ConfigurationError as error:
            return fact(error)
        self._show()
        return ""

    def _say_state(self) -> None:
        state = self._hotkey.state if self._hotkey is not None else HotkeyState.OFF
        assigned = self._hotkey.assigned if self._hotkey is not None else ""
        match state:
            case HotkeyState.OFF:
                self.remark("")
            case HotkeyState.ON:
                self.remark(tr("Your desktop says: {keys}", keys=assigned) if assigned else "", tone="muted")
            case HotkeyState.ASKING:
                self.remark(tr("Your desktop is asked for these keys; it may ask you in turn."), tone="muted")
            case HotkeyState.TAKEN:
                self.remark(tr("Another program, or the system, has these keys. Press others in the field."))
            case HotkeyState.NO_SUCH_KEY:
                self.remark(tr("This keyboard does not give these keys. Press others in the field."))
            case HotkeyState.REFUSED:
                self.remark(tr("Your desktop did not give these keys. Switch this off and on to ask it once more."))
            case HotkeyState.UNSUPPORTED:
                self.remark(
                    tr(
                        "Kubiya Worker cannot take keys on this desktop. Where the desktop gives keys to commands, "
                        "give them to: kubiya-worker-desktop --ask"
                    )
                )
