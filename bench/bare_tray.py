"""The baseline of the tray: the least program that shows an icon in the panel.

python -m bench.bare_tray
"""

from __future__ import annotations

import sys

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QApplication, QSystemTrayIcon


def main() -> int:
    QApplication.setQuitOnLastWindowClosed(False)
    app = QApplication(sys.argv[:1])
    picture = QPixmap(22, 22)
    picture.fill(Qt.GlobalColor.red)
    icon = QSystemTrayIcon(QIcon(picture))
    icon.show()
    return app.exec()


if __name__ == "__main__":
    raise SystemExit(main())
