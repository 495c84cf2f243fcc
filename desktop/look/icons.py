"""The icon set: SVG files in `assets/icons`, drawn in any colour at any scale."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

_HERE = Path(__file__).resolve().parent.parent
ASSETS = next((folder for folder in (_HERE / "assets", _HERE.parent / "assets") if folder.is_dir()), _HERE / "assets")
"""Beside the package in a checkout and when frozen, inside it when installed from a wheel."""


@lru_cache(maxsize=512)
def _renderer(name: str, color: str) -> QSvgRenderer:
    svg = (ASSETS / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(svg.replace("currentColor", color).encode()))


def paint_icon(painter: QPainter, name: str, color: str, area: QRectF) -> None:
    """Draw an icon, sharp at whatever scale the painter has."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _renderer(name, color).render(painter, area)


def pixmap(name: str, color: str, size: int, ratio: float = 1.0, *, after: int = 0) -> QPixmap:
    """An icon as a picture of `size` logical pixels at a device pixel ratio, and `after` clear ones to its right."""
    picture = QPixmap(round((size + after) * ratio), round(size * ratio))
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    paint_icon(painter, name, color, QRectF(0, 0, round(size * ratio), picture.height()))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


@lru_cache(maxsize=512)
def icon(name: str, color: str, *, disabled: str = "", size: int = 18, after: int = 0) -> QIcon:
    """An icon for a button, at 1x, 2x and 3x; drawn once, with so much room after it. It is everybody's: leave it as
    it is.
    """
    made = QIcon()
    for ratio in (1.0, 2.0, 3.0):
        made.addPixmap(pixmap(name, color, size, ratio, after=after))
        if disabled:
            made.addPixmap(pixmap(name, disabled, size, ratio, after=after), QIcon.Mode.Disabled)
    return made


@lru_cache(maxsize=1)
def _mark() -> QSvgRenderer:
    return QSvgRenderer(str(ASSETS / "mark.svg"))


def paint_mark(painter: QPainter, area: QRectF) -> None:
    """Draw the product's mark."""
    _mark().render(painter, area)


def mark_icon() -> QIcon:
    """The product's mark for windows and task bars, sharp at the sizes that these use."""
    made = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        picture = QPixmap(size, size)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_mark(painter, QRectF(0, 0, size, size))
        painter.end()
        made.addPixmap(picture)
    return made


def names() -> list[str]:
    return sorted(path.stem for path in (ASSETS / "icons").glob("*.svg"))
