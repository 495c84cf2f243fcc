"""Keys from anywhere, pressed on a real X server while another program has the focus."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop.settings.store import SettingsStore
from tests.desktop.session import ROOT, Session, icon_in, panel_of
from tests.support.engine import home
from tests.support.lines import LinesOf
from tests.support.shortcuts_portal import ShortcutsPortal
from tests.support.tray_host import LIMIT_SECONDS, desktop_environment, private_bus, private_display, until
from tests.support.wake_ups import wake_ups
from tests.support.window_manager import openbox

NEW_TASK = "New task"
"""How the dialog's title begins, to which Qt adds the program's name."""

Y_ON_AMERICAN_KEYBOARDS = 29
"""Its keycode (evdev)."""

OTHER = """
import sys
from PySide6.QtWidgets import QApplication, QPlainTextEdit
class Field(QPlainTextEdit):
    def keyPressEvent(self, event):
        if event.key() < 0x01000000:  # no modifier
            print("key", event.key(), flush=True)
        super().keyPressEvent(event)
app = QApplication(["other"])
field = Field()
field.textChanged.connect(lambda: print("text", field.toPlainText(), flush=True))
field.setWindowTitle("Other")
field.show()
app.exec()
"""
"""Another person's program: it says which keys it gets."""

HOLDER = """
import json, sys
from pathlib import Path
from PySide6.QtCore import QSocketNotifier
from PySide6.QtWidgets import QApplication
from desktop.settings.store import SettingsStore
from desktop.system.hotkey import HotkeyKeeper
from desktop.system.platforms import platform
from tests.support.engine import home
app = QApplication(["holder"])
store = SettingsStore(home(Path(sys.argv[1])), environ={})
keeper = HotkeyKeeper(make=platform().hotkey, store=store)
def say(word):
    print(word, flush=True)
keeper.changed.connect(lambda: say(keeper.state.value))
keeper.pressed.connect(lambda token: say("pressed"))
def read():
    if not (line := sys.stdin.readline()):
        return app.quit()
    store.prefer(**json.loads(line))
    say("taken up")
notifier = QSocketNotifier(0, QSocketNotifier.Type.Read)
notifier.activated.connect(read)
say("ready")
app.exec()
keeper.close()
"""
"""What follows the preferences, on this system's own: they come line by line."""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    if not sys.platform.startswith("linux"):
        pytest.skip("X11 is Linux's")
    for program in ("openbox", "xdotool", "setxkbmap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} (Debian: openbox, xdotool, x11-xkb-utils) is not installed")
    with private_display() as display, private_bus() as bus:
        environment = desktop_environment(tmp_path, display=display, bus=bus)
        with openbox(environment):
            yield Session(bus, tmp_path, environment)


@contextlib.contextmanager
def program(session: Session, text: str, *arguments: str) -> Iterator[LinesOf]:
    process = subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        cwd=ROOT, env=session.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = LinesOf(process)
    try:
        yield lines
    finally:
        process.kill()
        process.wait(LIMIT_SECONDS)
        lines.close()


@contextlib.contextmanager
def other_in_front(session: Session, keyboard: Keyboard) -> Iterator[LinesOf]:
    with program(session, OTHER) as other:
        keyboard.to("Other")
        yield other


