"""A window that says what the tray says, for desktops without a tray, where the main window is not installed."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from desktop.bridge import Bridge
from desktop.language import tr
from desktop.tray.facts import TrayFacts
from desktop.tray.picture import reason, status
from desktop.worker_face import WorkerFace
from worker_core.snapshot import EngineSnapshot


class PlainWindow(QWidget):
    def __init__(self, worker: WorkerFace, bridge: Bridge, settings_store: object) -> None:
        super().__init__()
        self.setWindowTitle(tr("Kubiya Worker"))
        self._status = QLabel()
        self._reason = QLabel()
        self._reason.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self._status)
        layout.addWidget(self._reason)
        layout.addStretch()
        self.resize(480, 160)
        self._draw(worker.snapshot)
        bridge.snapshot_changed.connect(self._draw)

    def _draw(self, snapshot: EngineSnapshot) -> None:
        facts = TrayFacts(snapshot=snapshot)
        self._status.setText(status(facts))
        self._reason.setText(reason(facts))
