"""What a picture would show as cut, overlapping or outside, found from where widgets lie."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollBar,
    QSplitterHandle,
    QStyle,
    QStyleOptionComboBox,
    QStyleOptionFrame,
    QTextEdit,
    QToolButton,
    QWidget,
)

from desktop.widgets.buttons import NavButton
from desktop.widgets.pills import Pill
from desktop.widgets.text import ElidedLabel

LEAST_WORDS = 36
"""Pixels of a label that is cut by an ellipsis: below that it says nothing."""

ROUNDS = 60

OFF = Qt.ScrollBarPolicy.ScrollBarAlwaysOff


def settle(window: QWidget) -> None:
    """Let everything take its place: sizes go up from the innermost, a level with each round of events."""
    before: list[QRect] = []
    for _ in range(ROUNDS):
        for _ in range(3):
            QApplication.processEvents()
        now = [one.geometry() for one in window.findChildren(QWidget)]
        if now == before:
            return
        before = now
    raise AssertionError("It does not come to rest.")


def faults(window: QWidget) -> list[str]:
    """Everything that is wrong with a window as it lies now; it has to have been painted, which makes tooltips."""
    found = []
    for one in (window, *window.findChildren(QWidget)):
        if not one.isVisibleTo(window) or isinstance(one, QScrollBar | QSplitterHandle):
            continue
        if _is_inside(one):
            continue
        found += [f"{_name(one)}: {fault}" for fault in (*_outside(one, window), *_cut(one))]
        found += list(_overlaps(one))
    return sorted(set(found))


def _name(one: QWidget) -> str:
    said = one.text() if isinstance(one, QLabel | QAbstractButton) else ""
    return f"{type(one).__name__} {(said or one.accessibleName() or one.objectName())[:50]!r}"


def _is_inside(one: QWidget) -> bool:
    """A part of a control of Qt's own, which lays it out itself."""
    around = one.parentWidget()
    return isinstance(around, QComboBox | QAbstractSpinBox | QLineEdit | QPlainTextEdit | QTextEdit)


def _outside(one: QWidget, window: QWidget) -> Iterator[str]:
    """What is seen of it, next to what there is; where somebody can scroll, nothing is missing."""
    if not (isinstance(one, _SPEAKS) and one.isVisibleTo(window)) or one is window:
        return
    area, at = one.rect(), one
    while at is not window:
        around = at.parentWidget()
        area = area.translated(at.pos())
        up_down, sideways = True, True
        if isinstance(scroll := around.parentWidget(), QAbstractScrollArea) and scroll.viewport() is around:
            up_down = scroll.verticalScrollBarPolicy() == OFF
            sideways = scroll.horizontalScrollBarPolicy() == OFF
            if not up_down:
                area.setHeight(min(area.height(), around.height()))
                area.moveTop(max(0, min(area.top(), around.height() - area.height())))
            if not sideways:
                area.setWidth(min(area.width(), around.width()))
                area.moveLeft(max(0, min(area.left(), around.width() - area.width())))
        room = around.rect()
        if sideways and (area.left() < room.left() or area.right() > room.right()):
            yield f"is {area.left()}..{area.right()} of {room.width()} pixels in {_name(around)}"
            return
        if up_down and (area.top() < room.top() or area.bottom() > room.bottom()):
            yield f"is {area.top()}..{area.bottom()} of {room.height()} pixels in height in {_name(around)}"
            return
        at = around


_SPEAKS = (QLabel, QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, Pill, QPlainTextEdit, QAbstractScrollArea)


def _cut(one: QWidget) -> Iterator[str]:
    match one:
        case ElidedLabel():
            yield from _elided(one)
        case QLabel() if one.text() and one.wordWrap():
            wanted = one.heightForWidth(one.width())
            if wanted > one.height():
                yield f"needs {wanted} pixels in height, has {one.height()}"
            widest = max(
                QFontMetrics(one.font()).horizontalAdvance(word)
                for word in one.text().replace("\u200b", " ").split() or [""]
            )
            if widest > one.contentsRect().width():
                yield f"has a word of {widest} pixels, and {one.contentsRect().width()}"
        case QLabel() if one.text():
            yield from _small(one, one.sizeHint())
        case NavButton():
            pass
        case QPushButton() | QToolButton():
            yield from _small(one, one.sizeHint())
        case QComboBox():
            option = QStyleOptionComboBox()
            one.initStyleOption(option)
            room = one.style().subControlRect(
                QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, one
            )
            wanted = QFontMetrics(one.font()).horizontalAdvance(one.currentText())
            if wanted > room.width() and not one.toolTip():
                yield f"says {wanted} pixels in {room.width()}"
        case QLineEdit():
            option = QStyleOptionFrame()
            one.initStyleOption(option)
            room = one.style().subElementRect(QStyle.SubElement.SE_LineEditContents, option, one).width() - 4
            wanted = QFontMetrics(one.font()).horizontalAdvance(one.placeholderText())
            if not one.text() and wanted > room and not one.toolTip():
                yield f"its hint is {wanted} pixels in {room}"
            yield from _small(one, QSize(0, one.sizeHint().height()))
        case Pill():
            yield from _small(one, one.sizeHint())
        case QAbstractButton():
            yield from _small(one, one.minimumSizeHint())
        case _:
            pass


def _small(one: QWidget, wanted: QSize) -> Iterator[str]:
    if one.width() < wanted.width():
        yield f"needs {wanted.width()} pixels, has {one.width()}"
    if one.height() < wanted.height():
        yield f"needs {wanted.height()} pixels in height, has {one.height()}"


def _elided(one: ElidedLabel) -> Iterator[str]:
    metrics = QFontMetrics(one.font())
    if not one.text() or metrics.horizontalAdvance(one.text()) <= one.width():
        return
    if not one.toolTip() and not one.visibleRegion().isEmpty():
        yield "ends in an ellipsis, and no tooltip has the whole"
    if one.width() < LEAST_WORDS:
        yield f"has {one.width()} pixels for its words"


def _overlaps(around: QWidget) -> Iterator[str]:
    """What its layout put over each other."""
    layout = around.layout()
    if layout is None:
        return
    laid = [one for one in _laid(layout) if one.isVisibleTo(around) and one.width() > 0 and one.height() > 0]
    for number, one in enumerate(laid):
        for other in laid[number + 1 :]:
            both = one.geometry().intersected(other.geometry())
            if both.width() > 1 and both.height() > 1:
                yield f"{_name(one)}: lies over {_name(other)} by {both.width()} x {both.height()}"


def _laid(layout: QLayout) -> Iterator[QWidget]:
    if type(layout).__name__ == "QStackedLayout":
        return
    for number in range(layout.count()):
        item = layout.itemAt(number)
        assert item is not None
        if (inner := item.widget()) is not None:
            yield inner
        elif (nested := item.layout()) is not None:
            yield from _laid(nested)
