"""The settings page: one card per group, found by words, and the entry that starts the program at login."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit, QPlainTextEdit, QScrollArea, QWidget

from desktop.look import language
from desktop.look.language import tr
from desktop.settings.policy_store import PolicyStore
from desktop.widgets.rule_rows import SHOWN, RuleRows
from desktop.widgets.setting_row import SettingRow
from desktop.windows.main import MainWindow
from desktop.windows.setting_fields import shown_fields
from desktop.windows.settings import SettingsPage
from tests.desktop.windows.stand_ins import a_desk, show_whole, shown_window
from tests.desktop.windows.walking import STEPS
from tests.support.finding import button, click, named, reads, settle, texts, ticks
from worker_core.settings import SETTINGS, Fault, Reloaded
from worker_core.snapshot import EngineSnapshot, EngineState, QueueView


class Entry:
    """The entry that starts a program at login, in memory."""

    def __init__(self) -> None:
        self.command: tuple[str, ...] | None = None
        self.vetoed = False
        self.trouble: OSError | None = None

    def supposed(self) -> tuple[str, ...]:
        return ("kubiya-worker-desktop", "--at-login")

    def configured(self) -> tuple[str, ...] | None:
        return self.command

    def blocked(self) -> bool:
        return self.vetoed

    def write(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.command = self.supposed()

    def remove(self) -> None:
        self.command = None


@pytest.fixture
def entry() -> Entry:
    return Entry()


@pytest.fixture
def window(qtbot, tmp_path: Path, entry: Entry) -> MainWindow:
    return shown_window(qtbot, tmp_path, page="settings", autostart=entry)


@pytest.fixture
def page(window: MainWindow) -> SettingsPage:
    found = window.page_named("settings")
    assert isinstance(found, SettingsPage)
    return found


def shown(page: SettingsPage) -> list[str]:
    return [name for name, line in page.rows.items() if line.isVisible()]


def test_each_group_stands_once() -> None:
    groups = [group for group, _ in groupby(shown_fields().values(), key=lambda text: text.group)]
    assert len(groups) == len(set(groups))


def unseen(qtbot, folder: Path) -> tuple[MainWindow, SettingsPage]:
    """A window whose settings nobody has looked at yet, and their page."""
    window = shown_window(qtbot, folder)
    page = window.page_named("settings")
    assert isinstance(page, SettingsPage)
    return window, page


def test_nothing_is_made_before_somebody_looks_and_the_palette_knows_all_the_same(qtbot, tmp_path: Path) -> None:
    window, page = unseen(qtbot, tmp_path)
    offered = page.all()
    assert [name for name, _, _ in offered if name in SETTINGS] == list(shown_fields())
    assert not page.findChildren(SettingRow)
    show_whole(qtbot, window, "settings")
    rows = page.findChildren(SettingRow)
    said = {(line.title, line.meaning) for line in rows}
    assert {(title, meaning) for _, title, meaning in offered} == said - {
        ("Start at login", "Start Kubiya Worker when you log in")
    }
    assert page.all() == offered


def test_what_is_seen_is_there_at_once_and_the_rest_waits_while_nobody_looks(qtbot, tmp_path: Path) -> None:
    window, page = unseen(qtbot, tmp_path)
    window.show_page("settings")
    settle()
    area = page.findChild(QScrollArea)
    assert area.widget().sizeHint().height() >= area.viewport().height()
    assert not page.is_whole
    window.show_page("overview")
    assert not ticks(page)
    made = len(page.rows)
    QApplication.processEvents()
    assert len(page.rows) == made
    show_whole(qtbot, window, "settings")
    assert list(page.rows) == list(shown_fields())


def test_a_search_and_a_way_to_a_setting_find_what_was_not_made_yet(qtbot, tmp_path: Path) -> None:
    window, page = unseen(qtbot, tmp_path)
    last = list(shown_fields())[-1]
    window.show_page("settings", last)
    qtbot.waitUntil(lambda: page.rows[last].isAncestorOf(QApplication.focusWidget()))
    area = page.findChild(QScrollArea)
    at = page.rows[last].mapTo(area.viewport(), page.rows[last].rect().bottomLeft()).y()
    assert 0 < at <= area.viewport().height()
    (tmp_path / "other").mkdir()
    window, page = unseen(qtbot, tmp_path / "other")
    window.show_page("settings")
    named(page, "Search settings", QLineEdit).setText(shown_fields()[last].title)
    assert page.is_whole
    assert last in shown(page)
    assert len(shown(page)) < len(page.rows)


def test_the_tab_key_goes_down_the_page(window: MainWindow, page: SettingsPage, qtbot) -> None:
    with qtbot.waitActive(window):
        window.activateWindow()
    named(page, "Search settings", QLineEdit).setFocus()
    met: list[SettingRow] = []
    for _ in range(STEPS):
        at = QApplication.focusWidget()
        line = next((one for one in page.findChildren(SettingRow) if one.isAncestorOf(at)), None)
        if line is None and met and not page.isAncestorOf(at):
            break
        if line is not None and line not in met[-1:]:
            met.append(line)
        QTest.keyClick(at, Qt.Key.Key_Tab)
    places = [
        line.mapTo(page, line.rect().topLeft()).y() + page.findChild(QScrollArea).verticalScrollBar().value()
        for line in met
    ]
    assert places == sorted(places)
    assert len(met) == len([one for one in page.findChildren(SettingRow) if one.isEnabled()])


def test_nothing_but_the_window_is_shown_as_a_window(qtbot, tmp_path: Path) -> None:
    """What is shown before it stands anywhere flickers on the screen, takes the focus and costs a window."""
    seen_windows: list[QWidget] = []

    class Watch(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
            if event.type() is QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
                seen_windows.append(watched)
            return False

    watch = Watch()
    QApplication.instance().installEventFilter(watch)
    try:
        window = shown_window(qtbot, tmp_path, page="settings")
    finally:
        QApplication.instance().removeEventFilter(watch)
    assert seen_windows == [window]


def test_times_are_shown_and_typed_with_units(page: SettingsPage) -> None:
    line = page.rows["workspace_kept"]
    [field] = line.findChildren(QLineEdit)
    assert field.text() == "7 d"
    field.setText("soon")
    field.editingFinished.emit()
    assert line.complaint == (
        "workspace_kept is 'soon'; it must be seconds, or a time such as 30 s, 5 min, 2 h or 7 d."
    )
    field.setText("36 hours")
    field.editingFinished.emit()
    assert (line.complaint, field.text()) == ("", "1 d 12 h")
    assert 'workspace_kept = "1 d 12 h"' in page.desk.settings.paths.settings_file.read_text()


def test_words_find_settings(page: SettingsPage, window: MainWindow, qtbot) -> None:
    everything = shown(page)
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(window.focusWidget(), "TLS temporal")
    assert shown(page) == ["temporal_tls"]
    search = named(page, "Search settings", QLineEdit)
    search.setText("approvals")  # the title of a group
    assert {"approvals", "approval_timeout", "remote_approvals"} <= set(shown(page))
    search.setText("no such thing")
    assert shown(page) == []
    assert reads(page, "Nothing matches")
    search.clear()
    assert shown(page) == everything
    assert not reads(page, "Nothing matches")


def test_start_at_login_says_what_is_there(page: SettingsPage, window: MainWindow, entry: Entry) -> None:
    switch = button(page, "Start at login")
    assert not switch.isChecked()
    switch.click()
    assert entry.command == entry.supposed()
    assert switch.isChecked()
    entry.command = ("/another/copy",)
    window.show_page("overview")
    window.show_page("settings")
    assert not switch.isChecked()
    assert any(text.startswith("Another copy") for text in texts(page))
    switch.click()
    assert entry.command == entry.supposed()
    entry.vetoed = True
    window.show_page("overview")
    window.show_page("settings")
    assert any("switched off by the system" in text for text in texts(page))
    switch.click()
    assert entry.command is None


def test_an_entry_that_cannot_be_written_is_a_sentence(page: SettingsPage, entry: Entry) -> None:
    entry.trouble = OSError(13, "Permission denied")
    click(page, "Start at login")
    assert reads(page, "Start at login could not be changed: Permission denied.")
    assert not button(page, "Start at login").isChecked()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_a_policy_that_cannot_be_read_is_shown_as_such_and_stays_as_it_is(qtbot, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[[deny]\n", encoding=encoding)
    before = file.read_bytes()
    page = shown_window(qtbot, tmp_path, page="settings", policy=PolicyStore(file)).page_named("settings")
    said = [label.text() for label in page.findChildren(QLabel) if "policy.toml" in label.text()]
    assert len(said) == 1
    assert "line 1" in said[0]
    [save] = [one for one in page.findChildren(QAbstractButton) if one.text() == "Save the policy"]
    assert not save.isEnabled()
    assert page.findChild(QPlainTextEdit).isReadOnly() is (encoding == "utf-16")
    assert file.read_bytes() == before


def test_the_rules_of_the_policy_stand_above_its_text_and_lead_into_it(qtbot, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[[deny]]\nhost = "example.org"\nwhy = "Not ours."\n\n[[ask]]\ncommand = "git push*"\n')
    page = shown_window(qtbot, tmp_path, page="settings", policy=PolicyStore(file)).page_named("settings")
    editor, rows = page.findChild(QPlainTextEdit), page.findChild(RuleRows)

    def lines() -> list[str]:
        return [one.accessibleName() for one in rows.findChildren(QAbstractButton)]

    assert lines() == ["Line 1: Deny, host = 'example.org'", "Line 5: Ask, command = 'git push*'"]
    assert reads(rows, "Not ours.")
    rows.findChildren(QAbstractButton)[1].click()
    assert editor.textCursor().blockNumber() == 4
    editor.setPlainText("[[allow]\n")
    assert len(lines()) == 2, "those of the last text that is a policy"
    editor.setPlainText('[[allow]]\ntool = "shell"\n' * 2 * SHOWN)
    qtbot.waitUntil(lambda: len(lines()) == SHOWN)
    assert reads(rows, f"{SHOWN} more")
    editor.setPlainText("")
    assert not rows.isVisibleTo(page)


def test_a_running_worker_takes_up_what_it_can_and_the_rest_says_that_it_waits(window, page: SettingsPage) -> None:
    worker, words = window.desk.worker, "From the worker's next start on."
    worker.reload.return_value = Reloaded(sentence="", applied=("log_level",), later=("max_executions",))
    field = named(page, SETTINGS["max_executions"].title, QLineEdit)
    field.setText("6")
    field.editingFinished.emit()
    worker.reload.assert_called_once_with()
    assert reads(page.rows["max_executions"], words)
    assert texts(page).count(words) == 1
    window.take(EngineSnapshot(state=EngineState.STARTING))
    assert not reads(page, words), "it starts with it"
    worker.reload.return_value = Reloaded(sentence="In English.", faults=(Fault(sentence="Broken."),))
    click(page, f"Reset {SETTINGS['max_executions'].title}")
    assert window.banner.sentence == "The settings were left as they are: Broken."
    worker.reload.return_value = None
    field.setText("5")
    field.editingFinished.emit()
    assert not reads(page, words), "no worker runs: there is nothing to wait for"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"queue_ids = [", "is not valid TOML"),
        (b'log_level = "\xff"\n', "is not UTF-8"),
        (b"max_executions = 'many'\nfail_fast = true\n", "max_executions"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_said_once_and_the_page_stands(
    qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    window, page = unseen(qtbot, tmp_path)
    file = window.desk.settings.paths.settings_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    heard: list[str] = []
    monkeypatch.setattr(window.desk.frame, "say", lambda sentence, **_: heard.append(sentence))
    show_whole(qtbot, window, "settings")
    assert [said in one for one in heard] == [True]
    assert set(page.rows) == set(shown_fields())
    wrong = page.rows["max_executions"]
    assert (said in wrong.complaint) == (said == "max_executions"), "what can be told of one setting stands there"
    assert named(page, SETTINGS["fail_fast"].title, QAbstractButton).isChecked() == (said == "max_executions")


def test_a_window_that_is_made_while_the_file_is_broken_says_so(qtbot, tmp_path: Path) -> None:
    desk = a_desk(tmp_path)
    file = desk.settings.paths.settings_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("queue_ids = [")
    window = MainWindow(desk)
    qtbot.addWidget(window)
    assert "is not valid TOML" in window.banner.sentence
    assert not window.banner.isHidden()


def test_what_is_wrong_with_the_file_is_said_in_the_language_of_the_window(
    qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    language.load(["de"])
    try:
        window, page = unseen(qtbot, tmp_path)
        file = window.desk.settings.paths.settings_file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("max_executions = 'many {most}'\ntool_limits = 'shel.memory_mb=900'\n")
        heard: list[str] = []
        monkeypatch.setattr(window.desk.frame, "say", lambda sentence, **_: heard.append(sentence))
        show_whole(qtbot, window, "settings")
        german = f"`max_executions` ({file}, Zeile 1) ist 'many {{most}}'; nötig ist eine ganze Zahl."
        assert heard == [german]
        assert page.rows["max_executions"].complaint.replace("\u200b", "") == german
        assert texts(page.rows["tool_limits"])[-1].endswith("Meinten Sie `shell.memory_mb`?")
        file.write_text("")
        field = named(page, tr(SETTINGS["heartbeat_interval"].title), QLineEdit)
        field.setText("bald")
        field.editingFinished.emit()
        assert page.rows["heartbeat_interval"].complaint.endswith("eine Zeit wie 30 s, 5 min, 2 h oder 7 d.")
    finally:
        language.use({})


def test_a_limit_that_is_for_nobody_is_said_where_it_was_set(qtbot, tmp_path: Path) -> None:
    """As `config check` and the doctor say it."""
    window = shown_window(qtbot, tmp_path, page="settings", settings={"tool_limits": "shel.memory_mb=900"})
    page = window.page_named("settings")
    assert isinstance(page, SettingsPage)
    (remark,) = window.desk.settings.reading().remarks
    assert "Did you mean `shell.memory_mb`?" in remark.sentence
    assert texts(page.rows["tool_limits"])[-1].replace("\u200b", "") == remark.sentence, "a long path may be broken"


def test_a_line_has_labels_for_what_it_says_alone_and_its_note_stands_above_its_fault(page: SettingsPage) -> None:
    assert all(label.text() for line in page.rows.values() for label in line.findChildren(QLabel))
    line = page.rows["max_executions"]
    line.complain("It is wrong.")
    line.remark("It waits.")
    note, fault = (labelled(line, said) for said in ("It waits.", "It is wrong."))
    line.layout().activate()
    assert note.y() < fault.y()
    assert (note.isVisible(), fault.isVisible(), line.complaint) == (True, True, "It is wrong.")
    line.complain("")
    line.remark("")
    assert (note.isVisible(), fault.isVisible(), line.complaint) == (False, False, "")


def test_no_picture_is_squeezed_while_parts_are_made(qtbot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path)
    window.show_page("settings")
    page = window.page_named("settings")
    assert isinstance(page, SettingsPage)
    seen_parts = 0
    while not page.is_whole:
        lines = [line for line in page.findChildren(SettingRow) if line.isVisible()]
        assert lines
        assert [line.title for line in lines if line.height() < line.minimumSizeHint().height()] == []
        assert len(lines) >= seen_parts
        seen_parts = len(lines)
        QApplication.processEvents()


def test_an_empty_field_says_what_holds(page: SettingsPage) -> None:
    fields = [field for line in page.rows.values() for field in line.findChildren(QLineEdit)]
    assert fields
    assert [one.accessibleName() for one in fields if not one.text() and not one.placeholderText()] == []


def test_queues_are_said_by_name_below_their_ids(qtbot, tmp_path: Path) -> None:
    queues = (QueueView(queue_id="q-1", queue_name="platform"), QueueView(queue_id="q-2"))
    shown = EngineSnapshot(state=EngineState.RUNNING, queues=queues)
    window = shown_window(qtbot, tmp_path, snapshot=shown, settings={"queue_ids": "q-1, q-2"}, page="settings")
    page = window.page_named("settings")
    assert isinstance(page, SettingsPage)
    line = page.rows["queue_ids"]
    assert labelled(line, "By name: platform, q-2").isVisible()
    window.take(replace(shown, queues=(queues[0], replace(queues[1], queue_name="reports"))))
    assert labelled(line, "By name: platform, reports").isVisible()
    window.take(replace(shown, queues=()))
    assert not [one for one in line.findChildren(QLabel) if one.isVisible() and "platform" in one.text()]


def labelled(line: SettingRow, said: str) -> QLabel:
    return next(one for one in line.findChildren(QLabel) if one.text() == said)
