"""Keys as systems name them."""

from __future__ import annotations

import pytest

from desktop.system.platforms.combination import Combination
from tests.support.imports import loaded_by


@pytest.mark.parametrize(
    ("keys", "trigger", "keysym", "virtual"),
    [
        ("Ctrl+Alt+Space", "CTRL+ALT+space", 0x20, 0x20),
        ("Ctrl+Shift+K", "CTRL+SHIFT+k", 0x6B, 0x4B),
        ("Meta+F12", "LOGO+F12", 0xFFC9, 0x7B),
        ("Alt+PgDown", "ALT+Next", 0xFF56, 0x22),
        ("Ctrl+,", "CTRL+comma", 0x2C, 0),
        ("Meta+5", "LOGO+5", 0x35, 0x35),
    ],
)
def test_each_system_has_its_words(keys: str, trigger: str, keysym: int, virtual: int) -> None:
    combination = Combination.of(keys)
    assert combination is not None
    assert (combination.trigger, combination.key.keysym, combination.key.virtual) == (trigger, keysym, virtual)


@pytest.mark.parametrize(
    "keys", ["", "A", "Shift+A", "F5", "Ctrl+K, Ctrl+S", "Ctrl+Ä", "Ctrl", "nonsense", "Ctrl+Play"]
)
def test_what_is_none(keys: str) -> None:
    assert Combination.of(keys) is None


def test_switched_off_it_costs_a_start_nothing() -> None:
    tray = "import desktop.shell.app; from desktop.system.platforms import platform; platform()"
    loaded = loaded_by(f"from PySide6.QtWidgets import QApplication; app = QApplication([]); {tray}")
    assert not {name for name in loaded if "hotkey" in name or name.endswith((".combination", ".xcb"))}
