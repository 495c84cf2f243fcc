"""The tray in Qt: shows what the pure functions say, and hands on what the user picks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QObject, QRect, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from desktop.look.menus import Menu
from desktop.look.scheme import desktop_scheme
from desktop.notices.action import Action, Entry
from desktop.notices.notice import Level, Notice
from desktop.tray.facts import TrayFacts
from desktop.tray.icons import icon
from desktop.tray.menu import menu
from desktop.tray.picture import Picture, picture, tooltip

WATCHER: Final = "org.kde.StatusNotifierWatcher"


class Tray(QObject):
    """One icon with its menu. It need not be visible: `available` says whether the system has a place for it."""

    chosen = Signal(object, str)
    """An `Action`, and what it is about (an id, or nothing)."""

    clicked = Signal()
    """The icon itself, with the left button."""

    notice_clicked = Signal(object)
    """A `Notice`; None: it is not known which."""

    available_changed = Signal(bool)

    def __init__(self, facts: TrayFacts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._facts = facts
        self._shown: tuple[Picture, bool] | None = None
        self._entries: tuple[Entry, ...] = ()
        self._notice: Notice | None = None
        self._menu = Menu()
        self._menu.setAccessibleName("Kubiya Worker")
        # Filled right before it opens as well: what it says about time is then true.
        self._menu.aboutToShow.connect(self._fill)
        self._watcher = _watch_for_panels(self)  # first: a panel that comes in between would be missed for ever
        self._icon = self._new_icon()
        desktop_scheme().changed.connect(self._scheme_changed)
        self._was_available = self.available

    @property
    def available(self) -> bool:
        return QSystemTrayIcon.isSystemTrayAvailable()

    @property
    def place(self) -> QRect:
        """Where the icon is on the screen; not valid where the panel does not say (StatusNotifierItem)."""
        return self._icon.geometry()

    def show(self, facts: TrayFacts) -> None:
        """Draw what changed, and nothing else."""
        self._facts = facts
        self._draw()

    def message(self, notice: Notice) -> None:
        """A system notification, one at a time: a click on it is about the last one.

        Not for panels of StatusNotifierItem: Qt asks the same notification server as everybody, and where there is
        none it makes a light bulb of the icon for ten seconds. The badge says there what waits.
        """
        if self._panel:
            return
        self._notice = notice
        icons = QSystemTrayIcon.MessageIcon
        self._icon.showMessage(
            notice.title, notice.body, icons.Warning if notice.level >= Level.PROBLEM else icons.Information
        )

    def close(self) -> None:
        self._icon.hide()
        self._icon.deleteLater()
        self._menu.deleteLater()

    # --- drawing ------------------------------------------------------------------------------------------

    def _new_icon(self) -> QSystemTrayIcon:
        self._panel = _panel()
        made = QSystemTrayIcon(self)
        made.setContextMenu(self._menu)
        made.activated.connect(self._activated)
        made.messageClicked.connect(lambda: self.notice_clicked.emit(self._notice))
        self._icon = made
        self._shown = None
        self._entries = ()
        self._draw()
        made.show()
        made.setToolTip(tooltip(self._facts))  # some panels forget the one from before
        return made

    def _draw(self) -> None:
        dark = desktop_scheme().is_dark
        wanted = (picture(self._facts), dark)
        if wanted != self._shown:
            self._shown = wanted
            self._icon.setIcon(icon(wanted[0], dark=dark, template=sys.platform == "darwin"))
        said = tooltip(self._facts)
        if said != self._icon.toolTip():
            self._icon.setToolTip(said)
        self._fill()

    def _fill(self) -> None:
        entries = menu(self._facts)
        if entries != self._entries:
            self._entries = entries
            self._update(self._menu, entries)

    def _update(self, target: QMenu, entries: Sequence[Entry]) -> None:
        """Change what differs. What is above and below keeps its actions, so that an open menu stays open, and a click
        that is on its way is still somebody's.
        """
        actions = target.actions()
        above, below = _same([action.property("shape") for action in actions], [_shape(entry) for entry in entries])
        for action in actions[above : len(actions) - below]:
            target.removeAction(action)
            (action.menu() or action).deleteLater()
        behind = actions[len(actions) - below] if below else None
        added = [self._new_action(target, entry, behind) for entry in entries[above : len(entries) - below]]
        kept = actions[len(actions) - below :]
        for action, entry in zip([*actions[:above], *added, *kept], entries, strict=True):
            self._apply(action, entry)

    def _new_action(self, target: QMenu, entry: Entry, behind: QAction | None) -> QAction:
        action = Menu(target).menuAction() if entry.children else QAction(target)
        if not entry.title:
            action.setSeparator(True)
        elif not entry.children:
            action.triggered.connect(lambda: self._picked(action))
        target.insertAction(behind, action)  # type: ignore[arg-type]  # None: at the end
        action.setProperty("shape", _shape(entry))
        return action

    def _apply(self, action: QAction, entry: Entry) -> None:
        if not entry.title:
            return
        action.setText(for_dbusmenu(entry.title) if self._panel else entry.title.replace("&", "&&"))
        action.setEnabled(entry.enabled)
        action.setCheckable(entry.checked is not None)
        action.setChecked(bool(entry.checked))
        action.setData((entry.action, entry.target))
        inner = action.menu()
        if isinstance(inner, QMenu):
            inner.setTitle(action.text())
            self._update(inner, entry.children)

    # --- what comes from outside --------------------------------------------------------------------------

    def _picked(self, action: QAction) -> None:
        chosen, target = action.data()
        self._entries = ()  # a check mark flipped by itself: the next drawing puts it right
        if chosen is not Action.NOTHING:
            self.chosen.emit(chosen, target)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        # macOS opens the menu on every click, and says "unknown" since Qt 6.11.3 (QTBUG-147449).
        if sys.platform == "darwin":
            return
        reasons = QSystemTrayIcon.ActivationReason
        if reason is reasons.Trigger:
            self.clicked.emit()
        elif reason in {reasons.DoubleClick, reasons.MiddleClick}:
            self.chosen.emit(Action.OPEN, "")

    def _scheme_changed(self) -> None:
        self._draw()

    def panel_changed(self, service: str, before: str, after: str) -> None:
        """The panel came, went, or was started anew."""
        if after and after != self._panel:
            # An icon that was made before the panel was there never gets into it; showing it again does not help.
            old = self._icon
            old.hide()
            old.deleteLater()
            self._icon = self._new_icon()
        if self.available != self._was_available:
            self._was_available = self.available
            self.available_changed.emit(self._was_available)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LanguageChange:
            self._entries = ()
            self._draw()
        return super().event(event)


def for_dbusmenu(title: str) -> str:
    """A text that panels of StatusNotifierItem show as it is.

    Qt (6.11) hands it on with the first `&` that is not the last character turned into `_`, and nothing else changed;
    panels show `__` as `_`, and leave any other `_` out.
    """
    doubled = title.replace("_", "__")
    at = doubled.find("&")
    return doubled if at < 0 or at == len(doubled) - 1 else f"{doubled[:at]}&{doubled[at:]}"


def _shape(entry: Entry) -> str:
    """What it is and does. One that does something else is another one: a click on its way must not do that."""
    if not entry.title:
        return "line"
    if entry.children:
        return " ".join(("menu", *(one.target for one in entry.children if one.target)))
    return f"item {entry.action.value} {entry.target}"


def _same(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """How many shapes are the same from the top, and how many of the others from the bottom."""
    most = min(len(before), len(after))
    above = next((place for place in range(most) if before[place] != after[place]), most)
    below = next((back for back in range(most - above) if before[-1 - back] != after[-1 - back]), most - above)
    return above, below


def _panel() -> str:
    """Who has the place for icons, as the bus names it; empty: nobody."""
    if not sys.platform.startswith("linux"):
        return ""
    from PySide6.QtDBus import QDBusConnection

    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        return ""
    return str(bus.interface().serviceOwner(WATCHER).value() or "")


def _watch_for_panels(tray: Tray) -> QObject | None:
    """On Linux: told by the bus, never asked."""
    if not sys.platform.startswith("linux"):
        return None
    from PySide6.QtDBus import QDBusConnection, QDBusServiceWatcher

    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        return None
    watcher = QDBusServiceWatcher(WATCHER, bus, QDBusServiceWatcher.WatchModeFlag.WatchForOwnerChange, tray)
    watcher.serviceOwnerChanged.connect(tray.panel_changed)
    return watcher
