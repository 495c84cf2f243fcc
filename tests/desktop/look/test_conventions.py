"""Numbers and days are written as where the language is spoken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import QLocale

from desktop.look import language
from desktop.look.conventions import CONVENTIONS, convention
from desktop.look.language import LANGUAGES, number_text
from desktop.look.wording import (
    budget_text,
    count_text,
    duration_text,
    milliseconds_text,
    rate_text,
    size_text,
    when_text,
)
from worker_core.snapshot import BudgetView

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    language.use({})


def test_each_language_has_a_convention() -> None:
    assert {code for code, _ in LANGUAGES} == {name.partition("-")[0] for name in CONVENTIONS}


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_a_convention_is_what_the_common_locale_data_says(name: str) -> None:
    said, known = CONVENTIONS[name], QLocale(name.replace("-", "_"))
    assert said.decimal == known.decimalPoint()
    assert said.group in {known.groupSeparator(), known.groupSeparator().replace("\xa0", "\u202f")}
    order = [part for part in known.dateFormat(QLocale.FormatType.ShortFormat).lower() if part in "ymd"]
    if name != "en":
        assert [part for part in said.day.lower() if part in "ymd"] == list(dict.fromkeys(order))


@pytest.mark.parametrize(
    ("chosen", "names", "decimal", "day"),
    [
        ("fr", ["fr", "fr-CA", "en-CA"], ",", "%Y-%m-%d"),
        ("fr", ["fr_FR.UTF-8"], ",", "%d/%m/%Y"),
        ("fr", ["fr-Latn-CA", "fr-CA", "fr-Latn", "fr"], ",", "%Y-%m-%d"),
        ("es", ["es_MX"], ".", "%d/%m/%Y"),
        ("ja", ["ja", "en-US"], ".", "%Y/%m/%d"),
        ("en", ["en-GB"], ".", "%Y-%m-%d"),
        ("xx", [], ".", "%Y-%m-%d"),
    ],
)
def test_the_region_is_the_systems(chosen: str, names: list[str], decimal: str, day: str) -> None:
    found = convention(chosen, names)
    assert (found.decimal, found.day) == (decimal, day)


@pytest.mark.parametrize("place", ["fr_CA", "es_MX", "de_CH", "ja_JP"])
def test_the_lists_that_qt_makes_of_a_locale_are_understood(place: str) -> None:
    language, region = place.lower().split("_")
    wanted = CONVENTIONS.get(f"{language}-{region}", CONVENTIONS[language])
    assert convention(language, QLocale(place).uiLanguages()) == wanted


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("en", ["1,234.5", "4.2 MB", "3.2 s", "12.4k", "1.5/s", "1.4 ms", "2026-11-20 12:00"]),
        ("de", ["1.234,5", "4,2 MB", "3,2 s", "12,4k", "1,5/s", "1,4 ms", "20.11.2026 12:00"]),
        ("fr", ["1\u202f234,5", "4,2 Mo", "3,2\xa0s", "12,4k", "1,5/s", "1,4\xa0ms", "20/11/2026 12:00"]),
        ("ja", ["1,234.5", "4.2 MB", "3.2 秒", "12.4k", "1.5/秒", "1.4 ミリ秒", "2026/11/20 12:00"]),
    ],
)
def test_what_the_window_writes(name: str, said: list[str]) -> None:
    language.load([name])
    at = (NOW - timedelta(days=8)).astimezone().replace(hour=12)
    texts = [number_text(1234.5, places=1), size_text(4.2e6), duration_text(3.2), count_text(12_400), rate_text(1.5)]
    assert [*texts, milliseconds_text(1.4), when_text(at, NOW)] == said


def test_money_has_its_sign_where_it_belongs() -> None:
    view = BudgetView(scope="turn", kind="cost", spent=0.5, limit=1234)
    assert budget_text(view) == "this turn: $0.50 of $1,234.00"
    language.load(["fr"])
    assert budget_text(view) == "ce tour\xa0: 0,50\xa0$ sur 1\u202f234,00\xa0$"


def test_a_time_is_said_so_that_it_stays_true() -> None:
    noon = NOW.astimezone().replace(hour=12, minute=5)
    assert when_text(None) == ""
    assert when_text(noon, noon + timedelta(seconds=1)) == "12:05"
    assert when_text(noon, noon + timedelta(hours=3)) == "12:05"
    assert when_text(noon, noon + timedelta(days=1)) == "yesterday 12:05"
    assert when_text(noon, noon + timedelta(days=2)) == "2026-11-28 12:05"
