"""Keychains that people have, each in a session of its own: started, locked, and unlocked by keys as a person does."""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import ClassVar

import pytest
from PIL import ImageGrab

pytest.importorskip("secretstorage", reason="the Secret Service is Linux's: SecretStorage is not installed")

import secretstorage
from jeepney import DBusAddress, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from tests.support.tray_host import LIMIT_SECONDS, desktop_environment, private_bus, private_display, until
from tests.support.window_manager import openbox
from worker_core.secret_service import SECRETS

LEAVING_SECONDS = 5.0
DARK = 100
"""Of 255, below which a pixel of a choice is its dot."""

PASSWORD = "apassword"
ROOT = Path(__file__).parents[2]
PROMPTER = "/usr/libexec/gcr-prompter"
"""What asks for passwords for gnome-keyring. The bus starts it, and it ends soon where nobody asks."""

PROMPTER_SERVICE = f"""\
[D-BUS Service]
Name=org.gnome.keyring.SystemPrompter
Exec={PROMPTER}
"""

KEEPASSXC_DATABASE = """\
<?xml version="1.0" encoding="UTF-8"?>
<KeePassFile>
  <Meta>
    <Generator>tests</Generator>
    <DatabaseName>Keys</DatabaseName>
    <CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{{{group}}}</Value></Item></CustomData>
  </Meta>
  <Root><Group><UUID>{shown}</UUID><Name>Keys</Name></Group></Root>
</KeePassFile>
"""
KEEPASSXC_SETTINGS = """\
[General]
ConfigVersion=2
UpdateCheckMessageShown=true
[FdoSecrets]
Enabled=true
ShowNotification=false
ConfirmAccessItem=false
ConfirmDeleteItem=false
[GUI]
CheckForUpdates=false
"""

CALLER = """
import asyncio, sys
from datetime import timedelta
from worker_core.secrets import KeychainTimeout, KeyringStore, Secret

URL = "https://cp.example.test"

async def main():
    store = KeyringStore()
    for line in sys.stdin:
        wish, limit, value = line.rstrip("\\n").split(" ")
        store._limit = timedelta(seconds=float(limit))
        try:
            match wish:
                case "name": said = await store.name()
                case "get": said = await store.get(URL); said = said and said.reveal()
                case "set": said = await store.set(URL, Secret(value))
                case "delete": said = await store.delete(URL)
        except KeychainTimeout as error:
            print("KeychainTimeout", flush=True)
            try:
                said = f"answered {await error.answered()}"
            except Exception as no:
                said = type(no).__name__
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        print(said, flush=True)

asyncio.run(main())
"""


