"""The connection test, the report and the line about releases in Settings."""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
from PySide6.QtWidgets import QDialog

from desktop.notices.updates import UpdateState, UpdateWatch
from desktop.widgets.text import Label
from desktop.windows.background import Background
from desktop.windows.connection_test import ConnectionTest, Examine
from desktop.windows.diagnostics_card import DiagnosticsCard
from desktop.windows.licences import LicencesDialog, collected
from desktop.windows.main import MainWindow
from desktop.windows.report import ReportDialog
from tests.desktop.windows.stand_ins import HOSTILE, run_now, shown_window
from tests.support.engine import home
from tests.support.finding import seen
from worker_core import __version__
from worker_core.checks.check import Check, fail, ok, skip, warn
from worker_core.errors import ConfigurationError
from worker_core.snapshot import EngineSnapshot

GOOD = [ok("DNS", "It is 203.0.113.7."), skip("TLS", "Through the proxy."), ok("control plane", "It is healthy.")]


def shown(qtbot, examine: Examine) -> ConnectionTest:
    made = ConnectionTest(examine, Background(run=run_now))
    qtbot.addWidget(made)
    made.show()
    made.button.click()
    return made


def test_findings_come_as_they_are_made_and_end_in_their_order(qtbot) -> None:
    seen: list[tuple[str, ...]] = []
    made: list[ConnectionTest] = []

    async def examine(heard: Callable[[Check], object]) -> list[Check]:
        for one in reversed(GOOD):
            heard(one)
            seen.append(tuple(check.name for check in made[0].shown))
        return GOOD

    widget = ConnectionTest(examine, Background(run=run_now))
    made.append(widget)
    qtbot.addWidget(widget)
    widget.show()
    for _ in range(2):
        seen.clear()
        widget.button.click()
        assert seen[0] == ("control plane",), "the findings of the last time are gone"
        assert [check.name for check in widget.shown] == ["DNS", "TLS", "control plane"]
        assert widget.result.text() == "The connection is good."
        assert widget.button.isEnabled()


def test_what_is_wrong_is_counted_and_comes_with_its_repair(qtbot) -> None:
    async def examine(heard: Callable[[Check], object]) -> list[Check]:
        return [warn("clock", "It is late.", "Set it."), fail("API key", HOSTILE[:100], "Log in.")]

    widget = shown(qtbot, examine)
    assert widget.result.text() == "1 thing to repair."
    texts = [label.text() for label in widget.findChildren(Label)]
    assert "It is late. Set it." in texts
    assert any(text.endswith("Log in.") for text in texts)


def test_settings_that_are_not_valid_are_a_sentence(qtbot) -> None:
    async def examine(heard: Callable[[Check], object]) -> list[Check]:
        raise ConfigurationError("ca_file must name a PEM file.")

    widget = shown(qtbot, examine)
    assert widget.result.text() == "ca_file must name a PEM file."
    assert widget.button.isEnabled()


def test_a_report_is_read_before_it_is_saved(qtbot, tmp_path: Path) -> None:
    dialog = ReportDialog({"system.txt": "Linux", "logs/worker.log": "a line\nanother"})
    qtbot.addWidget(dialog)
    dialog.open()
    assert dialog.text.toPlainText() == "Linux"
    dialog.names.setCurrentRow(1)
    assert dialog.text.toPlainText() == "a line\nanother"
    assert dialog.text.isReadOnly()
    dialog.save(tmp_path / "no" / "folder.zip")
    assert "cannot be written" in dialog.said.text()
    dialog.save(tmp_path / "report.zip")
    assert dialog.said.text().replace("\u200b", "") == f"Saved as {tmp_path / 'report.zip'}."
    with zipfile.ZipFile(tmp_path / "report.zip") as bundle:
        assert len(bundle.namelist()) == 2


@pytest.fixture
def updates() -> Any:
    return create_autospec(UpdateWatch, instance=True, state=UpdateState(), page="https://releases.example/page")


@pytest.fixture
def window(qtbot, tmp_path: Path, updates: Any) -> MainWindow:
    made = shown_window(qtbot, tmp_path, page="settings", updates=updates)
    made.desk.diagnosis.texts.return_value = {"system.txt": "Linux"}  # type: ignore[attr-defined]
    return made


