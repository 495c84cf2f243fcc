"""Settings: every one of them, checked as they are typed with the worker's own sentences."""

from __future__ import annotations

from functools import partial
from itertools import groupby

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit

from desktop.language import LANGUAGES, tr
from desktop.theme import theme
from desktop.widgets.buttons import Button, Switch
from desktop.widgets.choice import Choice
from desktop.widgets.layouts import column, row
from desktop.widgets.setting_row import CONTROL_WIDTH, SettingRow
from desktop.widgets.surfaces import Card, Line
from desktop.widgets.text import Label
from desktop.windows.desk import Desk
from desktop.windows.page import Page
from desktop.windows.setting_fields import FieldText, as_text, shown_fields
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.settings import Settings


class SettingsPage(Page):
    name = "settings"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Settings"))
        self.say_below(tr("What you change is checked at once, and takes effect when the worker starts next."))
        self.rows: dict[str, SettingRow] = {}
        self.body.addWidget(self._appearance())
        for group, fields in groupby(shown_fields().items(), key=lambda pair: pair[1].group):
            card = Card(group)
            for number, (name, text) in enumerate(fields):
                if number:
                    card.body.addWidget(Line())
                card.body.addWidget(self._row(name, text))
            if group == tr("Connection"):
                card.body.addWidget(Line())
                card.body.addLayout(self._connection_test())
            self.body.addWidget(card)
        if desk.policy is not None:
            self.body.addWidget(self._policy())
        self.body.addWidget(self._diagnostics())
        self.body.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """Show what is in force."""
        store = self.desk.settings
        try:
            settings = store.settings()
        except ConfigurationError as error:
            self.desk.say(error.sentence)
            settings = Settings()
        for name, line in self.rows.items():
            value = getattr(settings, name)
            line.show_value(
                value if isinstance(value, bool) else as_text(value),
                changed=store.is_changed(name),
                elsewhere=store.decided_elsewhere(name),
            )

    # -- the worker's own -----------------------------------------------------------------------------------------

    def _row(self, name: str, text: FieldText) -> SettingRow:
        control: QLineEdit | Switch | Choice
        if text.kind == "switch":
            control = Switch(text.title)
        elif text.kind == "choice":
            control = Choice(text.title, [(option, option.capitalize()) for option in text.options])
            control.setFixedWidth(140)
        else:
            control = QLineEdit()
            if text.kind in {"number", "seconds"}:
                control.setFixedWidth(110)
            else:
                control.setMinimumWidth(CONTROL_WIDTH - 40)
        default = as_text(Settings.__dataclass_fields__[name].default)
        if isinstance(control, QLineEdit):
            control.setPlaceholderText(default if "factory" not in default else "")
        line = SettingRow(
            text.title,
            text.meaning,
            control,
            change=lambda value: self._change(name, value),
            reset=lambda: self._reset(name),
            picks_file=text.kind == "file",
            unit=tr("seconds") if text.kind == "seconds" else "",
        )
        self.rows[name] = line
        return line

    def _change(self, name: str, value: str | bool) -> str:
        try:
            self.desk.settings.change(**{name: value})
        except ConfigurationError as error:
            return error.sentence
        self.refresh()
        return ""

    def _reset(self, name: str) -> None:
        try:
            self.desk.settings.change(**{name: None})
        except ConfigurationError as error:
            self.rows[name].complain(error.sentence)
        else:
            self.refresh()

    # -- the window's own -----------------------------------------------------------------------------------------

    def _appearance(self) -> Card:
        preferences = self.desk.settings.preferences
        card = Card(tr("This window"))
        modes = [("system", tr("As the system")), ("light", tr("Light")), ("dark", tr("Dark"))]
        look = Choice(tr("Appearance"), modes)
        look.setFixedWidth(160)
        line = SettingRow(tr("Appearance"), tr("Light or dark."), look, change=self._appear)
        line.show_value(preferences.appearance)
        card.body.addWidget(line)
        levels = [("all", tr("Everything")), ("problems", tr("Problems alone")), ("none", tr("Nothing"))]
        notices = Choice(tr("Notifications"), levels)
        notices.setFixedWidth(160)
        languages = Choice(tr("Language"), [("", tr("As the system")), *LANGUAGES])
        languages.setFixedWidth(160)
        battery = QLineEdit()
        battery.setFixedWidth(110)
        controls: list[tuple[str, str, str, Switch | Choice | QLineEdit | None]] = [
            ("language", tr("Language"), tr("From the next start of this program on."), languages),
            ("notifications", tr("Notifications"), tr("What the system tells you about."), notices),
            ("start_worker", tr("Start working when this program starts"), "", None),
            ("keep_awake", tr("Keep this machine awake while a task runs"), "", None),
            ("drain_before_sleep", tr("Take nothing new before the machine sleeps"), "", None),
            ("pause_on_metered_network", tr("Pause on metered networks"), tr("Takes nothing new on them."), None),
            ("pause_below_battery_percent", tr("Pause below this battery level"), tr("Percent. 0: never."), battery),
        ]
        for name, title, meaning, control in controls:
            card.body.addWidget(Line())
            line = SettingRow(title, meaning, control or Switch(title), change=partial(self._prefer, name))
            value = getattr(preferences, name)
            line.show_value(value if isinstance(value, bool) else as_text(value))
            card.body.addWidget(line)
        return card

    def _appear(self, value: str | bool) -> str:
        said = self._prefer("appearance", value)
        if value in {"system", "light", "dark"}:
            theme().set_mode(value)  # type: ignore[arg-type]
        return said

    def _prefer(self, name: str, value: str | bool) -> str:
        known = getattr(self.desk.settings.preferences, name)
        given: str | bool | int = value
        if type(known) is int:
            if not str(value).isdigit() or int(value) > 100:
                return tr("It must be a number from 0 to 100.")
            given = int(value)
        try:
            self.desk.settings.prefer(**{name: given})
        except ConfigurationError as error:
            return error.sentence
        return ""

    # -- connection, policy, diagnostics --------------------------------------------------------------------------

    def _connection_test(self) -> QHBoxLayout:
        result = Label("", role="small", tone="muted", wrap=True)
        button = Button(tr("Test the connection"), icon="network")
        button.setEnabled(self.desk.test_connection is not None)

        def start() -> None:
            test = self.desk.test_connection
            if test is None:
                return
            button.setEnabled(False)
            result.set_tone("muted")
            result.setText(tr("Asking the control plane…"))

            async def ask() -> None:
                try:
                    result.setText(str(await test()))
                    result.set_tone("success")
                except KubiyaError as error:
                    result.setText(error.sentence)
                    result.set_tone("danger")
                finally:
                    button.setEnabled(True)

            self.desk.wishes.ask(ask(), doing=tr("test the connection"))

        button.clicked.connect(start)
        note = Label(
            tr("Through the system's proxy, with the system's certificates and yours."),
            role="small",
            tone="muted",
            wrap=True,
        )
        line = row(column(note, result, gap=2), button)
        line.setStretch(0, 1)
        return line

    def _policy(self) -> Card:
        store = self.desk.policy
        assert store is not None
        editor = QPlainTextEdit(store.text())
        editor.setProperty("variant", "field")
        editor.setFont(theme().font("code"))
        editor.setAccessibleName(tr("Policy"))
        editor.setTabChangesFocus(True)
        editor.setMinimumHeight(220)
        verdict = Label("", role="small", tone="muted", wrap=True)
        save = Button(tr("Save the policy"), variant="primary")
        save.setEnabled(False)

        def check() -> None:
            wrong = store.check(editor.toPlainText())
            verdict.set_tone("danger" if wrong else "success")
            verdict.setText(wrong or tr("The policy can be read."))
            save.setEnabled(not wrong and editor.toPlainText() != store.text())

        def write() -> None:
            try:
                store.save(editor.toPlainText())
            except KubiyaError as error:
                self.desk.say(error.sentence)
            else:
                save.setEnabled(False)
                self.desk.say(tr("The policy is saved."), tone="success")

        editor.textChanged.connect(check)
        save.clicked.connect(write)
        card = Card(tr("Policy"))
        card.body.addWidget(Label(tr("What agents may do, must ask about, and may never do."), tone="muted"))
        card.body.addWidget(editor)
        line = row(verdict, save)
        line.setStretch(0, 1)
        card.body.addLayout(line)
        return card

    def _diagnostics(self) -> Card:
        copy = Button(tr("Copy"), icon="copy", variant="quiet")
        card = Card(tr("Diagnostics"), aside=copy)
        snapshot = self.desk.worker.snapshot
        facts = {
            tr("Version"): snapshot.version or "–",
            tr("This machine"): snapshot.host_id or "–",
            tr("Process"): str(snapshot.pid or "–"),
            tr("Control plane"): snapshot.control_plane_url or "–",
            **(self.desk.diagnose() if self.desk.diagnose is not None else {}),
        }
        for name, value in facts.items():
            said = Label(name, role="small", tone="muted")
            said.setFixedWidth(150)
            card.body.addLayout(row(said, Label(value, role="code").selectable(), None, gap=16))
        text = "\n".join(f"{name}: {value}" for name, value in facts.items())
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(text))
        return card