class Desk:
    """A screen with a bus; what is started on it ends with it."""

    def __init__(self, *, bus: str, home: Path, environment: dict[str, str], running: contextlib.ExitStack) -> None:
        self._bus, self.home, self._environment, self._running = bus, home, environment, running

    def start(self, program: str, *options: str, given: str = "") -> subprocess.Popen[str]:
        """`given` is what it reads."""
        started = subprocess.Popen(
            [program, *options], cwd=self.home, env=self._environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._running.callback(end, started)
        assert started.stdin is not None
        started.stdin.write(given)
        started.stdin.close()
        return started

    def run(self, *command: str, given: str = "") -> str:
        done = subprocess.run(
            command, cwd=self.home, env=self._environment, input=given, capture_output=True, text=True,
            timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
        return done.stdout.strip()

    def caller(self) -> Caller:
        return Caller(self._environment, self._running)

    def ask_bus(self, look: Callable[[DBusConnection], object]) -> object:
        with closing(open_dbus_connection(self._bus)) as connection:
            return look(connection)

    def focus(self, title: str) -> None:
        """Until the window with the keyboard is called so."""
        try:
            until(lambda: re.search(title, self.run("xdotool", "getactivewindow", "getwindowname")), what=title)
        except AssertionError as error:
            raise AssertionError(f"{error}; there are {self.windows()}") from None

    def windows(self) -> list[str]:
        """The titles of what is shown."""
        shown = self.run("xdotool", "search", "--onlyvisible", "--name", ".").split()
        return [self.run("xdotool", "getwindowname", one) for one in shown]

    def click_dark(self, window: str, x: int, y: int) -> None:
        """Click there in a window until it is dark, as a radio button is that was chosen."""

        def is_dark() -> bool:
            self.run("xdotool", "mousemove", "--window", window, str(x), str(y))
            there = dict(re.findall(r"([XY])=(\d+)", self.run("xdotool", "getmouselocation", "--shell")))
            picture = ImageGrab.grab(xdisplay=self._environment["DISPLAY"]).convert("L")
            if picture.getpixel((int(there["X"]), int(there["Y"]))) < DARK:
                return True
            self.run("xdotool", "click", "1")
            return False

        until(is_dark, what="a choice")

    def type(self, *parts: str) -> None:
        """Words; those in angle brackets are keys as X names them."""
        for part in parts:
            key = part.startswith("<")
            self.run("xdotool", *(("key", part[1:-1]) if key else ("type", "--delay", "15", part)))

    def owned(self) -> bool:
        """Whether there is a Secret Service that runs."""
        return bool(self.ask_bus(lambda bus: bus.send_and_get_reply(message_bus.NameHasOwner(SECRETS)).body[0]))

    def waits(self) -> bool:
        """Whether another one stands in line for the name."""
        line = self.ask_bus(lambda bus: bus.send_and_get_reply(message_bus.ListQueuedOwners(SECRETS)).body[0])
        return isinstance(line, list) and len(line) > 1

    def has_place(self) -> bool:
        """Whether it has a collection for keys."""
        try:
            return self.ask_bus(secretstorage.Collection) is not None
        except secretstorage.SecretStorageException:
            return False

    def is_open(self) -> bool:
        """Whether that is unlocked."""
        return self.has_place() and not self.ask_bus(lambda bus: secretstorage.Collection(bus).is_locked())

    def lock(self) -> None:
        """By the Secret Service."""
        self.ask_bus(lambda bus: secretstorage.Collection(bus).lock())

    def is_locked(self) -> bool:
        """Whether the collection for keys is there, and closed."""
        try:
            return bool(self.ask_bus(lambda bus: secretstorage.Collection(bus).is_locked()))
        except secretstorage.SecretStorageException:
            return False


class Caller:
    """A program that asks for a key as ours does, wish by wish."""

    def __init__(self, environment: dict[str, str], running: contextlib.ExitStack) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CALLER], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        running.callback(end, self._process)
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, wish: str, key: str = "-", *, limit_seconds: float = LIMIT_SECONDS) -> str:
        """What comes of it; KeychainTimeout: `later` has the rest."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{wish} {limit_seconds} {key}\n")
        self._process.stdin.flush()
        return self.later()

    def later(self, *, limit_seconds: float = LIMIT_SECONDS) -> str:
        """Raises queue.Empty: it has not come yet."""
        return self._lines.get(timeout=limit_seconds)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip())


def end(process: subprocess.Popen[str]) -> None:
    """KeePassXC asks first where a window of its is open."""
    process.terminate()
    try:
        process.wait(LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(LIMIT_SECONDS)
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


class Keychain:
    """One that people have."""

    name = ""
    packages: ClassVar[dict[str, str]] = {}
    """What is needed of which Debian package."""

    asks_for_password = ""
    """A window's title."""

    def start(self, desk: Desk) -> subprocess.Popen[str]:
        raise NotImplementedError

    def make_place(self, desk: Desk) -> None:
        """Where a first key is to be kept; nothing where there is one from the beginning."""

    def lock(self, desk: Desk) -> None:
        desk.lock()

    def unlock(self, desk: Desk) -> None:
        desk.focus(self.asks_for_password)
        desk.type("<ctrl+a>", PASSWORD, "<Return>")

    def confirm(self, desk: Desk) -> None:
        """That a key is replaced; nothing where that is not asked."""

    def need(self) -> None:
        """Skips where something is missing."""
        for program, package in self.packages.items():
            if shutil.which(program) is None and not Path(program).exists():
                pytest.skip(f"{program} is missing: install the Debian package {package}")


