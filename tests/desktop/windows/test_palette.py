"""The palette of commands: whatever the menu can do, and where everything is, by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.look.theme import Theme
from desktop.models.commands import NamedCommand
from desktop.notices.action import Action, Entry
from desktop.system.platforms.ports import Autostart
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import menu
from desktop.windows.commands import RECENT
from desktop.windows.palette import CommandPalette
from tests.desktop.windows.commanded import Bench
from tests.desktop.windows.stand_ins import Scene
from tests.support.finding import click
from tests.support.snapshots import asking, facts
from worker_core.snapshot import EngineState


def titles(palette: CommandPalette) -> list[str]:
    model = palette.list.model()
    return [model.index(row, 0).data().split(", ")[0] for row in range(model.rowCount())]


def actions(entries: Sequence[Entry]) -> Iterator[tuple[Action, str]]:
    for one in entries:
        yield from actions(one.children)
        if one.title and one.enabled and not one.children:
            yield one.action, one.target


def test_each_command_of_the_menu_is_in_the_palette(qtbot: QtBot, tmp_path: Path) -> None:
    """In every state: the palette asks for the menu, and has no list of its own."""
    states = [facts(state, running=running) for state in EngineState for running in (0, 2)]
    states += [
        facts(autostart=Autostart.ON, attached=True),
        facts(snoozed_until=datetime(2999, 1, 1, tzinfo=UTC)),
        TrayFacts(snapshot=asking("rm -rf build")),
    ]
    now: list[TrayFacts] = [states[0]]
    bench = Bench(qtbot, tmp_path, menu=lambda: menu(now[0]))
    for one in states:
        now[0] = one
        wanted = set(actions(menu(one))) - {(Action.NOTHING, ""), (Action.OPEN, "")}
        found = [command.key for command in bench.commands.all()]
        assert wanted <= set(found), one
        assert len(found) == len(set(found)), "each is there once"


def test_a_command_of_the_menu_is_done_by_who_does_it_for_the_menu(bench: Bench) -> None:
    bench.run("hour pause")
    bench.run("until tomorrow pause")
    assert bench.done == [(Action.PAUSE_HOUR, ""), (Action.PAUSE_UNTIL_TOMORROW, "")]


def test_pages_executions_queues_and_settings_are_found(bench: Bench) -> None:
    known = bench.desk.executions.all()[0].execution_id
    unknown = "590B4B10-fd51-4a4e-9d1e-0a1b2c3d4e5f"
    for typed in ("heal", "words running", "servers", unknown):
        bench.run(typed)
    bench.commands.carry_out(Action.OPEN_QUEUE, "q")
    assert bench.pages == [
        ("health", ""),
        ("executions", known),
        ("settings", "proxy"),
        ("executions", unknown.lower()),
        ("queues", "q"),
    ]
    assert (Action.OPEN_QUEUE, "q") in {one.key for one in bench.commands.all()}
    assert bench.done == []


def test_light_and_dark_and_the_diagnostics(bench: Bench, look: Theme) -> None:
    bench.run("appearance dark")
    assert look.palette.dark
    assert bench.desk.settings.preferences.appearance == "dark"
    bench.run("copy diagnostics")
    assert "Version: 1.0" in QGuiApplication.clipboard().text()


def test_the_palette_is_used_by_keyboard_alone(bench: Bench) -> None:
    palette = bench.open()
    assert QApplication.focusWidget() is palette.field
    for key, row in ((Qt.Key.Key_Down, 1), (Qt.Key.Key_Tab, 2), (Qt.Key.Key_Up, 1), (Qt.Key.Key_Backtab, 0)):
        QTest.keyClick(palette.field, key)
        assert palette.list.currentIndex().row() == row
        assert QApplication.focusWidget() is palette.field
    QTest.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == palette.list.model().rowCount() - 1, "around the end"
    QTest.keyClicks(palette.field, "nothing is called so")
    assert titles(palette) == []
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible(), "there is nothing to do"
    QTest.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert QApplication.focusWidget() is bench.field
    assert titles(bench.open()) != [], "what was typed is gone"
    QTest.keyClick(bench.window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert not palette.isVisible(), "the same keys close it"


def test_the_palette_goes_with_a_click_beside_it_and_with_the_focus(bench: Bench) -> None:
    palette = bench.open()
    QTest.mouseClick(palette, Qt.MouseButton.LeftButton, pos=palette.panel.geometry().center())
    assert palette.isVisible()
    QTest.mouseClick(palette, Qt.MouseButton.LeftButton, pos=palette.rect().bottomLeft())
    assert not palette.isVisible()
    bench.open()
    bench.field.setFocus()
    assert not palette.isVisible()


def test_a_screen_reader_can_say_what_is_chosen(bench: Bench) -> None:
    palette = bench.open()
    assert palette.field.accessibleName() == "Search commands"
    QTest.keyClicks(palette.field, "queues")
    assert palette.list.currentIndex().data(Qt.ItemDataRole.AccessibleTextRole) == "Queues, Page, Ctrl+3"


def test_what_was_used_last_is_first_the_next_time_too_but_nothing_that_ends_work(
    bench: Bench, qtbot: QtBot, tmp_path: Path
) -> None:
    first = bench.open()
    assert titles(first)[0] == "Overview"
    first.close()
    for typed in ("logs", "silence 30", "stop"):
        bench.run(typed)
    assert bench.done[-1][0] is Action.STOP
    again = Bench(qtbot, tmp_path)
    palette = again.open()
    assert titles(palette)[:3] == ["Silence notifications › For 30 minutes", "Logs", "Overview"]
    for number in range(3 * RECENT):
        palette.picked.emit(NamedCommand(title="", action=Action.OPEN_QUEUE, target=str(number)))
    assert len(again.desk.settings.preferences.recent_commands.split("\n")) == RECENT


def test_a_list_of_recent_commands_that_somebody_wrote_is_harmless(bench: Bench) -> None:
    bench.desk.settings.remember(recent_commands="quit now\t\nfly\tto the moon\n\t\t\n" + "x\n" * 10_000)
    assert titles(bench.open())[0] == "Overview"


def test_the_palette_fits_the_window(bench: Bench) -> None:
    palette = bench.open()
    for size in ((760, 520), (1920, 1200)):
        bench.window.resize(*size)
        QApplication.processEvents()
        assert palette.geometry() == bench.window.rect()
        assert palette.rect().adjusted(16, 16, -16, -16).contains(palette.panel.geometry())


def test_the_real_window_has_it_and_goes_where_it_is_sent(scene: Scene, qtbot: QtBot) -> None:
    window = scene.window
    window.activateWindow()
    click(window, "Find a command")
    palette = window.findChild(CommandPalette)
    assert palette is not None
    assert palette.isVisible()
    found = {one.key for one in window.commands.all()}
    assert {(Action.SETTINGS, "queue_ids"), (Action.SETTINGS, "appearance"), (Action.OPEN_QUEUE, "q")} <= found
    QTest.keyClick(palette.field, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert (window.page, palette.isVisible()) == ("queues", False)
    window.show_page("queues", "q")
    for setting, title in (("proxy", "Proxy"), ("language", "Language")):
        window.commands.carry_out(Action.SETTINGS, setting)
        qtbot.waitUntil(lambda title=title: title in window.focusWidget().accessibleName())
