"""The words of Qt itself: menus of text fields, buttons of dialogs."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QTranslator


def translate_qt(app: QCoreApplication, language: str) -> QTranslator | None:
    """Qt's words in this language, such as `de`, as long as `app` lives.

    Returns:
        What translates them; None where Qt has no catalogue of this language, so its words stay English.
    """
    translator = QTranslator(app)
    if not translator.load(f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        return None
    app.installTranslator(translator)
    return translator
