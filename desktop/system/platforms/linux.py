"""Linux: XDG autostart; sleep and keep-awake through logind, batteries and networks too, on the system bus."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import SLOT, QObject, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusUnixFileDescriptor
from PySide6.QtGui import QGuiApplication

from desktop.look.language import tr
from desktop.system.platforms.color_scheme import PortalColorScheme
from desktop.system.platforms.late_answers import ask
from desktop.system.platforms.network_manager import NetworkManager
from desktop.system.platforms.ports import APP_ID, APP_NAME, Hotkey, Notifier, Platform
from desktop.system.platforms.services import watch
from desktop.system.platforms.session_lock import MANAGER, MANAGER_PATH, SERVICE, SessionLock
from desktop.system.platforms.upower import UPower
from worker_core.basics.files import write_private

log = logging.getLogger(__name__)


_ENTRY = """[Desktop Entry]
Type=Application
Name=Kubiya Worker
Comment=Runs AI agents on this machine
Exec={command}
TryExec={program}
Icon={icon}
Terminal=false
Categories=Development;
X-GNOME-Autostart-enabled=true
"""


def platform(command: tuple[str, ...]) -> Platform:
    logind = Logind()
    return Platform(
        autostart=XdgAutostart(command),
        keep_awake=logind,
        power=logind,
        supply=UPower(),
        network=NetworkManager(),
        notifier=_notifier(),
        screen_lock=SessionLock(),
        hotkey=_hotkey,
        scheme=PortalColorScheme(),
    )


def _notifier() -> Notifier | None:
    from desktop.system.platforms.dbus_notifier import DBusNotifier

    if find_spec("jeepney") is None:  # it comes with the keychain, where there is one
        return None
    from desktop.system.platforms.notice_picture import notice_picture

    return DBusNotifier(application=APP_NAME, desktop_entry=APP_ID, picture=lambda: notice_picture(APP_ID))


def _hotkey(environ: Mapping[str, str] = os.environ) -> Hotkey | None:
    """Of this session. X11's own way reaches nothing but X11's programs on Wayland, wherever our windows are."""
    if environ.get("WAYLAND_DISPLAY") or environ.get("XDG_SESSION_TYPE") == "wayland":
        if find_spec("jeepney") is None:
            return None
        from desktop.system.platforms.portal_hotkey import PortalHotkey

        return PortalHotkey(app_id=APP_ID)
    if QGuiApplication.platformName() != "xcb":
        return None
    from desktop.system.platforms.x11_hotkey import X11Hotkey

    return X11Hotkey()


class XdgAutostart:
    """`~/.config/autostart/kubiya-worker.desktop`."""

    def __init__(self, command: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> None:
        self._command = command
        base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        self.file: Final = Path(base) / "autostart" / "kubiya-worker.desktop"

    def supposed(self) -> tuple[str, ...]:
        return self._command

    def configured(self) -> tuple[str, ...] | None:
        said = self._value("Exec")
        if said is None:
            return None
        return tuple(one.replace("%%", "%") for one in _arguments(said))

    def blocked(self) -> bool:
        """A desktop's own settings write one of these instead of removing the file."""
        hidden = (self._value("Hidden") or "").lower() == "true"
        off = (self._value("X-GNOME-Autostart-enabled") or "true").lower() == "false"
        return hidden or off

    def write(self) -> None:
        if any(not one.isprintable() for one in self._command):  # a line break would begin another key
            raise OSError(errno.EINVAL, f"a login entry cannot name the program {self._command[0]!r}")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # A desktop passes over an entry whose TryExec is gone: a package that is removed leaves none that fails.
        program = self._command[0].replace("\\", "\\\\")
        command = " ".join(map(_quoted, self._command))
        entry = _ENTRY.format(command=command, program=program, icon=APP_ID)
        write_private(self.file, entry.encode(), durable=False, mode=0o644)

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)

    def _value(self, key: str) -> str | None:
        try:
            text = self.file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        found = re.search(rf"^{re.escape(key)}[ \t]*=(.*)", text, re.MULTILINE)
        return found[1].strip(" \t") if found else None


