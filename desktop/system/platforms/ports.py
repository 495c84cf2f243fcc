"""What the tray asks of the operating system: one small interface per quirk, implemented by one file per system."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from PySide6.QtCore import Qt

    from desktop.system.platforms.combination import Combination

APP_ID = "ai.kubiya.worker"
"""Bundle id on macOS, AppUserModelID on Windows, desktop file name on Linux."""

APP_NAME = "Kubiya Worker"


class Autostart(enum.Enum):
    """Whether the tray starts at login."""

    OFF = "off"
    ON = "on"
    FOREIGN = "foreign"
    """There is an entry, but it starts another copy of the program."""
    BLOCKED = "blocked"
    """There is an entry, and the system does not follow it."""
    UNSUPPORTED = "unsupported"


class AutostartEntry(Protocol):
    """The entry that starts the tray at login. All methods may raise OSError."""

    def supposed(self) -> tuple[str, ...]:
        """The command that should be in it: this program, as it was started."""

    def configured(self) -> tuple[str, ...] | None:
        """The command that is in it; None: there is no entry."""

    def blocked(self) -> bool:
        """Whether the system keeps it from being followed (Task Manager, a desktop's own settings)."""

    def write(self) -> None:
        """Make the entry say `supposed()`."""

    def remove(self) -> None:
        """Does nothing where there is none."""


class KeepAwake(Protocol):
    """Keeps the machine from falling asleep by itself; screens may go dark."""

    def hold(self, reason: str) -> None:
        """Does nothing when it holds already, or where the system has no such thing."""

    def release(self) -> None: ...


class PowerEvents(Protocol):
    """Tells when the machine is about to sleep and when it woke up."""

    def listen(self, *, on_sleep: Callable[[], None], on_wake: Callable[[], None]) -> bool:
        """False: this system does not tell (the engine's own clocks notice a sleep afterwards).

        Where the system allows it, sleep waits until `ready_to_sleep()`, for a few seconds at most.
        """

    def ready_to_sleep(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What feeds the machine. None: not known, or there is no battery."""

    percent: float | None = None
    """0 to 100, of all batteries together."""

    used_up: bool | None = None
    """Whether the machine runs on battery."""


class PowerSupply(Protocol):
    """Tells of batteries as they change. None of its methods waits, or raises."""

    changed: Any
    """Qt signal: `charge()` says something else."""

    def charge(self) -> Charge | None:
        """The last that is known; None: nobody tells. From the first question on, it is kept up to date."""


class NetworkCost(Protocol):
    """Tells whether what goes over the network costs money. None of its methods waits, or raises."""

    changed: Any
    """Qt signal: `is_metered()` says something else."""

    def is_metered(self) -> bool | None:
        """None: not known. From the first question on, it is kept up to date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    """A notification on the screen. `key` names it: another one with the same key takes its place."""

    key: str
    title: str
    body: str
    urgency: int = 1
    """0: low, 1: normal, 2: critical, which stays until it is dealt with."""

    open_text: str = ""
    """What a click on it does, for systems that write this on a button."""

    actions: tuple[tuple[str, str], ...] = ()
    """(name, text) of each button."""


class Notifier(Protocol):
    """Shows notifications with buttons. None of its methods waits, or raises."""

    acted: Any
    """Qt signal (key, action, token): the person picked one; `default` is a click on the notification itself. By the
    token a window may come forward on Wayland; empty: there is none."""

    failed: Any
    """Qt signal (key): it could not be shown, or not in time."""

    lost: Any
    """Qt signal (key): who shows notifications now does not have it."""

    def show(self, bubble: Bubble) -> None: ...

    def withdraw(self, key: str) -> None:
        """Take it from the screen, where it is."""

    def close(self) -> None: ...


class ScreenLock(Protocol):
    """Whether others than the user may be looking. None of its methods raises."""

    unlocked: Any
    """Qt signal: it was locked when somebody asked, and is not any more."""

    def is_locked(self) -> bool: ...


class ColorPreference(Protocol):
    """Whether the desktop wants programs dark, where it knows better than Qt. None of its methods waits, or raises."""

    changed: Any
    """Qt signal: `scheme()` says something else."""

    def scheme(self) -> Qt.ColorScheme:
        """`Unknown`: what Qt says holds."""


class HotkeyState(enum.Enum):
    """What became of the wish for keys that reach this program from everywhere."""

    OFF = "off"
    ASKING = "asking"
    """The desktop is asked, and may ask the person."""
    ON = "on"
    TAKEN = "taken"
    """Another program has them."""
    REFUSED = "refused"
    """The desktop, or the person whom it asked, said no."""
    NO_SUCH_KEY = "no such key"
    """Nothing on this keyboard gives them."""
    UNSUPPORTED = "unsupported"


class Hotkey(Protocol):
    """Keys that reach this program whatever has the focus. None of its methods waits for a person, or raises."""

    pressed: Any
    """Qt signal (token): they were pressed. By the token a window may come forward on Wayland; empty: there is none."""

    changed: Any
    """Qt signal: `state` or `assigned` says something else."""

    @property
    def state(self) -> HotkeyState: ...

    @property
    def assigned(self) -> str:
        """How the desktop says that it is pressed, where the desktop decides; empty: as it was wished."""

    def take(self, keys: Combination, *, purpose: str) -> None:
        """From now on these, and no others. `purpose` is what a desktop shows to the person."""

    def release(self) -> None:
        """Does nothing where none are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """This machine's. Where `notifier` is None, the tray icon's own messages are all there is. Where `screen_lock` is,
    the system itself says what its notifications show on a locked screen. Where `supply` is, psutil is asked for
    batteries; where `network` is, Qt for networks; where `scheme` is, Qt for dark and light. `hotkey` makes one when
    somebody wants it; None: there is none.
    """

    autostart: AutostartEntry | None
    keep_awake: KeepAwake
    power: PowerEvents
    supply: PowerSupply | None = None
    network: NetworkCost | None = None
    notifier: Notifier | None = None
    screen_lock: ScreenLock | None = None
    hotkey: Callable[[], Hotkey | None] = lambda: None
    scheme: ColorPreference | None = None


def autostart_state(entry: AutostartEntry | None) -> Autostart:
    """What the menu shows. An entry that cannot be read counts as none."""
    if entry is None:
        return Autostart.UNSUPPORTED
    try:
        configured = entry.configured()
        if configured is None:
            return Autostart.OFF
        if entry.blocked():
            return Autostart.BLOCKED
        return Autostart.ON if configured == entry.supposed() else Autostart.FOREIGN
    except OSError:
        return Autostart.OFF


def set_autostart(entry: AutostartEntry | None, *, on: bool) -> None:
    """Write or remove the entry. Raises OSError."""
    if entry is None:
        return
    if on:
        entry.write()
    else:
        entry.remove()


def repair_autostart(entry: AutostartEntry | None, *, is_ours: Callable[[Sequence[str]], bool]) -> bool:
    """After an update or a move the entry names a program that is gone: write it anew, where it was ours.

    Args:
        entry: this system's.
        is_ours: whether a configured command was written by this program (and is now stale).

    Returns:
        Whether it was repaired.

    Raises:
        OSError: it could not be written.
    """
    if entry is None or autostart_state(entry) is not Autostart.FOREIGN:
        return False
    configured = entry.configured()
    if configured is None or not is_ours(configured):
        return False
    entry.write()
    return True
