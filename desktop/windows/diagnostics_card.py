"""Settings, diagnostics: what this program is, whether there is a newer one, and the way to a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtGui import QGuiApplication

from desktop.look.language import tr
from desktop.notices.updates import UpdateWatch
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import row
from desktop.widgets.surfaces import Card, Line
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.desk import Desk
from desktop.windows.licences import LicencesDialog, collected
from desktop.windows.report import ReportDialog
from worker_core import __version__


def copy_facts(desk: Desk) -> None:
    """Put onto the clipboard what somebody who helps asks for first, as it is now."""
    QGuiApplication.clipboard().setText("\n".join(f"{name}: {value}" for name, value in _facts(desk).items()))


def _facts(desk: Desk) -> Mapping[str, str]:
    snapshot, paths = desk.worker.snapshot, desk.settings.paths
    return {
        tr("Version"): snapshot.version or "–",
        tr("This machine"): snapshot.host_id or "–",
        tr("Process"): str(snapshot.pid or "–"),
        tr("Control plane"): snapshot.control_plane_url or "–",
        tr("Settings"): str(paths.settings_file),
        tr("State"): str(paths.state),
        tr("Logs"): str(paths.logs),
    }


class DiagnosticsCard(Card):
    def __init__(self, desk: Desk) -> None:
        copy = Button(tr("Copy"), icon="copy", variant="quiet")
        super().__init__(tr("Diagnostics"), aside=copy)
        self._desk = desk
        for name, value in _facts(desk).items():
            said = Label(name, role="small", tone="muted")
            said.setFixedWidth(150)
            line = row(said, ElidedLabel(value, role="code", middle=True), gap=16)
            line.setStretch(1, 1)
            self.body.addLayout(line)
        copy.clicked.connect(lambda: copy_facts(desk))
        self._add_updates(desk.updates)
        self._add_report()
        if components := collected():
            self._add_licences(components)

    def _add_updates(self, updates: UpdateWatch) -> None:
        self.update_said = Label("", role="small", tone="muted", wrap=True)
        self.ask_button = Button(tr("Check now"), icon="refresh")
        self.ask_button.clicked.connect(updates.ask_now)
        self.open_button = Button(tr("Open the page of the release"), variant="primary")
        self.open_button.clicked.connect(lambda: self._desk.outside.open_url(updates.page))
        line = row(self.update_said, self.open_button, self.ask_button)
        line.setStretch(0, 1)
        self.body.addWidget(Line())
        self.body.addLayout(line)

        def show() -> None:
            state = updates.state
            self.open_button.setVisible(state.is_newer)
            self.ask_button.setEnabled(not state.asking)
            worrying = state.withdrawn or state.trouble
            self.update_said.set_tone("warning" if worrying else "accent" if state.is_newer else "muted")
            if state.asking:
                self.update_said.setText(tr("Asking for the newest release…"))
            elif state.withdrawn:
                self.update_said.setText(
                    tr("Kubiya Worker {version} was withdrawn", version=__version__) + f": {state.withdrawn}"
                )
            elif state.is_newer:
                self.update_said.setText(tr("Kubiya Worker {version} is there", version=state.newest))
            elif state.trouble:
                self.update_said.setText(
                    tr("It is not known whether this is the newest release.") + f" {state.trouble}"
                )
            elif state.newest:
                self.update_said.setText(tr("This is the newest release."))
            else:
                self.update_said.setText(tr("Nobody has asked yet whether there is a newer release."))

        updates.listen(show)
        show()

    def _add_report(self) -> None:
        said = Label(
            tr("Settings, findings and the last log lines, masked. You read it before it is saved; nothing is sent."),
            role="small",
            tone="muted",
            wrap=True,
        )
        self.report_button = Button(tr("Make a report…"), icon="file")
        line = row(said, self.report_button)
        line.setStretch(0, 1)
        self.body.addWidget(Line())
        self.body.addLayout(line)

        async def make() -> None:
            self.report_button.setEnabled(False)
            try:
                ReportDialog(await self._desk.diagnosis.texts(), self.window()).open()
            finally:
                self.report_button.setEnabled(True)

        self.report_button.clicked.connect(lambda: self._desk.background.ask(make(), doing=tr("make the report")))

    def _add_licences(self, components: list[dict[str, Any]]) -> None:
        said = Label(tr("What others made and this program brings with it."), role="small", tone="muted", wrap=True)
        self.licences_button = Button(tr("Licences"), icon="info")
        self.licences_button.clicked.connect(lambda: LicencesDialog(components, self.window()).open())
        line = row(said, self.licences_button)
        line.setStretch(0, 1)
        self.body.addWidget(Line())
        self.body.addLayout(line)
