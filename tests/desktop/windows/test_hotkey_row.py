"""Settings: the keys that open a new task from anywhere, pressed in their field, and what the system says to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from desktop.settings.store import SettingsStore
from desktop.system.hotkey import HotkeyKeeper
from desktop.system.platforms.combination import Combination
from desktop.system.platforms.ports import Hotkey, HotkeyState
from desktop.widgets.buttons import Switch
from desktop.widgets.keys_field import KeysField
from desktop.windows.program_card import ProgramCard
from tests.desktop.windows.stand_ins import a_desk
from tests.support.engine import home
from tests.support.finding import named, reads

TITLE = "Ask an agent from anywhere"


class System(QObject):
    """One that answers as it is told to."""

    pressed = Signal(str)
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.answer = HotkeyState.ON
        self.state = HotkeyState.OFF
        self.assigned = ""
        self.taken: list[str] = []

    def take(self, keys: Combination, *, purpose: str) -> None:
        self.taken.append(keys.trigger)
        self.become(self.answer)

    def release(self) -> None:
        self.become(HotkeyState.OFF)

    def become(self, state: HotkeyState, assigned: str = "") -> None:
        self.state, self.assigned = state, assigned
        self.changed.emit()


class Rig:
    """The card with the row, over a system, or over none."""

    def __init__(self, qtbot: QtBot, folder: Path, system: System | None) -> None:
        self._qtbot, self.system = qtbot, system
        self.store = SettingsStore(home(folder), environ={})
        self.keeper = HotkeyKeeper(make=self._made, store=self.store)
        self.asked = 0
        self.keeper.look()
        self.card = ProgramCard(a_desk(folder, settings=self.store, hotkey=lambda: self.keeper))
        qtbot.addWidget(self.card)
        self.card.show()
        self.switch, self.keys = named(self.card, TITLE, Switch), named(self.card, "Keys", KeysField)

    def _made(self) -> Hotkey | None:
        self.asked += 1
        return self.system

    def press(self, key: Qt.Key, *held: Qt.KeyboardModifier) -> None:
        modifiers = Qt.KeyboardModifier.NoModifier
        for one in held:
            modifiers |= one
        self._qtbot.keyClick(self.keys, key, modifiers)

    def says(self, sentence: str) -> bool:
        return bool(reads(self.card, sentence))


@pytest.fixture
def rigged(qtbot: QtBot, tmp_path: Path) -> Callable[[System | None], Rig]:
    return lambda system: Rig(qtbot, tmp_path, system)


CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier


def test_nothing_is_asked_for_before_it_is_wanted(rigged: Callable[[System | None], Rig]) -> None:
    rig = rigged(System())
    assert not rig.switch.isChecked()
    assert rig.keys.keySequence().toString() == "Ctrl+Alt+Space"
    assert rig.asked == 0


def test_it_holds_at_once_and_over_a_restart(rigged: Callable[[System | None], Rig]) -> None:
    system = System()
    rig = rigged(system)
    rig.switch.click()
    assert system.taken == ["CTRL+ALT+space"]
    rig.press(Qt.Key.Key_K, CTRL, ALT)
    assert system.taken == ["CTRL+ALT+space", "CTRL+ALT+k"]
    again = SettingsStore(rig.store.paths, environ={}).preferences
    assert (again.hotkey_on, again.hotkey) == (True, "Ctrl+Alt+K")
    rig.store.remember(task_agent="a")
    assert len(system.taken) == 2, "another preference is none of its business"
    rig.switch.click()
    assert (system.state, rig.keeper.state) == (HotkeyState.OFF, HotkeyState.OFF)
    assert rig.asked == 1


def test_keys_that_everybody_types_are_not_taken(rigged: Callable[[System | None], Rig]) -> None:
    system = System()
    rig = rigged(system)
    rig.switch.click()
    rig.press(Qt.Key.Key_K)
    assert rig.says("Press one key together with Ctrl, Alt or Meta.")
    assert rig.keys.keySequence().toString() == "Ctrl+Alt+Space"
    assert system.taken == ["CTRL+ALT+space"]
    rig.press(Qt.Key.Key_J, CTRL)
    assert not rig.says("Press one key together with Ctrl, Alt or Meta.")
    assert system.taken[1:] == ["CTRL+j"]


@pytest.mark.parametrize(
    ("state", "assigned", "sentence"),
    [
        (HotkeyState.ASKING, "", "Your desktop is asked for these keys; it may ask you in turn."),
        (HotkeyState.ON, "Press <Super>n", "Your desktop says: Press <Super>n"),
        (HotkeyState.TAKEN, "", "Another program, or the system, has these keys. Press others in the field."),
        (HotkeyState.NO_SUCH_KEY, "", "This keyboard does not give these keys. Press others in the field."),
        (HotkeyState.REFUSED, "", "Your desktop did not give these keys. Switch this off and on to ask it once more."),
    ],
)
def test_what_the_system_says_is_read(
    rigged: Callable[[System | None], Rig], state: HotkeyState, assigned: str, sentence: str
) -> None:
    system = System()
    rig = rigged(system)
    rig.switch.click()
    assert not rig.says(sentence)
    system.become(state, assigned)
    assert rig.says(sentence)
    rig.switch.click()
    assert not rig.says(sentence)


def test_where_no_program_can_have_them(rigged: Callable[[System | None], Rig]) -> None:
    rig = rigged(None)
    rig.switch.click()
    assert rig.says(
        "Kubiya Worker cannot take keys on this desktop. Where the desktop gives keys to commands, give them to: "
        "kubiya-worker-desktop --ask"
    )
    rig.switch.click()
    assert rig.keeper.state is HotkeyState.OFF


def test_what_somebody_wrote_into_the_file_is_no_crash(qtbot: QtBot, tmp_path: Path) -> None:
    SettingsStore(home(tmp_path), environ={}).prefer(hotkey_on=True, hotkey="Space")
    system = System()
    rig = Rig(qtbot, tmp_path, system)
    assert rig.says("This keyboard does not give these keys. Press others in the field.")
    assert system.taken == []
    rig.press(Qt.Key.Key_Space, CTRL)
    assert system.taken == ["CTRL+space"]


def test_pressed_is_passed_on_until_the_end(qtbot: QtBot, tmp_path: Path) -> None:
    store, system = SettingsStore(home(tmp_path), environ={}), System()
    store.prefer(hotkey_on=True)
    keeper = HotkeyKeeper(make=lambda: system, store=store)
    heard: list[str] = []
    keeper.pressed.connect(heard.append)
    keeper.look()
    system.pressed.emit("token")
    assert heard == ["token"]
    keeper.close()
    assert system.state is HotkeyState.OFF
    store.prefer(hotkey="Ctrl+K")
    assert system.taken == ["CTRL+ALT+space"]


def test_whoever_hears_the_card_hears_what_the_field_is(rigged: Callable[[System | None], Rig]) -> None:
    rig = rigged(System())
    assert [one.accessibleName() for one in rig.keys.findChildren(QLineEdit)] == ["Keys"]
    rig.press(Qt.Key.Key_J, CTRL)
    assert (rig.keys.accessibleName(), rig.keys.accessibleDescription()) == ("Keys", "Ctrl+J")
