"""The design system: spacing, type, colours, light and dark. Nothing else in the program names a colour or a size."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QGuiApplication, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from desktop.look import icons
from desktop.look.stylesheet import stylesheet

Mode = Literal["system", "light", "dark"]
Tone = Literal["neutral", "accent", "success", "warning", "danger"]


class Space(IntEnum):
    """Distances in logical pixels; there are no others."""

    XS = 4
    S = 8
    M = 12
    L = 16
    XL = 24
    XXL = 32
    XXXL = 48


class Radius(IntEnum):
    SMALL = 6
    MEDIUM = 8
    LARGE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """All colours of one scheme. `*_ink` is for text and lines, `*_soft` lies behind ink of the same tone."""

    dark: bool
    window: str
    sidebar: str
    surface: str
    raised: str
    sunken: str
    selected: str
    line: str
    line_strong: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    on_accent: str
    accent_ink: str
    accent_soft: str
    success_ink: str
    success_soft: str
    warning_ink: str
    warning_soft: str
    danger: str
    on_danger: str
    danger_ink: str
    danger_soft: str
    code_keyword: str
    code_text: str
    code_number: str
    code_comment: str
    code_name: str
    hit: str

    def ink(self, tone: Tone) -> str:
        return self.muted if tone == "neutral" else str(getattr(self, f"{tone}_ink"))

    def soft(self, tone: Tone) -> str:
        return self.raised if tone == "neutral" else str(getattr(self, f"{tone}_soft"))


LIGHT = Palette(
    dark=False,
    window="#fcfcfd",
    sidebar="#f5f5f8",
    surface="#ffffff",
    raised="#f1f1f5",
    sunken="#f7f7fa",
    selected="#ebebf3",
    line="#ebebf0",
    line_strong="#d9d9e1",
    text="#1a1a20",
    muted="#5f5f6b",
    accent="#5753d0",
    accent_hover="#4a46c0",
    on_accent="#ffffff",
    accent_ink="#4a46c0",
    accent_soft="#eeedfc",
    success_ink="#12703d",
    success_soft="#e4f5eb",
    warning_ink="#875100",
    warning_soft="#fdf1dc",
    danger="#c42b33",
    on_danger="#ffffff",
    danger_ink="#b3222a",
    danger_soft="#fdeaea",
    code_keyword="#7433d6",
    code_text="#12703d",
    code_number="#875100",
    code_comment="#5f5f6b",
    code_name="#1a5ab8",
    hit="#ffe9a8",
)

DARK = Palette(
    dark=True,
    window="#131316",
    sidebar="#0e0e11",
    surface="#1a1a1e",
    raised="#232329",
    sunken="#0f0f12",
    selected="#26262d",
    line="#25252b",
    line_strong="#393942",
    text="#ececf1",
    muted="#a2a2ae",
    accent="#5f5bd9",
    accent_hover="#6864e0",
    on_accent="#ffffff",
    accent_ink="#aaa7ff",
    accent_soft="#25243f",
    success_ink="#54d995",
    success_soft="#142b1f",
    warning_ink="#f2b84b",
    warning_soft="#33270f",
    danger="#c93c43",
    on_danger="#ffffff",
    danger_ink="#ff9393",
    danger_soft="#3a1a1d",
    code_keyword="#c0aeff",
    code_text="#82dfa9",
    code_number="#f2b84b",
    code_comment="#9c9ca8",
    code_name="#85bcff",
    hit="#574511",
)

TYPE: dict[str, tuple[float, QFont.Weight]] = {
    "display": (28, QFont.Weight.DemiBold),
    "title": (21, QFont.Weight.DemiBold),
    "heading": (15, QFont.Weight.DemiBold),
    "strong": (13, QFont.Weight.DemiBold),
    "medium": (13, QFont.Weight.Medium),
    "body": (13, QFont.Weight.Normal),
    "small": (12, QFont.Weight.Normal),
    "caption": (11, QFont.Weight.Medium),
    "code": (12, QFont.Weight.Normal),
}
"""Role -> size in pixels where the system's own font has 13, and weight."""

_PLAIN = {"DejaVu Sans", "Bitstream Vera Sans"}  # what fontconfig falls back to where nobody chose a font
_ALIASES = {"", "Sans", "Sans Serif", "sans-serif"}
_PREFERRED = ("Inter", "Adwaita Sans", "Cantarell", "Ubuntu", "Noto Sans")
_PREFERRED_CODE = ("JetBrains Mono", "SF Mono", "Cascadia Code", "Consolas", "Ubuntu Mono", "Noto Sans Mono")


