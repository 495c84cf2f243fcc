"""The overview, the first thing that is seen."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from tests.desktop.windows.stand_ins import busy, shown_window


def test_a_playground_says_which_model_it_has(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=busy(), playground_model=lambda: "qwen3:8b (Ollama)")
    said = [label.text() for label in window.findChildren(QLabel) if label.isVisible()]
    assert "A playground on this machine. Its model: qwen3:8b (Ollama)." in said


def test_any_other_worker_says_its_version(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=busy())
    said = [label.text() for label in window.findChildren(QLabel) if label.isVisible()]
    assert "Kubiya Worker 1.0 on this machine" in said
