"""A choice of which one option is typed, as the proxy in Settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from desktop.widgets.choice_or_text import ChoiceOrText
from desktop.widgets.setting_row import SettingRow
from desktop.windows.main import MainWindow
from tests.desktop.windows.stand_ins import shown_window
from tests.support.finding import click


@pytest.fixture
def window(qtbot, tmp_path: Path) -> MainWindow:
    return shown_window(qtbot, tmp_path, page="settings")


@pytest.fixture
def line(window: MainWindow) -> SettingRow:
    found = window.page_named("settings").rows["proxy"]
    assert isinstance(found, SettingRow)
    return found


@pytest.fixture
def control(line: SettingRow) -> ChoiceOrText:
    [found] = line.findChildren(ChoiceOrText)
    return found


def pick(control: ChoiceOrText, text: str) -> None:
    control.choice.setCurrentIndex(control.choice.findText(text))


def kept(window: MainWindow) -> str:
    return window.desk.settings.settings().proxy


def test_a_field_that_waits_changes_nothing_until_something_is_typed(
    control: ChoiceOrText, line: SettingRow, window: MainWindow, qtbot
) -> None:
    assert not control.field.isVisible()
    pick(control, "This one")
    assert control.field.isVisible()
    assert kept(window) == "system"
    window.page_named("settings").refresh()
    assert control.field.isVisible(), "another setting that changes does not close it"
    qtbot.keyClicks(control.field, "proxy.example:8080")
    qtbot.keyClick(control.field, Qt.Key.Key_Return)
    assert (kept(window), control.field.text()) == ("http://proxy.example:8080", "http://proxy.example:8080")
    assert line.complaint == ""


def test_the_other_options_hold_at_once(control: ChoiceOrText, line: SettingRow, window: MainWindow) -> None:
    pick(control, "No proxy")
    assert kept(window) == "none"
    assert not control.field.isVisible()
    pick(control, "This one")
    click(line, "Reset Proxy")
    assert (kept(window), control.choice.currentText()) == ("system", "As the system")
    assert not control.field.isVisible()


def test_a_password_is_refused_with_what_to_do_instead(
    control: ChoiceOrText, line: SettingRow, window: MainWindow, qtbot
) -> None:
    pick(control, "This one")
    control.field.setText("http://me:secret@proxy.example:8080")
    control.field.editingFinished.emit()
    assert line.complaint.endswith("it holds a user name or password; set HTTPS_PROXY in the environment instead.")
    assert "secret" not in line.complaint
    assert control.field.property("invalid") == "true"
    assert kept(window) == "system"
    pick(control, "As the system")
    assert (line.complaint, control.field.text()) == ("", "")


def test_a_field_that_is_emptied_goes_back_to_the_system(control: ChoiceOrText, window: MainWindow) -> None:
    window.desk.settings.change(proxy="http://proxy.example:1")
    window.page_named("settings").refresh()
    assert (control.value, control.choice.currentText()) == ("http://proxy.example:1", "This one")
    control.field.setText("")
    control.field.editingFinished.emit()
    assert (kept(window), control.choice.currentText()) == ("system", "As the system")
