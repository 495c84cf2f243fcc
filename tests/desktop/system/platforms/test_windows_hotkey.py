"""What Windows is asked for, and what becomes of its answers: its calls are stood in for."""

from __future__ import annotations

import pytest

from desktop.system.platforms.combination import Combination
from desktop.system.platforms.ports import HotkeyState
from desktop.system.platforms.windows_hotkey import NUMBER, WindowsHotkey


class User32:
    """One registration for each combination, as the system has it. `others` are somebody else's."""

    def __init__(self, *others: tuple[int, int]) -> None:
        self.others = set(others)
        self.held: dict[int, tuple[int, int]] = {}

    def RegisterHotKey(self, window: object, number: int, held: int, code: int) -> int:  # noqa: N802
        assert window is None
        if (held, code) in self.others or number in self.held:
            return 0
        self.held[number] = (held, code)
        return 1

    def UnregisterHotKey(self, window: object, number: int) -> int:  # noqa: N802
        assert window is None
        return int(self.held.pop(number, None) is not None)

    def VkKeyScanW(self, character: int) -> int:  # noqa: N802
        """A German keyboard: the comma as it is, the semicolon with Shift, the bracket with AltGr."""
        return {",": 0xBC, ";": 0x1BC, "[": 0x638}.get(chr(character), -1)


def taken(keys: str, user32: User32) -> WindowsHotkey:
    combination = Combination.of(keys)
    assert combination is not None
    made = WindowsHotkey(user32)
    made.take(combination, purpose="Open a new task")
    return made


CTRL_ALT_SPACE = (0x4003, 0x20)
"""MOD_CONTROL | MOD_ALT | MOD_NOREPEAT, VK_SPACE."""


def test_held_pressed_and_let_go() -> None:
    user32 = User32()
    hotkey = taken("Ctrl+Alt+Space", user32)
    heard: list[str] = []
    hotkey.pressed.connect(heard.append)
    assert user32.held == {NUMBER: CTRL_ALT_SPACE}
    assert hotkey.state is HotkeyState.ON
    hotkey.hear(NUMBER)
    hotkey.hear(NUMBER + 1)
    assert heard == [""]
    other = Combination.of("Meta+Shift+F2")
    assert other is not None
    hotkey.take(other, purpose="Open a new task")
    assert user32.held == {NUMBER: (0x400C, 0x71)}
    hotkey.release()
    hotkey.hear(NUMBER)  # posted before
    assert (user32.held, heard, hotkey.state) == ({}, [""], HotkeyState.OFF)


def test_somebody_else_has_them() -> None:
    user32 = User32(CTRL_ALT_SPACE)
    hotkey = taken("Ctrl+Alt+Space", user32)
    assert hotkey.state is HotkeyState.TAKEN
    user32.others.clear()
    hotkey.release()
    assert hotkey.state is HotkeyState.OFF
    assert taken("Ctrl+Alt+Space", user32).state is HotkeyState.ON


@pytest.mark.parametrize(("keys", "held"), [("Ctrl+,", (0x4002, 0xBC)), ("Ctrl+;", (0x4006, 0xBC))])
def test_signs_are_where_the_layout_has_them(keys: str, held: tuple[int, int]) -> None:
    user32 = User32()
    assert taken(keys, user32).state is HotkeyState.ON
    assert user32.held == {NUMBER: held}


@pytest.mark.parametrize("keys", ["Ctrl+[", "Ctrl+~"])
def test_signs_that_no_key_gives_alone(keys: str) -> None:
    user32 = User32()
    assert taken(keys, user32).state is HotkeyState.NO_SUCH_KEY
    assert user32.held == {}
