"""Every word that people read has a translation, and the window can be used in each language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.look import language
from desktop.look.language import LANGUAGES, tr
from tests.support.scripts import script

ROOT = Path(__file__).parents[3]
SHOWS_ITS_TEXT = {
    "setText", "setToolTip", "setWindowTitle", "setPlaceholderText", "addAction", "addMenu", "setAccessibleName",
    "setAccessibleDescription", "setTitle", "QLabel", "QPushButton", "QAction", "Label", "Text",
}  # fmt: skip
NAMES = {"Kubiya Worker"}


tool = script("languages")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    language.use({})


def test_there_is_a_catalogue_for_each_language_but_english() -> None:
    assert {"en", *tool.catalogues()} == {code for code, _ in LANGUAGES}


@pytest.mark.parametrize("name", sorted(tool.catalogues()))
def test_a_catalogue_has_every_text_and_no_other(name: str) -> None:
    texts, catalogue = tool.said(), tool.catalogues()[name]
    assert sorted(texts - catalogue.keys()) == [], "python scripts/languages.py lists what is missing"
    assert sorted(catalogue.keys() - texts) == []
    assert [text for text, said in catalogue.items() if not said.strip()] == []


@pytest.mark.parametrize("name", sorted(tool.catalogues()))
def test_a_translation_says_the_same_values(name: str) -> None:
    for text, said in tool.catalogues()[name].items():
        assert tool.placeholders(text) == tool.placeholders(said), text


def test_no_text_is_shown_past_tr() -> None:
    bare = []
    for file, call in tool.calls():
        text = call.args[0] if call.args and tool.name_of(call) in SHOWS_ITS_TEXT else None
        shown = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
        if shown not in NAMES and any(letter.isalpha() for letter in shown):
            bare.append(f"{file.relative_to(ROOT)}:{call.lineno}: {shown!r}")
    assert bare == []


def test_only_settings_are_translated_from_their_declarations() -> None:
    assert {file.name for file, call in tool.calls() if tool.name_of(call) == "translated"} == {"setting_fields.py"}


@pytest.mark.parametrize(
    ("names", "code", "stopped"),
    [
        (["de-AT", "en"], "de", "Gestoppt"),
        (["fr", "es_MX"], "es", "Detenido"),
        (["en-GB", "de"], "en", "Stopped"),
        (["fr"], "en", "Stopped"),
        ([], "en", "Stopped"),
    ],
)
def test_the_first_language_that_is_spoken(names: list[str], code: str, stopped: str) -> None:
    assert language.load(names) == code
    assert tr("Stopped") == stopped


def test_values_are_put_in_and_what_is_missing_stays_english() -> None:
    language.use({"{count} more": "noch {count}"})
    assert tr("{count} more", count=3) == "noch 3"
    assert tr("Stopped") == "Stopped"
