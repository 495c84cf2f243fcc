"""The tokens as a Qt style sheet. Widgets choose a look by the properties `role`, `variant` and `ground`."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from desktop.look.icons import ASSETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from desktop.look.tokens import Palette

_SHEET = Template("""
QWidget { color: $text; }
QMainWindow, QDialog, QWidget[ground="window"] { background: $window; }
QWidget[ground="sidebar"] { background: $sidebar; }
QWidget[ground="clear"], QScrollArea, QScrollArea > QWidget > QWidget[ground="clear"] { background: transparent; }
QFrame[ground="card"] { background: $surface; border: 1px solid $line; border-radius: 12px; }
QFrame[ground="overlay"] { background: $surface; border: 1px solid $line_strong; border-radius: 14px; }
QFrame[ground="sunken"] { background: $sunken; border: 1px solid $line; border-radius: 8px; }
QFrame[ground="bubble"] { background: $accent_soft; border: none; border-radius: 12px; }
QFrame[ground="accent"] { background: $accent_soft; border: none; border-radius: 10px; }
QFrame[ground="success"] { background: $success_soft; border: none; border-radius: 10px; }
QFrame[ground="warning"] { background: $warning_soft; border: none; border-radius: 10px; }
QFrame[ground="danger"] { background: $danger_soft; border: none; border-radius: 10px; }
QFrame[ground="line"] { background: $line; border: none; max-height: 1px; min-height: 1px; }
QLabel { background: transparent; }
QLabel[role="muted"] { color: $muted; }
QLabel[role="accent"] { color: $accent_ink; }
QLabel[role="success"] { color: $success_ink; }
QLabel[role="warning"] { color: $warning_ink; }
QLabel[role="danger"] { color: $danger_ink; }

QPushButton, QToolButton { background: $surface; color: $text; border: 1px solid $line_strong; border-radius: 7px;
  padding: 5px 12px; font-size: ${body}px; font-weight: 500; }
