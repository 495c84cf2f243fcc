"""Services of a bus that come and go: they are restarted by upgrades, and some begin after this program."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtDBus import QDBusConnection, QDBusServiceWatcher


def watch(
    service: str,
    bus: QDBusConnection,
    *,
    parent: QObject,
    came: Callable[[], None],
    went: Callable[[], None] = lambda: None,
) -> None:
    """Hear of a service's owner, for as long as `parent` lives.

    Args:
        service: its well-known name.
        bus: where.
        parent: who hears of it.
        came: somebody owns the name, or another than before: what was asked of the last one is forgotten there.
        went: nobody owns it any more.
    """
    watcher = QDBusServiceWatcher(service, bus, QDBusServiceWatcher.WatchModeFlag.WatchForOwnerChange, parent)

    def changed(_service: str, _before: str, now: str) -> None:
        if now:
            came()
        else:
            went()

    watcher.serviceOwnerChanged.connect(changed)
