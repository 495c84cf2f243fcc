from __future__ import annotations

import gc
import weakref

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from desktop.look import icons, language
from desktop.look.scheme import desktop_scheme
from desktop.look.theme import Theme
from desktop.look.tokens import DARK, LIGHT, TYPE, Palette
from tests.desktop.look.contrast import contrast, text_pairs


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_can_be_read_on_every_ground(palette: Palette) -> None:
    weak = {name: round(contrast(*pair), 2) for name, pair in text_pairs(palette).items() if contrast(*pair) < 4.5}
    assert weak == {}


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_filled_in_or_switched_is_seen_on_every_ground(palette: Palette) -> None:
    grounds = {name: getattr(palette, name) for name in ("window", "surface", "raised", "sunken", "sidebar")}
    assert {name for name, ground in grounds.items() if contrast(palette.edge, ground) < 3} == set()
    assert contrast("#ffffff", palette.edge) > 3, "the knob of a switch that is off"


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_parts_of_a_chart_are_seen_on_their_ground(palette: Palette) -> None:
    """WCAG 2.2, 1.4.11; they are told apart by patterns and words as well."""
    assert [part for part in palette.parts if contrast(part, palette.surface) < 3] == []
    assert len(set(palette.parts)) == len(palette.parts)


def test_contrast_is_measured_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_an_icon_is_drawn_once(look: Theme) -> None:
    assert look.icon("refresh", size=17).cacheKey() == look.icon("refresh", size=17).cacheKey()
    assert look.icon("refresh", size=16).cacheKey() != look.icon("refresh", size=17).cacheKey()


def test_the_scheme_changes_live(look: Theme, qtbot) -> None:
    with qtbot.waitSignal(look.changed):
        look.set_mode("dark")
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    assert app.palette().color(QPalette.ColorRole.Window).name() == DARK.window
    assert DARK.window in app.styleSheet()
    look.set_mode("light")
    assert look.palette is LIGHT


def test_the_systems_scheme_is_followed(look: Theme) -> None:
    look.set_mode("system")
    hints = QGuiApplication.styleHints()
    try:
        hints.setColorScheme(Qt.ColorScheme.Dark)
        if hints.colorScheme() is Qt.ColorScheme.Dark:  # a platform may have no say in this
            assert look.palette is DARK
    finally:
        hints.unsetColorScheme()


def test_who_knows_the_desktop_better_than_qt_is_followed(look: Theme) -> None:
    desktop = desktop_scheme()
    try:
        desktop.tell(Qt.ColorScheme.Dark)
        assert desktop.is_dark
        assert look.palette is LIGHT, "the person chose it"
        look.set_mode("system")
        assert look.palette is DARK
        desktop.tell(Qt.ColorScheme.Light)
        assert look.palette is LIGHT
    finally:
        desktop.tell(Qt.ColorScheme.Unknown)


def test_the_application_has_one_scheme_whoever_keeps_it(qapp: QApplication) -> None:
    there = weakref.ref(desktop_scheme())
    gc.collect()
    assert there() is desktop_scheme()
    assert desktop_scheme().parent() is qapp


@pytest.mark.parametrize("name", icons.names())
@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0])
def test_every_icon_draws_something_at_every_scale(qapp, name: str, ratio: float) -> None:
    picture = icons.pixmap(name, "#123456", 18, ratio).toImage()
    assert picture.width() == round(18 * ratio)
    drawn = {picture.pixelColor(x, y).alpha() for x in range(picture.width()) for y in range(picture.height())}
    assert max(drawn) > 128


def test_the_type_scale_has_sizes_that_can_be_read(look: Theme) -> None:
    assert all(look.font(role).pixelSize() >= 11 for role in TYPE)


def test_the_windows_icon_is_the_mark_at_every_size(qapp) -> None:
    made = icons.mark_icon()
    for size in made.availableSizes():
        picture = made.pixmap(size).toImage()
        colours = {picture.pixelColor(x, y).name() for x in range(size.width()) for y in range(size.height())}
        assert len(colours) > 8, size
    assert {size.width() for size in made.availableSizes()} >= {16, 32, 256}


def test_japanese_is_drawn_with_shapes_of_japan(look: Theme, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP"]
    monkeypatch.setattr(QFontDatabase, "families", lambda *_: installed)
    fresh = Theme()
    english = fresh.font("body").families()
    assert len(english) == 1
    language.use({}, name="ja")
    assert fresh.font("body").families() == [*english, "Noto Sans CJK JP"]
    installed.remove("Noto Sans CJK JP")
    assert Theme().font("body").families() == english