QPushButton:hover, QToolButton:hover { background: $raised; }
QPushButton:pressed, QToolButton:pressed { background: $selected; }
QPushButton:focus, QToolButton:focus { border: 1px solid $accent_ink; outline: none; }
QPushButton:disabled, QToolButton:disabled { color: $muted; background: transparent; border-color: $line; }
QPushButton[variant="primary"] { background: $accent; color: $on_accent; border: 1px solid $accent; }
QPushButton[variant="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[variant="primary"]:focus { border: 1px solid $text; }
QPushButton[variant="primary"]:disabled { background: $raised; color: $muted; border-color: $raised; }
QPushButton[variant="danger"] { color: $danger_ink; }
QPushButton[variant="danger"]:hover { background: $danger_soft; border-color: $danger_soft; }
QPushButton[variant="quiet"], QToolButton[variant="quiet"] { background: transparent; border: 1px solid transparent;
  color: $muted; padding: 5px 8px; }
QPushButton[variant="quiet"]:hover, QToolButton[variant="quiet"]:hover { background: $raised; color: $text; }
QPushButton[variant="quiet"]:checked, QToolButton[variant="quiet"]:checked { background: $selected; color: $text; }
QPushButton[variant="quiet"]:focus, QToolButton[variant="quiet"]:focus { border: 1px solid $accent_ink; }
QToolButton::menu-indicator { image: none; width: 0; }
QPushButton::menu-indicator { image: none; width: 0; }

QLineEdit, QPlainTextEdit[variant="field"], QSpinBox, QDoubleSpinBox, QComboBox { background: $surface; color: $text;
  border: 1px solid $edge; border-radius: 7px; padding: 5px 9px; selection-background-color: $accent;
  selection-color: $on_accent; font-size: ${body}px; }
QLineEdit:focus, QPlainTextEdit[variant="field"]:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {
  border: 1px solid $accent_ink; }
QPlainTextEdit[variant="field"][readOnly="true"] { background: $sunken; border: 1px solid $line; }
QPlainTextEdit[variant="field"][readOnly="true"]:focus { border: 1px solid $accent_ink; }
QLineEdit[invalid="true"] { border: 1px solid $danger_ink; }
QLineEdit:disabled, QComboBox:disabled { color: $muted; background: $sunken; }
QLineEdit[variant="search"] { background: $raised; border: 1px solid transparent; }
QLineEdit[variant="search"]:focus { background: $surface; border: 1px solid $accent_ink; }
QLineEdit[variant="bare"], QLineEdit[variant="bare"]:focus { background: transparent; border: none; padding: 5px 0;
  font-size: ${heading}px; font-weight: 400; }
QPlainTextEdit[variant="code"] { font-family: "$code_family"; font-size: ${code}px; }
QComboBox::drop-down { border: none; width: 22px; }
QComboBox::down-arrow { image: none; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $line_strong; border-radius: 7px; padding: 4px;
  outline: none; selection-background-color: $selected; selection-color: $text; }
QTextBrowser, QTextEdit[variant="plain"] { background: transparent; border: none; color: $text;
  selection-background-color: $accent; selection-color: $on_accent; }
QPlainTextEdit[variant="plain"] { background: transparent; border: none; font-family: "$code_family";
  font-size: ${code}px; selection-background-color: $accent; selection-color: $on_accent; }

QListView, QTableView { background: transparent; border: none; outline: none; }
QHeaderView, QHeaderView::section { background: transparent; color: $muted; border: none; padding: 3px 0;
  font-size: ${code}px; }
QTableWidget { color: $text; font-size: ${body}px; }
QTableWidget::item { padding: 0 6px; }
QTableWidget::item:hover { background: $raised; }
QTableWidget::item:selected { background: $selected; color: $text; }
QTableWidget QHeaderView::section { border-bottom: 1px solid $line; padding: 4px 9px; font-size: ${body}px; }
QListWidget::item { color: $text; padding: 0 10px; border-radius: 7px; }
QListWidget::item:hover { background: $raised; }
QListWidget::item:selected { background: $selected; color: $text; }
QMenu { background: $surface; border: 1px solid $line_strong; border-radius: 8px; padding: 5px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 5px; }
QMenu::item:selected { background: $selected; }
QMenu::item:disabled { color: $muted; }
QMenu::indicator { width: 14px; height: 14px; margin-left: 8px; border: 1px solid $edge; border-radius: 4px;
  background: $surface; }
QMenu::indicator:checked { background: $accent; border: 1px solid $accent; image: url("$tick"); }
QMenu::separator { height: 1px; background: $line; margin: 5px 6px; }
QToolTip { background: $raised; color: $text; border: 1px solid $line_strong; padding: 5px 8px; }

QScrollBar:vertical { background: transparent; width: 10px; margin: 2px; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 2px; }
QCheckBox { color: $text; spacing: 8px; background: transparent; font-size: ${body}px; }
QCheckBox::indicator { width: 16px; height: 16px; border: 1px solid $edge; border-radius: 5px; background: $surface; }
QCheckBox::indicator:hover, QCheckBox::indicator:focus { border: 1px solid $accent_ink; }
QCheckBox::indicator:checked { background: $accent; border: 1px solid $accent; image: url("$tick"); }
QCheckBox::indicator:checked:focus { border: 1px solid $text; }
QCheckBox:disabled { color: $muted; }
QScrollBar::handle { background: $line_strong; border-radius: 3px; min-height: 32px; min-width: 32px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar[idle="true"]::handle, QScrollBar[idle="true"]::handle:hover { background: transparent; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page { background: none; border: none;
  width: 0; height: 0; }
QAbstractScrollArea::corner { background: transparent; border: none; }
QSplitter::handle { background: $line; }
QSplitter::handle:horizontal { width: 1px; }
""")


def stylesheet(palette: Palette, *, sizes: Mapping[str, int], code_family: str) -> str:
    """The sheet for a palette; `sizes` are the pixel sizes of the type scale."""
    colors = {name: getattr(palette, name) for name in type(palette).__dataclass_fields__ if name != "dark"}
    return _SHEET.substitute(
        colors,
        **{role: size for role, size in sizes.items() if role in {"body", "code", "heading"}},
        code_family=code_family,
        tick=(ASSETS / "tick.svg").as_posix(),
    )
