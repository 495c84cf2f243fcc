"""A window whose whole content is a file, to be dragged elsewhere, as a program of its own.

python drag_source.py FILE
"""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel

TITLE = "Files"


class File(QLabel):
    def __init__(self, file: str) -> None:
        super().__init__(file.rpartition("/")[2])
        self.setWindowTitle(TITLE)
        self._file = file

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        carried = QMimeData()
        carried.setUrls([QUrl.fromLocalFile(self._file)])
        drag = QDrag(self)
        drag.setMimeData(carried)
        drag.exec(Qt.DropAction.CopyAction)


if __name__ == "__main__":
    app = QApplication(sys.argv[:1])
    file = File(sys.argv[1])
    file.resize(200, 120)
    file.show()
    app.exec()
