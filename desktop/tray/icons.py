"""The tray's icons: drawn as SVG per state, so that they are sharp at every size; nothing here needs a window."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from desktop.look.tokens import TRAY_DISCS, TRAY_MARKS
from desktop.tray.picture import IconState, Picture

SIZES: Final = (16, 20, 22, 24, 32, 44, 48, 64)
"""Of trays at 1x to 3x. Windows and D-Bus take pixels, so each size is drawn for itself."""

_BOX: Final = 32

_MARKS: Final[dict[IconState, str]] = {
    IconState.RUNNING: '<path d="M12.2 9.6v12.8l10.6-6.4z"/>',
    IconState.BUSY: '<circle cx="9.6" cy="16" r="2.4"/><circle cx="16" cy="16" r="2.4"/>'
    '<circle cx="22.4" cy="16" r="2.4"/>',
    IconState.PAUSED: '<rect x="10.4" y="9.6" width="4" height="12.8" rx="1.2"/>'
    '<rect x="17.6" y="9.6" width="4" height="12.8" rx="1.2"/>',
    IconState.DRAINING: '<path d="M14.2 8.6h3.6v7.6h4.6L16 23.6l-6.4-7.4h4.6z"/>',
    IconState.ATTENTION: '<rect x="14" y="7.6" width="4" height="10.8" rx="2"/><circle cx="16" cy="22.6" r="2.3"/>',
    IconState.CUT_OFF: '<rect x="7" y="14" width="6.6" height="4" rx="2"/>'
    '<rect x="18.4" y="14" width="6.6" height="4" rx="2"/>',
    IconState.STOPPED: '<rect x="10.8" y="10.8" width="10.4" height="10.4" rx="1.8"/>',
}


def svg(state: IconState, *, dark: bool, template: bool, marked: bool = True) -> str:
    """One icon as SVG text.

    Args:
        state: which.
        dark: for a dark panel.
        template: black with a mark cut out, for the system to tint (macOS).
        marked: False leaves the disc empty, for a count.
    """
    disc, mark = ("#000000", "") if template else (TRAY_DISCS[state.value][dark], TRAY_MARKS[dark])
    shape = _MARKS[state] if marked else ""
    if template:
        body = (
            f'<defs><mask id="m"><rect width="{_BOX}" height="{_BOX}" fill="#ffffff"/><g fill="#000000">{shape}</g>'
            f'</mask></defs><circle cx="16" cy="16" r="14.5" fill="{disc}" mask="url(#m)"/>'
        )
    else:
        body = f'<circle cx="16" cy="16" r="14.5" fill="{disc}"/><g fill="{mark}">{shape}</g>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_BOX} {_BOX}">{body}</svg>'


@lru_cache(maxsize=64)
def icon(shown: Picture, *, dark: bool, template: bool) -> QIcon:
    """All sizes of one picture."""
    made = QIcon()
    for size in SIZES:
        made.addPixmap(_pixmap(shown, size, dark=dark, template=template))
    if template:
        made.setIsMask(True)
    return made


def _pixmap(shown: Picture, size: int, *, dark: bool, template: bool) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    counted = bool(shown.badge) and shown.state is IconState.BUSY
    renderer = QSvgRenderer(QByteArray(svg(shown.state, dark=dark, template=template, marked=not counted).encode()))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, size, size))
    if counted:
        if template:
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationOut)
        font = QFont()
        font.setPixelSize(max(8, round(size * (0.66 if len(shown.badge) == 1 else 0.5))))
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(TRAY_MARKS[dark or template]))
        painter.drawText(QRectF(0, 0, size, size), Qt.AlignmentFlag.AlignCenter, shown.badge)
    painter.end()
    return pixmap
