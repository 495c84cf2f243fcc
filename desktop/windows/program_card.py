"""Settings, this program: what a person wants of the window and the tray themselves."""

from __future__ import annotations

from functools import partial

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLineEdit

from desktop.look.language import LANGUAGES, fact, tr
from desktop.look.theme import theme
from desktop.system.platforms.ports import Autostart, autostart_state, set_autostart
from desktop.system.popover_place import popover_has_a_place
from desktop.widgets.buttons import Switch
from desktop.widgets.choice import Choice
from desktop.widgets.setting_row import SettingCard, SettingRow
from desktop.windows.desk import Desk
from desktop.windows.hotkey_row import HotkeyRow
from worker_core.errors import ConfigurationError
from worker_core.settings import as_text


def program_texts() -> dict[str, tuple[str, str]]:
    """Title and meaning of each preference that the card has, in its order."""
    texts = {
        "appearance": (tr("Appearance"), tr("Light or dark.")),
        "language": (tr("Language"), tr("From the next start of this program on.")),
        "icon_click": (
            tr("A click on the icon opens"),
            tr("The popover has what waits and what runs. A double click opens the window."),
        ),
        "notifications": (tr("Notifications"), tr("What the system tells you about.")),
        "start_worker": (tr("Start working when this program starts"), ""),
        "keep_awake": (tr("Keep this machine awake while a task runs"), ""),
        "drain_before_sleep": (tr("Take nothing new before the machine sleeps"), ""),
        "pause_on_metered_network": (tr("Pause on metered networks"), tr("Takes nothing new on them.")),
        "pause_below_battery_percent": (tr("Pause below this battery level"), tr("Percent. 0: never.")),
        "hotkey_on": (
            tr("Ask an agent from anywhere"),
            tr("These keys open a new task, whatever program is in front."),
        ),
        "check_for_updates": (tr("Ask for newer releases"), tr("Once a day; nothing is downloaded.")),
    }
    if not popover_has_a_place():
        del texts["icon_click"]
    return texts


class ProgramCard(SettingCard):
    """Preferences, which hold at once; and the entry that starts the program at login, looked at when it is seen."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(tr("This program"))
        self._desk = desk
        self.rows: dict[str, SettingRow] = {}
        preferences = desk.settings.preferences

        def choice(name: str, options: list[tuple[str, str]]) -> Choice:
            made = Choice(name, options)
            made.setFixedWidth(theme().scaled(160))
            return made

        modes = [("system", tr("As the system")), ("light", tr("Light")), ("dark", tr("Dark"))]
        levels = [("all", tr("Everything")), ("problems", tr("Problems alone")), ("none", tr("Nothing"))]
        clicks = [("popover", tr("The popover")), ("window", tr("The window"))]
        languages = [("", tr("As the system")), *LANGUAGES]
        battery = QLineEdit()
        battery.setFixedWidth(theme().scaled(110))
        controls: dict[str, Choice | QLineEdit] = {
            "appearance": choice(tr("Appearance"), modes),
            "language": choice(tr("Language"), languages),
            "icon_click": choice(tr("A click on the icon opens"), clicks),
            "notifications": choice(tr("Notifications"), levels),
            "pause_below_battery_percent": battery,
        }
        for name, (title, meaning) in program_texts().items():
            if name == "hotkey_on":
                self.rows[name] = HotkeyRow(desk, title, meaning)
                self.add(self.rows[name])
                continue
            change = self._appear if name == "appearance" else partial(self._prefer, name)
            line = SettingRow(title, meaning, controls.get(name) or Switch(title), change=change)
            value = getattr(preferences, name)
            line.show_value(value if isinstance(value, bool) else as_text(value))
            self.add(line)
            self.rows[name] = line
            if name == "notifications":
                self.add(self._at_login())

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._show_autostart()
        self.rows["appearance"].show_value(self._desk.settings.preferences.appearance)  # it is a command, too

    def _at_login(self) -> SettingRow:
        title = tr("Start at login")
        self._login = SettingRow(
            title, tr("Start Kubiya Worker when you log in"), Switch(title), change=self._change_autostart
        )
        self._show_autostart()
        return self._login

    def _show_autostart(self) -> None:
        state = autostart_state(self._desk.autostart)
        self._login.show_value(state in {Autostart.ON, Autostart.BLOCKED})
        self._login.setEnabled(state is not Autostart.UNSUPPORTED)
        self._login.remark(
            {
                Autostart.UNSUPPORTED: tr("Start at login is not possible here"),
                Autostart.BLOCKED: tr("Start at login (switched off by the system)"),
                Autostart.FOREIGN: tr("Another copy of this program starts now; switch it on to start this one."),
            }.get(state, "")
        )

    def _change_autostart(self, wanted: str | bool) -> str:
        said = ""
        try:
            set_autostart(self._desk.autostart, on=bool(wanted))
        except OSError as error:
            said = tr("Start at login could not be changed: {reason}.", reason=error.strerror or error)
        self._show_autostart()
        self._desk.settings.changed.emit()
        return said

    def _appear(self, value: str | bool) -> str:
        said = self._prefer("appearance", value)
        if value in {"system", "light", "dark"}:
            theme().set_mode(value)  # type: ignore[arg-type]
        return said

    def _prefer(self, name: str, value: str | bool) -> str:
        known = getattr(self._desk.settings.preferences, name)
        given: str | bool | int = value
        if type(known) is int:
            if not str(value).isdigit() or int(value) > 100:
                return tr("It must be a number from 0 to 100.")
            given = int(value)
        try:
            self._desk.settings.prefer(**{name: given})
        except ConfigurationError as error:
            return fact(error)
        return ""