class Keyboard:
    def __init__(self, session: Session) -> None:
        self._environment = session.environment

    def press(self, *keys: str) -> None:
        self.do("key", "--delay", "30", *keys)

    def layout(self, *options: str) -> None:
        subprocess.run(["setxkbmap", *options], env=self._environment, check=True, timeout=LIMIT_SECONDS)

    def windows(self, title: str) -> list[str]:
        return self.do("search", "--onlyvisible", "--name", f"^{title}").split()

    def to(self, title: str) -> None:
        """Wait for a window, and give it the focus."""
        until(lambda: self.is_at(title) or self._activate(title), what=f"the focus in {title}")

    def _activate(self, title: str) -> bool:
        """Asks once more where no window manager has taken it up yet."""
        for window in self.windows(title)[-1:]:
            self.do("windowactivate", window)
        return self.is_at(title)

    def is_at(self, title: str) -> bool:
        return self.do("getactivewindow", "getwindowname").startswith(title)

    def do(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self._environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
        return done.stdout


def test_a_new_task_comes_before_another_program_and_goes_again(session: Session) -> None:
    SettingsStore(home(session.home / "worker")).prefer(hotkey_on=True, start_worker=False)
    session.environment |= {"QUEUE_ID": "q", "CONTROL_PLANE_URL": "http://127.0.0.1:9", "KUBIYA_API_KEY": "k"}
    keyboard = Keyboard(session)
    with panel_of(session) as panel, session.started("--at-login") as tray, icon_in(session, panel) as icon:
        with other_in_front(session, keyboard) as other:
            until(lambda: _rests(tray.pid), what="a program that rests while the keys are held")
            keyboard.press("ctrl+alt+space")
            until(lambda: keyboard.is_at(NEW_TASK), what="the dialog, with the focus")
            assert not keyboard.windows("Kubiya Worker"), "the window was never wanted"
            assert keyboard.do("search", "--onlyvisible", "--class", f"^{_class_of_entry()}$"), "docks know whose it is"
            keyboard.do("type", "--delay", "15", "hello")
            keyboard.to("Other")
            keyboard.press("ctrl+alt+space")
            until(lambda: keyboard.is_at(NEW_TASK), what="the same dialog before the other program")
            assert len(keyboard.windows(NEW_TASK)) == 1
            keyboard.press("ctrl+a", "ctrl+c", "Escape")
            until(lambda: not keyboard.windows(NEW_TASK))
            assert not keyboard.windows("Kubiya Worker"), "it stays as it was"
            keyboard.to("Other")
            keyboard.press("ctrl+v")
            other.until("text hello")
            assert "key 32" not in other.all, "the other program saw nothing of it"
        icon.click("Quit")
        assert tray.wait(LIMIT_SECONDS) == 0


def _class_of_entry() -> str:
    """Of X11's windows, as the entry in the menu of applications has it."""
    entry = (ROOT / "installers" / "linux" / "files" / "ai.kubiya.worker.desktop").read_text(encoding="utf-8")
    return next(
        line.removeprefix("StartupWMClass=") for line in entry.splitlines() if line.startswith("StartupWMClass")
    )


def _rests(pid: int) -> bool:
    """Whether the thread of its windows was woken by nothing for a second."""
    before = wake_ups(pid)[pid]
    with contextlib.suppress(psutil.TimeoutExpired):
        psutil.Process(pid).wait(1)
    return wake_ups(pid)[pid] == before


def test_on_wayland_the_portal_brings_it(session: Session) -> None:
    """Its windows are X11's here: the keys alone come from the portal."""
    SettingsStore(home(session.home / "worker")).prefer(hotkey_on=True, start_worker=False)
    session.environment |= {"QUEUE_ID": "q", "CONTROL_PLANE_URL": "http://127.0.0.1:9", "KUBIYA_API_KEY": "k"}
    session.environment["XDG_SESSION_TYPE"] = "wayland"
    keyboard = Keyboard(session)
    with (
        contextlib.closing(ShortcutsPortal(session.bus)) as portal,
        panel_of(session) as panel,
        session.started("--at-login") as tray,
        icon_in(session, panel) as icon,
    ):
        until(lambda: portal.shortcuts, what="a wish for keys")
        portal.press(token="of-the-keys")
        until(lambda: keyboard.is_at(NEW_TASK), what="the dialog, with the focus")
        icon.click("Quit")
        assert tray.wait(LIMIT_SECONDS) == 0
        until(lambda: not portal.open, what="the desktop has them back")


def test_it_is_held_from_switch_to_switch(session: Session, tmp_path: Path) -> None:
    keyboard = Keyboard(session)
    with program(session, HOLDER, str(tmp_path)) as holder, other_in_front(session, keyboard) as other:
        holder.until("ready")
        keyboard.press("ctrl+alt+space", "a")
        other.until("key 65")
        assert "key 32" in other.take(), "off: the other program has its keys"
        holder.say(json.dumps({"hotkey_on": True}))
        holder.until("on")
        keyboard.press("ctrl+alt+space", "b")
        other.until("key 66")
        assert "key 32" not in other.take()
        holder.until("pressed", times=1)
        holder.say(json.dumps({"hotkey": "Ctrl+Shift+K"}))
        holder.until("taken up", times=2)
        keyboard.press("ctrl+shift+k", "c")
        other.until("key 67")
        holder.until("pressed", times=2)
        keyboard.press("ctrl+alt+space", "d")
        other.until("key 68")
        assert "key 32" in other.take(), "the first ones are free again"
        holder.say(json.dumps({"hotkey_on": False}))
        holder.until("off")
        keyboard.press("ctrl+shift+k", "e")
        other.until("key 69")
        assert "key 75" in other.take()
        assert [one for one in holder.all if one != "taken up"] == ["ready", "on", "pressed", "pressed", "off"]


@pytest.mark.parametrize("locked", [["Num_Lock"], ["Caps_Lock"], ["Caps_Lock", "Num_Lock"]])
def test_locks_do_not_matter(session: Session, tmp_path: Path, locked: list[str]) -> None:
    keyboard = Keyboard(session)
    with program(session, HOLDER, str(tmp_path)) as holder, other_in_front(session, keyboard):
        holder.say(json.dumps({"hotkey_on": True}))
        holder.until("on")
        keyboard.press(*locked)
        keyboard.press("ctrl+alt+space")
        holder.until("pressed")


def test_held_down_it_counts_once(session: Session, tmp_path: Path) -> None:
    keyboard = Keyboard(session)
    with program(session, HOLDER, str(tmp_path)) as holder, other_in_front(session, keyboard) as other:
        holder.say(json.dumps({"hotkey_on": True}))
        holder.until("on")
        keyboard.do("keydown", "ctrl", "keydown", "alt", "keydown", "space", "sleep", "1.5")  # repeats after 0.66 s
        keyboard.do("keyup", "space", "keyup", "alt", "keyup", "ctrl")
        keyboard.press("a")
        other.until("key 65")
        keyboard.press("ctrl+alt+space")
        holder.until("pressed", times=2)
        assert holder.all.count("pressed") == 2


def test_another_layout_takes_it_along(session: Session, tmp_path: Path) -> None:
    """Y and Z change places in German; in Russian, no key has a Latin letter but in its second layout."""
    keyboard = Keyboard(session)
    with program(session, HOLDER, str(tmp_path)) as holder, other_in_front(session, keyboard) as other:
        holder.say(json.dumps({"hotkey_on": True, "hotkey": "Ctrl+Alt+Y"}))
        holder.until("on")
        keyboard.press("ctrl+alt+y")
        holder.until("pressed")
        holder.take()
        keyboard.layout("de")
        until(lambda: keyboard.press("ctrl+alt+y") or holder.take(), what="the keys where German has them")
        other.take()
        keyboard.press(f"ctrl+alt+{Y_ON_AMERICAN_KEYBOARDS}", "a")
        other.until("key 65")
        assert f"key {ord('Z')}" in other.take(), "where it was, there is another letter now"
        keyboard.layout("ru,us")
        until(lambda: keyboard.press("ctrl+alt+y") or holder.take(), what="the keys beside Russian")


def test_who_has_the_keys_first_has_them(session: Session, tmp_path: Path) -> None:
    with (
        program(session, HOLDER, str(tmp_path / "first")) as first,
        program(session, HOLDER, str(tmp_path / "second")) as second,
    ):
        first.say(json.dumps({"hotkey_on": True}))
        first.until("on")
        second.say(json.dumps({"hotkey_on": True}))
        second.until("taken")
        first.say(json.dumps({"hotkey_on": False}))
        first.until("off")
        second.say(json.dumps({"hotkey_on": False}))
        second.until("off")
        second.say(json.dumps({"hotkey_on": True}))
        second.until("on")
        second.say(json.dumps({"hotkey": "Ctrl+Alt+Home"}))
        second.until("taken up", times=4)
        first.say(json.dumps({"hotkey_on": True}))
        first.until("on", times=2)
