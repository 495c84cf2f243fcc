"""What all pages of the window share. The composition root lays it out once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop.look.tokens import Tone
from desktop.models.executions import ExecutionStore
from desktop.notices.action import Action, Entry
from desktop.notices.notice import Notice
from desktop.notices.notifications import Notifications
from desktop.notices.updates import UpdateWatch
from desktop.settings.keys import Keys
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.system.diagnosis import Diagnosis
from desktop.system.files_left import FilesLeft
from desktop.system.open_elsewhere import Outside
from desktop.system.platforms.ports import AutostartEntry, Charge
from desktop.system.usage_kept import UsageKept
from desktop.system.working_copies import WorkingCopies
from desktop.windows.background import Background
from desktop.worker.face import WorkerFace
from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from desktop.system.hotkey import HotkeyKeeper
    from worker_core.snapshot import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """For the banner: what is said, and at most one thing to do about it."""

    text: str
    tone: Tone = "danger"
    action: str = ""
    act: Callable[[], object] | None = None


class Frame(QObject):
    """What pages ask of the window around them."""

    page_wanted = Signal(str, str)
    """A page's name, and what to show on it."""

    task_wanted = Signal()
    """A new task is to be written."""

    said = Signal(object)
    """A `Sentence`."""

    def show_page(self, name: str, target: str = "") -> None:
        """As `MainWindow.show_page`."""
        self.page_wanted.emit(name, target)

    def say(
        self, text: str, *, tone: Tone = "danger", action: str = "", act: Callable[[], object] | None = None
    ) -> None:
        """Show a sentence above the page."""
        self.said.emit(Sentence(text=text, tone=tone, action=action, act=act))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    worker: WorkerFace
    settings: SettingsStore
    policy: PolicyStore
    notices: Notifications
    updates: UpdateWatch
    diagnosis: Diagnosis
    outside: Outside
    copies: WorkingCopies
    files_left: FilesLeft
    usage: UsageKept
    keys: Keys | None
    """None in a playground, which has a key of its own."""

    autostart: AutostartEntry | None
    """None where the system has no such thing."""

    sample: Callable[[], Awaitable[Health]]
    """Measures this machine; asked while somebody looks, oftener than heartbeats are sent."""

    charge: Callable[[], Charge]
    """What the batteries hold; asked while somebody looks."""

    follow: Callable[[Notice], object]
    """Opens what a notice is about."""

    menu: Callable[[], Sequence[Entry]] = tuple
    """The tray's menu as it is now."""

    carry_out: Callable[[Action, str], object] = lambda _action, _target: None
    """Does what was picked in it."""

    playground_model: Callable[[], str] = lambda: ""
    """Which model the playground has; empty where this is none."""

    hotkey: Callable[[], HotkeyKeeper | None] = lambda: None
    """The keys that open a new task from anywhere. Made when somebody wants to see them; None in tests."""

    background: Background = field(default_factory=Background)
    executions: ExecutionStore = field(default_factory=ExecutionStore)
    frame: Frame = field(default_factory=Frame)