def text_pairs(palette: Palette) -> dict[str, tuple[str, str]]:
    """Every text colour with every background it is drawn on: name -> (text, background)."""
    grounds = ("window", "sidebar", "surface", "raised", "sunken", "selected")
    pairs = {
        f"{ink} on {ground}": (getattr(palette, ink), getattr(palette, ground))
        for ink in ("text", "muted", "accent_ink")
        for ground in grounds
    }
    for tone in ("accent", "success", "warning", "danger"):
        for ground in ("window", "surface", "sunken", "raised", f"{tone}_soft"):
            pairs[f"{tone}_ink on {ground}"] = (getattr(palette, f"{tone}_ink"), getattr(palette, ground))
        pairs[f"text on {tone}_soft"] = (palette.text, getattr(palette, f"{tone}_soft"))
        pairs[f"muted on {tone}_soft"] = (palette.muted, getattr(palette, f"{tone}_soft"))
    for code in ("keyword", "text", "number", "comment", "name"):
        pairs[f"code_{code} on sunken"] = (getattr(palette, f"code_{code}"), palette.sunken)
    pairs["on_accent on accent"] = (palette.on_accent, palette.accent)
    pairs["on_accent on accent_hover"] = (palette.on_accent, palette.accent_hover)
    pairs["on_danger on danger"] = (palette.on_danger, palette.danger)
    pairs["text on hit"] = (palette.text, palette.hit)
    return pairs


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2), 1 to 21."""

    def luminance(color: str) -> float:
        found = QColor(color)
        parts = (found.redF(), found.greenF(), found.blueF())
        red, green, blue = (p / 12.92 if p <= 0.04045 else float(((p + 0.055) / 1.055) ** 2.4) for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class Theme(QObject):
    """The scheme in force. One per application: `theme()`."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mode: Mode = "system"
        self.palette = LIGHT
        self._family, self._code_family, self._factor = _fonts()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow)

    @property
    def mode(self) -> Mode:
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """`system` follows the desktop, at once and whenever it changes."""
        self._mode = mode
        self._follow()

    def install(self) -> None:
        """Dress the application: style, palette, font and style sheet."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        if (style := QStyleFactory.create("Fusion")) is not None:
            app.setStyle(style)
        app.setFont(self.font("body"))
        self._choose()
        self._dress()

    def font(self, role: str) -> QFont:
        """The font of a role of the type scale."""
        size, weight = TYPE[role]
        font = QFont(self._code_family if role == "code" else self._family)
        font.setPixelSize(round(size * self._factor))
        font.setWeight(weight)
        if role == "code":
            font.setStyleHint(QFont.StyleHint.Monospace)
        if role in {"display", "title"}:
            font.setLetterSpacing(QFont.SpacingType.PercentageSpacing, 98.5)
        return font

    def icon(self, name: str, color: str = "", *, size: int = 18) -> QIcon:
        """An icon in the colour of the scheme; ask again after `changed`."""
        return icons.icon(name, color or self.palette.muted, disabled=self.palette.line_strong, size=size)

    def _choose(self) -> bool:
        scheme = QGuiApplication.styleHints().colorScheme()
        dark = self._mode == "dark" or (self._mode == "system" and scheme is Qt.ColorScheme.Dark)
        before, self.palette = self.palette, DARK if dark else LIGHT
        return before is not self.palette

    def _follow(self, *_: object) -> None:
        if self._choose():
            self._dress()
            self.changed.emit()

    def _dress(self) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setPalette(_qt_palette(self.palette))
        sizes = {role: self.font(role).pixelSize() for role in TYPE}
        app.setStyleSheet(stylesheet(self.palette, sizes=sizes, code_family=self._code_family))


def theme() -> Theme:
    """The application's theme, made and installed on first use."""
    app = QApplication.instance()
    assert app is not None, "A QApplication comes first."
    found: Theme | None = app.findChild(Theme)
    if found is None:
        found = Theme(app)
        found.install()
    return found


def _fonts() -> tuple[str, str, float]:
    """The system's families for text and code, and its size against ours."""
    general = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    info, families = QFontInfo(general), set(QFontDatabase.families())
    family, code = general.family(), QFontInfo(fixed).family()
    if sys.platform.startswith("linux") and (info.family() in _PLAIN or family in _ALIASES):
        family = next((name for name in _PREFERRED if name in families), info.family())
    if code.startswith("DejaVu") or not QFontInfo(fixed).fixedPitch():
        code = next((name for name in _PREFERRED_CODE if name in families), code)
    return family, code, min(1.5, max(1.0, info.pixelSize() / 13))


def _qt_palette(colors: Palette) -> QPalette:
    roles = QPalette.ColorRole
    palette = QPalette(QColor(colors.surface), QColor(colors.window))
    for role, color in {
        roles.WindowText: colors.text,
        roles.Text: colors.text,
        roles.ButtonText: colors.text,
        roles.Base: colors.surface,
        roles.AlternateBase: colors.sunken,
        roles.Highlight: colors.accent,
        roles.HighlightedText: colors.on_accent,
        roles.PlaceholderText: colors.muted,
        roles.Link: colors.accent_ink,
        roles.ToolTipBase: colors.raised,
        roles.ToolTipText: colors.text,
        roles.Mid: colors.line_strong,
        roles.Light: colors.line,
    }.items():
        palette.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colors.muted))
    return palette