class GnomeKeyring(Keychain):
    name = "GNOME Keyring"
    packages: ClassVar = {"gnome-keyring-daemon": "gnome-keyring", PROMPTER: "gcr"}
    asks_for_password = "^Unlock Login Keyring$"

    def start(self, desk: Desk) -> subprocess.Popen[str]:
        options = ("--foreground", "--unlock", "--components=secrets")
        return desk.start("gnome-keyring-daemon", *options, given=PASSWORD)


class KWallet(Keychain):
    name = "KWallet"
    packages: ClassVar = {"kwalletd5": "libkf5wallet-bin"}
    asks_for_password = "^KDE Wallet Service$"

    def start(self, desk: Desk) -> subprocess.Popen[str]:
        return desk.start("kwalletd5")

    def make_place(self, desk: Desk) -> None:
        """Its assistant offers GPG first, which fails without a key: another kind is clicked, then a password given."""
        desk.focus(self.asks_for_password)
        first = desk.run("xdotool", "getactivewindow")
        desk.click_dark(first, 109, 167)
        desk.type("<Return>")
        until(lambda: desk.run("xdotool", "getactivewindow") not in {first, ""}, what="its password")
        desk.focus(self.asks_for_password)
        desk.type(PASSWORD, "<Tab>", PASSWORD, "<Return>")


class KeePassXC(Keychain):
    name = "KeePassXC"
    packages: ClassVar = {"keepassxc": "keepassxc", "keepassxc-cli": "keepassxc"}
    asks_for_password = "^Unlock Database - KeePassXC$"

    def start(self, desk: Desk, *, opened: bool = True) -> subprocess.Popen[str]:
        database, group = desk.home / "keys.kdbx", uuid.uuid4()
        plain, settings = desk.home / "keys.xml", desk.home / "keepassxc.ini"
        shown = base64.b64encode(group.bytes).decode()
        plain.write_text(KEEPASSXC_DATABASE.format(group=group, shown=shown), encoding="utf-8")
        settings.write_text(KEEPASSXC_SETTINGS, encoding="utf-8")
        desk.run("keepassxc-cli", "import", "-p", str(plain), str(database), given=f"{PASSWORD}\n{PASSWORD}\n")
        options = ["--config", str(settings), "--localconfig", str(desk.home / "local.ini")]
        if not opened:
            return desk.start("keepassxc", *options)
        started = desk.start("keepassxc", *options, "--pw-stdin", str(database), given=f"{PASSWORD}\n")
        until(desk.is_open, what="an open database")
        return started

    def lock(self, desk: Desk) -> None:
        window = DBusAddress("/keepassxc", "org.keepassxc.KeePassXC.MainWindow", "org.keepassxc.KeePassXC.MainWindow")
        desk.ask_bus(lambda bus: bus.send_and_get_reply(new_method_call(window, "lockAllDatabases")))

    def confirm(self, desk: Desk) -> None:
        desk.focus("^KeePassXC")
        desk.type("<Return>")


@contextlib.contextmanager
def keychain_desk(home: Path) -> Iterator[Desk]:
    """Skips where something is missing."""
    for needed in ("openbox", "xdotool"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is missing: install the Debian package of this name")
    services = home / "services"
    services.mkdir()
    (services / "prompter.service").write_text(PROMPTER_SERVICE, encoding="utf-8")
    with (
        private_display() as display,
        private_bus(services=services, DISPLAY=display) as bus,
        contextlib.ExitStack() as running,
    ):
        environment = desktop_environment(home, display=display, bus=bus) | {"GSETTINGS_BACKEND": "memory"}
        del environment["PYTHON_KEYRING_BACKEND"]
        running.enter_context(openbox(environment))
        yield Desk(bus=bus, home=home, environment=environment, running=running)
