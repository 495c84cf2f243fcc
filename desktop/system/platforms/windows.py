"""Windows: the Run key (and Task Manager's veto), SetThreadExecutionState, WM_POWERBROADCAST, the identity."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QAbstractNativeEventFilter, QByteArray, QCoreApplication

from desktop.system.platforms.ports import Hotkey, Platform

RUN: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
APPROVED: Final = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
VALUE: Final = "KubiyaWorker"

ES_CONTINUOUS: Final = 0x80000000
ES_SYSTEM_REQUIRED: Final = 0x00000001
WM_POWERBROADCAST: Final = 0x0218
PBT_APMSUSPEND: Final = 0x0004
PBT_APMRESUMEAUTOMATIC: Final = 0x0012


def platform(command: tuple[str, ...]) -> Platform:
    return Platform(autostart=RunKey(command), keep_awake=PowerState(), power=PowerBroadcast(), hotkey=_hotkey)


def _hotkey() -> Hotkey:
    from desktop.system.platforms.windows_hotkey import WindowsHotkey

    return WindowsHotkey()


def set_identity(app_id: str) -> None:
    """Before the first window: else the taskbar and toasts show Python."""
    if sys.platform == "win32":
        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID(app_id)


def is_vetoed(flags: bytes) -> bool:
    """StartupApproved's binary value: an odd first byte means that the user switched the entry off."""
    return bool(flags) and flags[0] % 2 == 1


def words_of(line: str) -> tuple[str, ...]:
    """A command line taken apart as Windows does (Microsoft's documentation of `CommandLineToArgvW`, and "Parsing C++
    command-line arguments").

    The program's name ends at its closing quote, or at the first blank; in what follows, quotes may stand anywhere, and
    backslashes before one count half: an odd one makes the quote a character.
    """
    line = line.strip()
    program, _, rest = line[1:].partition('"') if line.startswith('"') else line.partition(" ")
    words = [program]
    word: str | None = None
    slashes, is_quoted = 0, False
    for character in f"{rest} ":
        if character == "\\":
            slashes += 1
            continue
        if character == '"':
            word = (word or "") + "\\" * (slashes // 2) + '"' * (slashes % 2)
            is_quoted = is_quoted is not (slashes % 2 == 0)
        else:
            said = "\\" * slashes
            if is_quoted or character not in " \t":
                said += character
            if said:
                word = (word or "") + said
            if not is_quoted and character in " \t" and word is not None:
                words.append(word)
                word = None
        slashes = 0
    return (*words, *([] if word is None else [word]))


class RunKey:
    """HKCU's Run key. `registry` is the `winreg` module; tests hand in their own."""

    def __init__(self, command: tuple[str, ...], registry: Any = None) -> None:
        if registry is None:
            import winreg as registry
        self._command = command
        self._registry = registry

    def supposed(self) -> tuple[str, ...]:
        return self._command

    def configured(self) -> tuple[str, ...] | None:
        said = self._read(RUN)
        if said is None:
            return None
        line = subprocess.list2cmdline(self._command)
        return self._command if said == line else words_of(str(said))

    def blocked(self) -> bool:
        flags = self._read(APPROVED)
        return isinstance(flags, bytes) and is_vetoed(flags)

    def write(self) -> None:
        registry = self._registry
        with registry.CreateKey(registry.HKEY_CURRENT_USER, RUN) as key:
            registry.SetValueEx(key, VALUE, 0, registry.REG_SZ, subprocess.list2cmdline(self._command))

    def remove(self) -> None:
        """With what Task Manager remembers of it, which would hold for an entry that is written later."""
        registry = self._registry
        for path in (RUN, APPROVED):
            with (
                contextlib.suppress(FileNotFoundError),
                registry.OpenKey(registry.HKEY_CURRENT_USER, path, 0, registry.KEY_SET_VALUE) as key,
            ):
                registry.DeleteValue(key, VALUE)

    def _read(self, path: str) -> object:
        registry = self._registry
        try:
            with registry.OpenKey(registry.HKEY_CURRENT_USER, path) as key:
                return registry.QueryValueEx(key, VALUE)[0]
        except FileNotFoundError:
            return None


class PowerState:
    """Of the calling thread: hold and release from the same one."""

    def hold(self, reason: str) -> None:
        self._set(ES_CONTINUOUS | ES_SYSTEM_REQUIRED)

    def release(self) -> None:
        self._set(ES_CONTINUOUS)

    def _set(self, flags: int) -> None:
        if sys.platform == "win32":
            ctypes.windll.kernel32.SetThreadExecutionState(flags)


class PowerBroadcast(QAbstractNativeEventFilter):
    """Windows gives two seconds before it sleeps and cannot be asked for more."""

    def __init__(self) -> None:
        super().__init__()
        self._on_sleep: Callable[[], None] | None = None
        self._on_wake: Callable[[], None] | None = None

    def listen(self, *, on_sleep: Callable[[], None], on_wake: Callable[[], None]) -> bool:
        self._on_sleep, self._on_wake = on_sleep, on_wake
        app = QCoreApplication.instance()
        if app is None:
            return False
        app.installNativeEventFilter(self)
        return True

    def ready_to_sleep(self) -> None:
        pass

    def close(self) -> None:
        if (app := QCoreApplication.instance()) is not None:
            app.removeNativeEventFilter(self)

    def nativeEventFilter(  # noqa: N802 - Qt's name
        self, event_type: QByteArray | bytes | bytearray | memoryview, message: int
    ) -> object:
        kind = event_type.data() if isinstance(event_type, QByteArray) else event_type
        if sys.platform == "win32" and kind == b"windows_generic_MSG":
            from ctypes import wintypes

            said = wintypes.MSG.from_address(int(message))
            if said.message == WM_POWERBROADCAST:
                self.heard(int(said.wParam))
        return False, 0

    def heard(self, event: int) -> None:
        if event == PBT_APMSUSPEND and self._on_sleep is not None:
            self._on_sleep()
        elif event == PBT_APMRESUMEAUTOMATIC and self._on_wake is not None:
            self._on_wake()
