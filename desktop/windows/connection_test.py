"""Tests the connection and shows each finding as it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.language import fact, retold, tr
from desktop.look.theme import theme
from desktop.look.tokens import Space, Tone
from desktop.look.wording import duration_text
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import column, empty, row, top
from desktop.widgets.pills import Dot
from desktop.widgets.text import Label
from desktop.windows.background import Background
from worker_core.checks.check import Check
from worker_core.errors import KubiyaError

Examine = Callable[[Callable[[Check], object]], Awaitable[list[Check]]]
"""Calls back with each finding, and gives all of them, in their order; raises a KubiyaError."""

NAME_WIDTH, TOOK_WIDTH = 150, 56
"""Of the column of durations, so that sentences wrap at one edge."""

_TONES: dict[str, Tone] = {"ok": "success", "warn": "warning", "fail": "danger", "skip": "neutral"}


class ConnectionTest(QWidget):
    """A button, and below it what it found."""

    def __init__(self, examine: Examine, background: Background) -> None:
        super().__init__()
        self._examine, self._background = examine, background
        self.button = Button(tr("Test the connection"), icon="network")
        self.button.clicked.connect(self._start)
        self.result = Label(
            tr("Name, proxy, certificates, control plane, Temporal, gateway and your key, with the settings above."),
            role="small",
            tone="muted",
            wrap=True,
        )
        self._shown: list[Check] = []
        self._lines = QVBoxLayout()
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(Space.S)
        head = row(self.result, self.button)
        head.setStretch(0, 1)
        self.setLayout(column(head, self._lines, gap=Space.M))

    @property
    def shown(self) -> tuple[Check, ...]:
        """Findings that are on the screen, from top to bottom."""
        return tuple(self._shown)

    def _start(self) -> None:
        self.button.setEnabled(False)
        self._clear()
        self._say(tr("Testing…"), "muted")

        async def ask() -> None:
            try:
                found = await self._examine(self._add)
            except KubiyaError as error:
                self._say(fact(error), "danger")
            else:
                self._conclude(found)
            finally:
                self.button.setEnabled(True)

        self._background.ask(ask(), doing=tr("test the connection"))

    def _clear(self) -> None:
        self._shown.clear()
        empty(self._lines)

    def _add(self, check: Check) -> None:
        self._shown.append(check)
        self._lines.addWidget(_line(check))

    def _conclude(self, found: list[Check]) -> None:
        """All of them once more, in the order in which they build on each other."""
        self._clear()
        for check in found:
            self._add(check)
        wrong = sum(check.verdict == "fail" for check in found)
        if wrong:
            self._say(tr("1 thing to repair.") if wrong == 1 else tr("{n} things to repair.", n=wrong), "danger")
        else:
            self._say(tr("The connection is good."), "success")

    def _say(self, sentence: str, tone: str) -> None:
        self.result.set_tone(tone)
        self.result.setText(sentence)


def _line(check: Check) -> QWidget:
    made = QWidget()
    name = Label(_name(check), role="medium")
    name.setFixedWidth(theme().scaled(NAME_WIDTH))
    repair = (check.in_window or check.repair) if check.verdict in {"warn", "fail"} else ""
    sentences = " ".join(retold(one) for one in (check.fact or check.sentence, repair) if one)
    said = Label(sentences, role="small", tone="muted", wrap=True)
    dot = Dot(tone=_TONES[check.verdict], size=8)
    took = Label(duration_text(check.took_seconds) if check.took_seconds else "", role="small", tone="muted")
    took.setMinimumWidth(theme().scaled(TOOK_WIDTH))
    took.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
    layout = row(dot, name, said, took)
    layout.setStretch(2, 1)
    for part in (dot, name, said, took):
        top(part, layout)
    made.setLayout(layout)
    made.setAccessibleName(f"{_name(check)}: {sentences}")
    return made


def _name(check: Check) -> str:
    names = {
        "proxy": tr("Proxy"),
        "dns": tr("DNS"),
        "tls": tr("TLS"),
        "control-plane": tr("Control plane"),
        "temporal": tr("Temporal"),
        "model-gateway": tr("Model gateway"),
        "keychain": tr("Keychain"),
        "api-key": tr("API key"),
        "queue": tr("Queue"),
        "clock": tr("Clock"),
    }
    return names.get(check.id, check.name)
