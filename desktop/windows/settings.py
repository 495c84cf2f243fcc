"""Settings: every one of them, checked as they are typed with the worker's own sentences."""

from __future__ import annotations

from functools import partial
from itertools import groupby

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QScrollArea, QWidget

from desktop.look.language import LANGUAGES, tr
from desktop.look.theme import theme
from desktop.system.platforms.ports import Autostart, autostart_state, set_autostart
from desktop.widgets.buttons import Button, IconButton, Switch
from desktop.widgets.choice import Choice
from desktop.widgets.choice_or_text import ChoiceOrText
from desktop.widgets.layouts import row
from desktop.widgets.setting_row import CONTROL_WIDTH, SettingCard, SettingRow
from desktop.widgets.surfaces import Card, EmptyState, Line
from desktop.widgets.text import Label
from desktop.windows.connection_test import ConnectionTest
from desktop.windows.desk import Desk
from desktop.windows.diagnostics_card import DiagnosticsCard
from desktop.windows.key_card import KeyCard
from desktop.windows.page import Page
from desktop.windows.queue_dialog import QueueDialog
from desktop.windows.setting_fields import FieldText, option_text, shown_fields
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.settings import SETTINGS, Kind, Settings, as_text
from worker_core.snapshot import EngineState


class SettingsPage(Page):
    name = "settings"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Settings"))
        self.say_below(tr("What you change is checked at once, and takes effect when the worker starts next."))
        self.rows: dict[str, SettingRow] = {}
        self._search = self._build_search()
        self.tools.addWidget(self._search)
        self._cards: list[Card] = [self._program()]
        self._key: KeyCard | None = None
        if desk.keys is not None:
            self._key = KeyCard(desk.keys, desk.background)
            self._key.replaced.connect(self._key_replaced)
            self._cards.append(self._key)
        for group, fields in groupby(shown_fields().items(), key=lambda pair: pair[1].group):
            settings = SettingCard(group)
            for name, text in fields:
                settings.add(self._row(name, text))
            if group == tr("Connection"):
                settings.body.addWidget(Line())
                settings.body.addWidget(ConnectionTest(desk.test_connection, desk.background))
            self._cards.append(settings)
        if desk.policy is not None:
            self._cards.append(self._policy())
        self._cards.append(DiagnosticsCard(desk))
        for card in self._cards:
            self.body.addWidget(card)
        self._none = EmptyState(
            "search", tr("Nothing matches"), tr("Search for the name of a setting, or for what it does.")
        )
        self._none.hide()
        self.body.addWidget(self._none)
        self.body.addStretch(1)
        self.refresh()

    def search(self) -> None:
        self._search.setFocus()
        self._search.selectAll()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._show_autostart()

    def reveal_key(self) -> None:
        """Lead the person to the API key."""
        if self._key is None:
            return
        self._search.clear()
        self._key.open()
        QTimer.singleShot(0, self._key, lambda: self._scroll_to(self._key))

    def _scroll_to(self, card: QWidget | None) -> None:
        area = self.findChild(QScrollArea)
        if area is not None and card is not None:
            area.ensureWidgetVisible(card, 0, 80)

    def _key_replaced(self) -> None:
        if self.desk.worker.snapshot.state in {EngineState.FAILED, EngineState.STOPPED}:
            self.desk.background.ask(self.desk.worker.start(), doing=tr("start the worker"))
        else:
            self.desk.say(tr("The new key is used when the worker starts next."), tone="success")

    def _build_search(self) -> QLineEdit:
        field = QLineEdit()
        field.setProperty("variant", "search")
        field.setAccessibleName(tr("Search settings"))
        field.setPlaceholderText(tr("Search settings"))
        field.setFixedWidth(220)
        field.textChanged.connect(self._narrow)
        return field

    def _narrow(self, typed: str) -> None:
        words = typed.strip()
        found = [card.narrow(words) for card in self._cards]
        self._none.setVisible(not any(found))

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
        control: QLineEdit | Switch | Choice | ChoiceOrText
        if text.kind is Kind.SWITCH:
            control = Switch(text.title)
        elif text.kind is Kind.CHOICE:
            control = Choice(text.title, [(option, option_text(option)) for option in text.options])
            control.setFixedWidth(160)
        elif name == "proxy":
            control = ChoiceOrText(
                text.title,
                [("system", tr("As the system")), ("none", tr("No proxy"))],
                typed=tr("This one"),
                field=tr("Address of the proxy"),
                example="http://proxy.example:3128",
                width=CONTROL_WIDTH - 40,
            )
        else:
            control = QLineEdit()
            if text.kind in {Kind.NUMBER, Kind.TIME}:
                control.setFixedWidth(110)
            else:
                control.setMinimumWidth(CONTROL_WIDTH - (80 if text.kind is Kind.FILE or name == "queue_ids" else 40))
        if isinstance(control, QLineEdit):
            control.setPlaceholderText(as_text(SETTINGS[name].default))
        line = SettingRow(
            text.title,
            text.meaning,
            control,
            change=lambda value: self._change(name, value),
            reset=lambda: self._reset(name),
            picks_file=text.kind is Kind.FILE,
            aside=self._queue_picker() if name == "queue_ids" else None,
        )
        self.rows[name] = line
        return line

    def _queue_picker(self) -> IconButton | None:
        fleet = self.desk.fleet
        if fleet is None:
            return None
        button = IconButton("queues", tr("Choose queues by name"))

        def pick() -> None:
            try:
                picked = self.desk.settings.settings().queue_ids
            except ConfigurationError:
                picked = ()
            dialog = QueueDialog(
                fleet, self.desk.background, picked=picked, take=self._use_queues, parent=self.window()
            )
            dialog.open()
            dialog.look()

        button.clicked.connect(pick)
        return button

    def _use_queues(self, queue_ids: tuple[str, ...]) -> None:
        self.rows["queue_ids"].complain(self._change("queue_ids", ", ".join(queue_ids)))

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

    def _program(self) -> Card:
        preferences = self.desk.settings.preferences
        card = SettingCard(tr("This program"))

        def choice(name: str, options: list[tuple[str, str]]) -> Choice:
            made = Choice(name, options)
            made.setFixedWidth(160)
            return made

        modes = [("system", tr("As the system")), ("light", tr("Light")), ("dark", tr("Dark"))]
        levels = [("all", tr("Everything")), ("problems", tr("Problems alone")), ("none", tr("Nothing"))]
        languages = [("", tr("As the system")), *LANGUAGES]
        battery = QLineEdit()
        battery.setFixedWidth(110)
        controls: list[tuple[str, str, str, Switch | Choice | QLineEdit | None]] = [
            ("appearance", tr("Appearance"), tr("Light or dark."), choice(tr("Appearance"), modes)),
            (
                "language",
                tr("Language"),
                tr("From the next start of this program on."),
                choice(tr("Language"), languages),
            ),
            (
                "notifications",
                tr("Notifications"),
                tr("What the system tells you about."),
                choice(tr("Notifications"), levels),
            ),
            ("start_worker", tr("Start working when this program starts"), "", None),
            ("keep_awake", tr("Keep this machine awake while a task runs"), "", None),
            ("drain_before_sleep", tr("Take nothing new before the machine sleeps"), "", None),
            ("pause_on_metered_network", tr("Pause on metered networks"), tr("Takes nothing new on them."), None),
            ("pause_below_battery_percent", tr("Pause below this battery level"), tr("Percent. 0: never."), battery),
            ("check_for_updates", tr("Ask for newer releases"), tr("Once a day; nothing is downloaded."), None),
        ]
        for name, title, meaning, control in controls:
            change = self._appear if name == "appearance" else partial(self._prefer, name)
            line = SettingRow(title, meaning, control or Switch(title), change=change)
            value = getattr(preferences, name)
            line.show_value(value if isinstance(value, bool) else as_text(value))
            card.add(line)
            if name == "notifications":
                card.add(self._at_login())
        return card

    def _at_login(self) -> SettingRow:
        title = tr("Start at login")
        self._login = SettingRow(
            title, tr("Start Kubiya Worker when you log in"), Switch(title), change=self._change_autostart
        )
        self._show_autostart()
        return self._login

    def _show_autostart(self) -> None:
        state = autostart_state(self.desk.autostart)
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
            set_autostart(self.desk.autostart, on=bool(wanted))
        except OSError as error:
            said = tr("Start at login could not be changed: {reason}.", reason=error.strerror or error)
        self._show_autostart()
        self.desk.settings.changed.emit()
        return said

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

    # -- the policy -----------------------------------------------------------------------------------------------

    def _policy(self) -> Card:
        store = self.desk.policy
        assert store is not None
        try:
            text, unreadable = store.text(), ""
        except KubiyaError as error:
            text, unreadable = "", error.sentence
        editor = QPlainTextEdit(text)
        editor.setReadOnly(bool(unreadable))
        editor.setProperty("variant", "field")
        editor.setFont(theme().font("code"))
        editor.setAccessibleName(tr("Policy"))
        editor.setTabChangesFocus(True)
        editor.setMinimumHeight(220)
        wrong = unreadable or store.check(text)
        verdict = Label(wrong, role="small", tone="danger" if wrong else "muted", wrap=True)
        save = Button(tr("Save the policy"), variant="primary")
        save.setEnabled(False)

        def check() -> None:
            wrong = store.check(editor.toPlainText())
            verdict.set_tone("danger" if wrong else "success")
            verdict.setText(wrong or tr("The policy can be read."))
            save.setEnabled(not wrong and editor.toPlainText() != text)

        def write() -> None:
            nonlocal text
            try:
                store.save(editor.toPlainText())
            except KubiyaError as error:
                self.desk.say(error.sentence)
            else:
                text = editor.toPlainText()
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