@pytest.fixture
def card(window: MainWindow) -> DiagnosticsCard:
    [found] = seen(window, DiagnosticsCard)
    return found


def test_the_line_about_releases_says_what_is_known(window: MainWindow, card: DiagnosticsCard, updates: Any) -> None:
    def tell(state: UpdateState) -> None:
        updates.state = state
        [told] = updates.listen.call_args.args
        told()

    assert card.update_said.text() == "Nobody has asked yet whether there is a newer release."
    assert not card.open_button.isVisible()
    card.ask_button.click()
    updates.ask_now.assert_called_once()
    tell(UpdateState(asking=True))
    assert not card.ask_button.isEnabled()
    tell(UpdateState(newest="0.0.1"))
    assert card.update_said.text() == "This is the newest release."
    tell(UpdateState(trouble="github.com does not answer."))
    assert card.update_said.text().endswith("github.com does not answer.")
    tell(UpdateState(newest="99.1.0", withdrawn="It loses data."))
    assert card.update_said.text() == f"Kubiya Worker {__version__} was withdrawn: It loses data."
    assert card.open_button.isVisible()
    tell(UpdateState(newest="99.1.0"))
    assert card.update_said.text() == "Kubiya Worker 99.1.0 is there"
    card.open_button.click()
    window.desk.outside.open_url.assert_called_once_with("https://releases.example/page")  # type: ignore[attr-defined]


def test_the_report_opens_from_settings(card: DiagnosticsCard) -> None:
    card.report_button.click()
    dialogs = [one for one in card.window().findChildren(QDialog) if isinstance(one, ReportDialog)]
    assert len(dialogs) == 1
    assert dialogs[0].text.toPlainText() == "Linux"
    dialogs[0].reject()


def test_licences_are_read_where_they_were_collected(
    qtbot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, card: DiagnosticsCard
) -> None:
    """As installers/freezing/licences.py puts them beside a frozen program."""
    assert not hasattr(card, "licences_button"), "from source, each package has its own"
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    (tmp_path / "licences").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "licences" / name).write_text(f"text of {name}", encoding="utf-8")
    listed = [
        {"name": "Python", "version": "3.12.9", "texts": ["a.txt"]},
        {"name": "Qt", "version": "6", "texts": ["a.txt", "b.txt"]},
    ]
    (tmp_path / "licences" / "index.json").write_text(json.dumps(listed), encoding="utf-8")
    dialog = LicencesDialog(collected())
    qtbot.addWidget(dialog)
    dialog.open()
    assert [dialog.shown.names.item(place).text() for place in range(2)] == ["Python 3.12.9", "Qt 6"]
    assert dialog.shown.text.toPlainText() == "text of a.txt"
    dialog.shown.names.setCurrentRow(1)
    assert dialog.shown.text.toPlainText() == "text of a.txt\n\n\ntext of b.txt"


def test_the_real_examination_and_the_real_report(tmp_path: Path) -> None:
    from desktop.system.diagnosis import Diagnosis
    from worker_core.logs.redaction import Redactor
    from worker_core.settings import Settings

    settings = Settings(control_plane_url="http://127.0.0.1:1")
    redactor = Redactor()
    diagnosis = Diagnosis(
        paths=home(tmp_path),
        environ={"KUBIYA_API_KEY": "kb-canary-0123456789"},
        redactor=redactor,
        settings=lambda: settings,
        snapshot=lambda: EngineSnapshot(reason="kb-canary-0123456789"),
    )
    heard: list[Check] = []
    found = asyncio.run(diagnosis.test_connection(heard.append))
    assert sorted(one.name for one in heard) == sorted(one.name for one in found)
    assert {one.name: one.verdict for one in found}["control plane"] == "fail"
    assert redactor.mask("kb-canary-0123456789") == "***", "the key that was found is known"
    texts = asyncio.run(diagnosis.texts())
    assert {"system.txt", "checks.txt", "worker.json"} <= set(texts)
    assert "kb-canary" not in "".join(texts.values())
