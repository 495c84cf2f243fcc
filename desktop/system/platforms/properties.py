"""Properties of a service of the system's bus, kept up to date: it may begin late, be restarted, or never be there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusVariant

from desktop.system.platforms.late_answers import ask
from desktop.system.platforms.services import watch
from worker_core.basics.quick_dataclass import dataclass

INTERFACE: Final = "org.freedesktop.DBus.Properties"


@dataclass(frozen=True, slots=True)
class Property:
    path: str
    interface: str
    name: str


class Properties(QObject):
    """Asks nobody before somebody wants to know."""

    changed = Signal()
    """`read` says something else."""

    def __init__(
        self, service: str, asked: tuple[Property, ...], *, bus: QDBusConnection | None = None, start: bool = False
    ) -> None:
        """Args:
        service: its well-known name.
        asked: what is wanted; no two have the same name.
        bus: default: the system's.
        start: whether the bus may start it for us.
        """
        super().__init__()
        self._service, self._asked, self._start = service, asked, start
        self._bus = bus or QDBusConnection.systemBus()
        self._known: Mapping[str, Any] | None = {}
        self._round = 0
        self._begun = False

    def read(self) -> Mapping[str, Any] | None:
        """The last that is known, by name: all, or nothing as long as no answer has come; None: nobody tells."""
        if not self._begun:
            self._begun = True
            self._begin()
        return self._known

    @Slot()
    def look(self) -> None:
        """Something of it has changed."""
        self._round += 1
        this_round, said = self._round, dict[str, Any]()

        def told(name: str, value: Any) -> None:
            said[name] = value.variant() if isinstance(value, QDBusVariant) else value
            if len(said) == len(self._asked) and this_round == self._round:
                self._take(None if None in said.values() else said)

        for one in self._asked:
            call = QDBusMessage.createMethodCall(self._service, one.path, INTERFACE, "Get")
            call.setArguments([one.interface, one.name])
            call.setAutoStartService(self._start)
            wish = f"A look at {self._service}"
            ask(self._bus, call, parent=self, then=partial(told, one.name), wish=wish)

    def _begin(self) -> None:
        if not self._bus.isConnected():
            self._known = None
            return
        slot = SLOT("look()")  # a str, whatever PySide's stubs say
        for path in dict.fromkeys(one.path for one in self._asked):
            self._bus.connect(self._service, path, INTERFACE, "PropertiesChanged", self, slot)  # type: ignore[call-overload]
        watch(self._service, self._bus, parent=self, came=self.look, went=self._gone)
        self.look()

    def _gone(self) -> None:
        self._round += 1  # answers that are still under way are of one that is no more
        self._take(None)

    def _take(self, known: Mapping[str, Any] | None) -> None:
        if known != self._known:
            self._known = known
            self.changed.emit()
