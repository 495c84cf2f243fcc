"""Settings: every one of them, checked as they are typed with the worker's own sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.look.language import fact, retold, tr
from desktop.look.theme import theme
from desktop.look.wording import tooltip_text
from desktop.settings.keys import Keys
from desktop.widgets.buttons import IconButton, Switch
from desktop.widgets.choice import Choice
from desktop.widgets.choice_or_text import ChoiceOrText
from desktop.widgets.setting_row import CONTROL_WIDTH, SettingCard, SettingRow
from desktop.widgets.surfaces import Card, EmptyState, Line
from desktop.windows.connection_test import ConnectionTest
from desktop.windows.desk import Desk
from desktop.windows.diagnostics_card import DiagnosticsCard
from desktop.windows.in_pieces import InPieces, Piece
from desktop.windows.key_card import KeyCard, key_title
from desktop.windows.page import Page
from desktop.windows.policy_card import PolicyCard
from desktop.windows.program_card import ProgramCard, program_texts
from desktop.windows.queue_dialog import QueueDialog
from desktop.windows.setting_fields import FieldText, empty_text, option_text, shown_fields
from worker_core.errors import ConfigurationError
from worker_core.settings import SETTINGS, Kind, Reading, as_text
from worker_core.snapshot import EngineSnapshot, EngineState

ROWS_AT_ONCE = 4
"""Of a section, between two looks at what else happens: about ten milliseconds."""


class SettingsPage(Page):
    name = "settings"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Settings"))
        self.say_below(
            tr("What you change is checked at once. A worker that runs takes up what it can; what has to wait says so.")
        )
        self._later: tuple[str, ...] = ()
        self._wrong = ""
        self.rows: dict[str, SettingRow] = {}
        self._search = self._build_search()
        self.tools.addWidget(self._search)
        self._program: ProgramCard | None = None
        self._key: KeyCard | None = None
        self._policy: PolicyCard | None = None
        self._cards: list[Card] = []
        self._none = EmptyState(
            "search", tr("Nothing matches"), tr("Search for the name of a setting, or for what it does.")
        )
        self._none.hide()
        self.body.addWidget(self._none)
        self.body.addStretch(1)
        self._pieces = InPieces(self, self._sections())
        self.refresh()

    def _sections(self) -> Iterator[Piece]:
        """What the page consists of, from the top to the bottom."""
        yield tuple(program_texts()), self._add_program
        if self.desk.keys is not None:
            yield ("key",), partial(self._add_key, self.desk.keys)
        for group, fields in groupby(shown_fields().items(), key=lambda pair: pair[1].group):
            settings = tuple(fields)
            for first in range(0, len(settings), ROWS_AT_ONCE):
                some = dict(settings[first : first + ROWS_AT_ONCE])
                is_last = first + ROWS_AT_ONCE >= len(settings)
                yield tuple(some), partial(self._add_settings, group, some, is_first=not first, is_last=is_last)
        yield (), self._add_policy
        yield (), self._add_trial
        yield (), lambda: self._add(DiagnosticsCard(self.desk))

    def _add(self, card: Card) -> None:
        self.body.insertWidget(len(self._cards), card)
        card.show()  # at once: what is added to what is seen is else shown later
        self._cards.append(card)

    def _add_program(self) -> None:
        self._program = ProgramCard(self.desk)
        self._add(self._program)

    def _add_key(self, keys: Keys) -> None:
        self._key = KeyCard(keys, self.desk.background)
        self._key.replaced.connect(self._key_replaced)
        self._add(self._key)

    def _add_policy(self) -> None:
        self._policy = PolicyCard(self.desk)
        self._add(self._policy)

    def _add_trial(self) -> None:
        assert self._policy is not None, "pieces are made in their order"
        self._policy.add_trial()

    def _add_settings(self, group: str, fields: Mapping[str, FieldText], *, is_first: bool, is_last: bool) -> None:
        """Some rows of a section, below those that it has."""
        before = self._cards[-1] if not is_first else None
        card = before if isinstance(before, SettingCard) else SettingCard(group)
        for name, text in fields.items():
            card.add(self._row(name, text))
        if is_last and group == tr("Connection"):
            test = ConnectionTest(self.desk.diagnosis.test_connection, self.desk.background)
            for part in (Line(), test):
                card.body.addWidget(part)
                part.show()
        self._show(fields)
        if is_first:
            self._add(card)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._pieces.resume(enough=self._fills_the_window)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        self._pieces.rest()

    def _fills_the_window(self) -> bool:
        head = self.title.sizeHint().height() + self.subtitle.sizeHint().height()
        return head + sum(card.sizeHint().height() for card in self._cards) >= self.window().height()

    @property
    def is_whole(self) -> bool:
        """Whether all sections are there; while the page is seen, they come by themselves."""
        return self._pieces.is_whole

    def search(self) -> None:
        self._search.setFocus()
        self._search.selectAll()

    def reveal(self, name: str) -> None:
        """Lead the person to a setting, or to the `key`."""
        self._pieces.make_through(name)
        program = self._program.rows if self._program is not None else {}
        found = self._key if name == "key" else self.rows.get(name) or program.get(name)
        if found is None:
            return
        self._search.clear()
        if isinstance(found, KeyCard):
            found.open()
        QTimer.singleShot(0, found, partial(self._lead_to, found))

    def _lead_to(self, card: QWidget) -> None:
        self.scroll_to(card)
        if isinstance(card, SettingRow):
            card.take_focus()

    def all(self) -> list[tuple[str, str, str]]:
        """Name, title and meaning of everything that `reveal` leads to, whether it stands there already or not."""
        key = [("key", key_title(), "")] if self.desk.keys is not None else []
        program = ((name, title, meaning) for name, (title, meaning) in program_texts().items())
        return [*key, *program, *((name, text.title, text.meaning) for name, text in shown_fields().items())]

    def _key_replaced(self) -> None:
        if self.desk.worker.snapshot.state in {EngineState.FAILED, EngineState.STOPPED}:
            self.desk.background.ask(self.desk.worker.start(), doing=tr("start the worker"))
        else:
            self.desk.frame.say(tr("The new key is used when the worker starts next."), tone="success")

    def _build_search(self) -> QLineEdit:
        field = QLineEdit()
        field.setProperty("variant", "search")
        field.setAccessibleName(tr("Search settings"))
        field.setPlaceholderText(tr("Search settings"))
        field.setFixedWidth(theme().scaled(220))
        field.textChanged.connect(self._narrow)
        return field

    def _narrow(self, typed: str) -> None:
        words = typed.strip()
        if words:
            self._pieces.make_all()
        found = [card.narrow(words) for card in self._cards]
        self._none.setVisible(bool(words) and not any(found))

    def refresh(self) -> None:
        """Show what is in force."""
        self._show(self.rows)

    def _show(self, names: Iterable[str]) -> None:
        store = self.desk.settings
        reading = store.reading()
        self._say_what_is_wrong(reading)
        settings = reading.settings_without_faults()
        faults = {fault.name: fault for fault in reading.faults}
        for name in names:
            line = self.rows[name]
            value = getattr(settings, name)
            line.show_value(
                value if isinstance(value, bool) else as_text(value),
                changed=name in faults or reading.origin(name).source == "file",
                elsewhere=(elsewhere := store.decided_elsewhere(name)),
            )
            if not elsewhere:
                remarks = [retold(one.sentence, one.told) for one in reading.remarks if one.name == name]
                if name in self._later:
                    remarks.append(tr("From the worker's next start on."))
                line.remark(" ".join(remarks))
            if name in faults:
                line.complain(retold(faults[name].sentence, faults[name].told))
        self._name_queues(self.desk.worker.snapshot)

    def _say_what_is_wrong(self, reading: Reading) -> None:
        """Once, as the worker would at its start; sections come one after the other."""
        wrong = next((retold(one.sentence, one.told) for one in reading.faults), "")
        if wrong and wrong != self._wrong:
            self.desk.frame.say(wrong)
        self._wrong = wrong

    def take(self, snapshot: EngineSnapshot) -> None:
        self._name_queues(snapshot)
        if self._later and snapshot.state in {EngineState.STARTING, EngineState.STOPPED, EngineState.FAILED}:
            self._later = ()
            self.refresh()

    def _name_queues(self, snapshot: EngineSnapshot) -> None:
        """What the queues are called whose ids stand there, as far as the worker knows."""
        line = self.rows.get("queue_ids")
        if line is None:
            return
        names = {one.queue_id: one.queue_name for one in snapshot.queues if one.queue_name}
        ids = [one.strip() for one in line.value.split(",")]
        known = [names.get(one, one) for one in ids if one]
        told = tr("By name: {names}", names=", ".join(known)) if any(one in names for one in ids) else ""
        line.note(told)

    # -- the worker's own -----------------------------------------------------------------------------------------

    def _row(self, name: str, text: FieldText) -> SettingRow:
        control: QLineEdit | Switch | Choice | ChoiceOrText
        if text.kind is Kind.SWITCH:
            control = Switch(text.title)
        elif text.kind is Kind.CHOICE:
            control = Choice(text.title, [(option, option_text(option)) for option in text.options])
            control.setFixedWidth(theme().scaled(160))
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
                control.setFixedWidth(theme().scaled(110))
            else:
                control.setMinimumWidth(CONTROL_WIDTH - (80 if text.kind is Kind.FILE or name == "queue_ids" else 40))
        if isinstance(control, QLineEdit):
            hint = as_text(SETTINGS[name].default) or empty_text(name)
            control.setPlaceholderText(hint)
            control.setToolTip(tooltip_text(hint))
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

    def _queue_picker(self) -> IconButton:
        button = IconButton("queues", tr("Choose queues by name"))

        def pick() -> None:
            try:
                picked = self.desk.settings.settings().queue_ids
            except ConfigurationError:
                picked = ()
            dialog = QueueDialog(
                self.desk.worker, self.desk.background, picked=picked, take=self._use_queues, parent=self.window()
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
            return fact(error)
        self._changed()
        return ""

    def _reset(self, name: str) -> None:
        try:
            self.desk.settings.change(**{name: None})
        except ConfigurationError as error:
            self.rows[name].complain(fact(error))
        else:
            self._changed()

    def _changed(self) -> None:
        """Show it, and let the worker know."""
        self.refresh()

        async def take_up() -> None:
            reloaded = await self.desk.worker.reload()
            self._later = reloaded.later if reloaded is not None else ()
            if reloaded is not None and reloaded.faults:
                first = reloaded.faults[0]
                why = retold(first.sentence, first.told)
                self.desk.frame.say(tr("The settings were left as they are: {why}", why=why))
            self.refresh()

        self.desk.background.ask(take_up(), doing=tr("tell the worker of the new settings"))
