"""The scheme in force: the tokens, light or dark as the person or the system wants them, on the whole program."""

from __future__ import annotations

import sys
from typing import Literal

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from desktop.look import icons
from desktop.look.language import spoken
from desktop.look.scheme import desktop_scheme
from desktop.look.stylesheet import stylesheet
from desktop.look.tokens import DARK, LIGHT, TYPE, Palette

Mode = Literal["system", "light", "dark"]

_PLAIN = {"DejaVu Sans", "Bitstream Vera Sans"}  # what fontconfig falls back to where nobody chose a font
_ALIASES = {"", "Sans", "Sans Serif", "sans-serif"}
_PREFERRED = ("Inter", "Adwaita Sans", "Cantarell", "Ubuntu", "Noto Sans")
_JAPANESE = (
    "Hiragino Sans",
    "Yu Gothic UI",
    "Meiryo",
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "TakaoPGothic",
)
_PREFERRED_CODE = ("JetBrains Mono", "SF Mono", "Cascadia Code", "Consolas", "Ubuntu Mono", "Noto Sans Mono")


class Theme(QObject):
    """The scheme in force. One per application: `theme()`."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mode: Mode = "system"
        self.palette = LIGHT
        self._family, self._code_family, self._factor = _fonts()
        self._japanese: list[str] | None = None
        self._desktop = desktop_scheme()
        self._desktop.changed.connect(self._follow)

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
        font = QFont()
        font.setFamilies([self._code_family if role == "code" else self._family, *self._fallbacks()])
        font.setPixelSize(round(size * self._factor))
        font.setWeight(QFont.Weight(weight))
        if role == "code":
            font.setStyleHint(QFont.StyleHint.Monospace)
        if role in {"display", "title"}:
            font.setLetterSpacing(QFont.SpacingType.PercentageSpacing, 98.5)
        return font

    def scaled(self, pixels: float) -> int:
        """A width for words, which is given where the system's font has 13 pixels."""
        return round(pixels * self._factor)

    def _fallbacks(self) -> list[str]:
        """For Japanese, a font of Japan: a system of another language takes those characters in China's shapes."""
        if spoken() != "ja":
            return []
        if self._japanese is None:
            families = set(QFontDatabase.families(QFontDatabase.WritingSystem.Japanese))
            self._japanese = [name for name in _JAPANESE if name in families][:1]
        return self._japanese

    def icon(self, name: str, color: str = "", *, size: int = 18, after: int = 0) -> QIcon:
        """An icon in the colour of the scheme, as `icons.icon`; ask again after `changed`."""
        return icons.icon(name, color or self.palette.muted, disabled=self.palette.line_strong, size=size, after=after)

    def _choose(self) -> bool:
        dark = self._mode == "dark" or (self._mode == "system" and self._desktop.is_dark)
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
