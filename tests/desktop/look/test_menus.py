"""Menus are round, and nothing around them is drawn."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from pytestqt.qtbot import QtBot

import desktop
from desktop.look.menus import RADIUS, Menu, rounded


@pytest.mark.parametrize("radius", [1, 8, 14])
def test_its_shape_has_round_corners_and_no_pixel_that_is_hardly_painted(radius: int) -> None:
    """Without a compositor those are black."""
    size = QSize(60, 41)
    seen = QImage(size, QImage.Format.Format_Grayscale8)
    seen.fill(Qt.GlobalColor.black)
    painter = QPainter(seen)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.GlobalColor.white)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(QRectF(seen.rect()), radius, radius)
    painter.end()
    shape = rounded(size, radius)
    lightness = {
        QPoint(x, y): seen.pixelColor(x, y).lightness() for x in range(size.width()) for y in range(size.height())
    }
    assert all(lightness[at] > 190 for at in lightness if shape.contains(at))
    assert all(shape.contains(at) for at, light in lightness.items() if light == 255)
    assert shape.boundingRect().size() == size


@pytest.mark.parametrize("system", ["xcb", "wayland"])
def test_a_menu_has_no_corners(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """On X11 by its shape: a compositor that would let through what is clear may be missing there."""
    monkeypatch.setattr(QGuiApplication, "platformName", lambda: system)
    menu = Menu()
    qtbot.addWidget(menu)
    menu.addAction("Open")
    menu.resize(menu.sizeHint())
    picture = menu.grab().toImage()
    assert menu.testAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
    assert menu.mask().isEmpty() == (system != "xcb")
    if system == "xcb":
        assert menu.mask() == rounded(menu.size(), RADIUS)
        menu.resize(300, 200)
        menu.grab()
        assert menu.mask() == rounded(menu.size(), RADIUS)
    assert picture.pixelColor(0, 0).alpha() == 0
    assert picture.pixelColor(picture.width() // 2, picture.height() // 2).alpha() == 255


def test_every_menu_is_one_of_these() -> None:
    made = [
        file
        for file in Path(desktop.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "QMenu"
    ]
    assert made == []