def _quoted(argument: str) -> str:
    """As the Desktop Entry specification wants it: `%` doubled, in double quotes; then as a string of that file."""
    argument = argument.replace("%", "%%")
    if not re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", argument):
        argument = '"' + re.sub(r'(["`$\\])', r"\\\1", argument) + '"'
    return argument.replace("\\", "\\\\")


def _arguments(said: str) -> list[str]:
    """The way back."""
    line = said.replace("\\\\", "\\")
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [plain or re.sub(r"\\(.)", r"\1", quoted) for quoted, plain in words]


class Logind(QObject):
    """Delays sleep while work is put in order, tells of waking up, and keeps the machine awake.

    logind takes these as file descriptors: closing one lets go. Nothing of it is there without a system bus.
    """

    def __init__(self, bus: QDBusConnection | None = None) -> None:
        super().__init__()
        self._bus = bus or QDBusConnection.systemBus()
        self._on_sleep: Callable[[], None] | None = None
        self._on_wake: Callable[[], None] | None = None
        self._wished: dict[str, tuple[str, str, object]] = {}
        """What and why, by mode; each has its own object, since the answer to one may come when another is wished."""

        self._held: dict[str, QDBusUnixFileDescriptor] = {}
        if self._bus.isConnected():
            watch(SERVICE, self._bus, parent=self, came=self._inhibit_again)

    # --- PowerEvents --------------------------------------------------------------------------------------

    def listen(self, *, on_sleep: Callable[[], None], on_wake: Callable[[], None]) -> bool:
        if not self._bus.isConnected():
            return False
        self._on_sleep, self._on_wake = on_sleep, on_wake
        # PySide takes the slot as str, whatever its stubs say; bytes raise ValueError.
        slot = SLOT("prepare_for_sleep(bool)")
        heard = self._bus.connect(SERVICE, MANAGER_PATH, MANAGER, "PrepareForSleep", self, slot)  # type: ignore[call-overload]
        if heard:
            self._inhibit("sleep", tr("Finishing what runs"), "delay")
        return bool(heard)

    def ready_to_sleep(self) -> None:
        self._let_go("delay")

    def close(self) -> None:
        self._on_sleep = self._on_wake = None
        self.ready_to_sleep()
        self.release()

    @Slot(bool)
    def prepare_for_sleep(self, begins: bool) -> None:
        if begins:
            if self._on_sleep is not None:
                self._on_sleep()
        else:
            self._inhibit("sleep", tr("Finishing what runs"), "delay")
            if self._on_wake is not None:
                self._on_wake()

    # --- KeepAwake ----------------------------------------------------------------------------------------

    def hold(self, reason: str) -> None:
        if "block" not in self._wished and self._bus.isConnected():
            self._inhibit("sleep:idle", reason, "block")

    def release(self) -> None:
        self._let_go("block")

    def _inhibit(self, what: str, why: str, mode: str) -> None:
        call = QDBusMessage.createMethodCall(SERVICE, MANAGER_PATH, MANAGER, "Inhibit")
        call.setArguments([what, "Kubiya Worker", why, mode])
        wish = self._wished[mode] = what, why, object()

        def take(given: Any) -> None:
            if self._wished.get(mode) is wish and isinstance(given, QDBusUnixFileDescriptor):
                self._held[mode] = given

        ask(self._bus, call, parent=self, then=take, wish="Holding up sleep")

    def _inhibit_again(self) -> None:
        """Logind has come, or another one: it may know of nothing that was asked of the last."""
        for mode, (what, why, _) in list(self._wished.items()):
            self._inhibit(what, why, mode)

    def _let_go(self, mode: str) -> None:
        self._wished.pop(mode, None)
        self._held.pop(mode, None)
