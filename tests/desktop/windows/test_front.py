"""Which window comes when one is wanted, and how often a crash is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from desktop.settings.store import SettingsStore
from desktop.windows.crash_dialog import CrashDialog
from desktop.windows.front import CRASHES_SHOWN, Front
from tests.support.engine import home


class Window(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.pages: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.tasks = 0

    def show_page(self, name: str, target: str = "") -> None:
        self.pages.append((name, target))

    def new_task(self) -> None:
        self.tasks += 1

    def say(self, sentence: str, **_: object) -> None:
        self.said.append(sentence)

    def take_back(self, *sentences: str) -> None:
        self.said = [one for one in self.said if one not in sentences]


@pytest.fixture
def front(qtbot: QtBot) -> Front:
    made: list[Window] = []

    def new() -> Window:
        made.append(Window())
        qtbot.addWidget(made[-1])
        return made[-1]

    return Front(new_window=new, new_first_run=new)  # type: ignore[arg-type]


def test_the_window_is_made_once_and_led_to_a_page(front: Front) -> None:
    assert front.window is None
    front.open()
    window = front.window
    assert window is not None
    window.hide()
    front.open("executions", "e1")
    assert front.window is window
    assert window.isVisible()
    assert window.pages == [("executions", "e1")]  # type: ignore[attr-defined]


def test_as_long_as_nothing_is_set_up_the_first_run_comes(front: Front) -> None:
    front.unset = True
    front.open("settings")
    assert front.window is None
    front.close_first_run()
    front.unset = False
    front.open()
    assert front.window is not None
    front.close()
    assert not front.window.isVisible()


def test_a_second_start_gives_its_token_to_qt(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(os, "putenv", lambda *both: given.append(both))
    front.raised("")
    front.raised("token-1")
    assert given == [], "on X11 nobody takes it, and what is opened later would have it"
    monkeypatch.setattr(QGuiApplication, "platformName", lambda: "wayland")
    front.raised("x" * 1000)
    assert given == []
    front.raised("token-1")
    assert given == [("XDG_ACTIVATION_TOKEN", "token-1")]
    assert "XDG_ACTIVATION_TOKEN" not in os.environ, "programs that are started later would have it"


def test_a_task_is_asked_for_without_the_window_around_it(front: Front) -> None:
    front.unset = True
    front.asked("")
    assert front.window is None, "the first run comes first"
    front.unset = False
    front.asked("")
    assert front.window is not None
    assert front.window.tasks == 1  # type: ignore[attr-defined]
    assert not front.window.isVisible()


def test_without_a_tray_it_is_said_once(front: Front, tmp_path: Path) -> None:
    store = SettingsStore(home(tmp_path), environ={})
    for _ in range(2):
        front.stay(store)
    assert front.window is not None
    assert len(front.window.said) == 1  # type: ignore[attr-defined]


def test_a_panel_that_comes_later_makes_the_words_about_none_untrue(front: Front, tmp_path: Path) -> None:
    front.tray_came()
    assert front.window is None
    front.stay(SettingsStore(home(tmp_path), environ={}))
    assert front.window is not None
    front.tray_came()
    assert front.window.said == []  # type: ignore[attr-defined]


def test_a_panel_that_goes_brings_the_window_and_says_so_each_time(front: Front) -> None:
    for _ in range(2):
        front.tray_went()
        assert front.window is not None
        assert front.window.isVisible()
        assert len(front.window.said) == 1  # type: ignore[attr-defined]
        front.tray_came()
        assert front.window.said == []  # type: ignore[attr-defined]
        front.window.hide()


def test_what_crashes_again_and_again_is_not_shown_for_ever(front: Front, qtbot: QtBot) -> None:
    def dialogs() -> list[CrashDialog]:
        return [one for one in QApplication.topLevelWidgets() if isinstance(one, CrashDialog) and one.isVisible()]

    for number in range(CRASHES_SHOWN + 3):
        front.show_crash(f"report {number}")
        front.show_crash("another one at the same moment")
        assert len(dialogs()) == (1 if number < CRASHES_SHOWN else 0)
        for dialog in dialogs():
            dialog.close()
            dialog.deleteLater()
        qtbot.wait(1)
