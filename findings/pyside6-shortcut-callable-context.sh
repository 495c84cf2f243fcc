#!/usr/bin/env bash
# A `QShortcut` of PySide6 that is made with the function it calls forgets its `context`: no error, and the default instead.
#
# Qt's own constructors take the context behind the function. PySide6 names that form in its stubs, takes the argument by place and by
# name, and leaves `WindowShortcut`: a key meant for one list (Ctrl+C, Delete) then acts from anywhere in the window. Without the
# function among the arguments, or with it as `activated=`, the context holds; other properties hold in each form.
#
# Seen: PySide6-Essentials 6.11.3, Python 3.11 and 3.13, Linux (Qt's offscreen platform). Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check PySide6-Essentials==6.11.3
QT_QPA_PLATFORM=offscreen "$folder/venv/bin/python" - <<'PROGRAM'
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget

application, list_ = QApplication([]), QWidget()
keys, of_the_list = QKeySequence("Ctrl+C"), Qt.ShortcutContext.WidgetShortcut


def copy() -> None: ...


made = {
    "QShortcut(keys, parent, context=)": QShortcut(keys, list_, context=of_the_list),
    "QShortcut(keys, parent, activated=, context=)": QShortcut(keys, list_, activated=copy, context=of_the_list),
    "QShortcut(keys, parent, function, context=)": QShortcut(keys, list_, copy, context=of_the_list),
    "QShortcut(keys, parent, function, context)": QShortcut(keys, list_, copy, of_the_list),
    "QShortcut(keys, parent, function, autoRepeat=False)": QShortcut(keys, list_, copy, autoRepeat=False),
}
for how, one in made.items():
    print(f"{how:52} {one.context().name}, repeats: {one.autoRepeat()}")
seen = [(one.context().name, one.autoRepeat()) for one in made.values()]
widget, window = ("WidgetShortcut", True), ("WindowShortcut", True)
raise SystemExit(0 if seen == [widget, widget, window, window, ("WindowShortcut", False)] else "It has changed.")
PROGRAM
echo "As described: the context is forgotten where a function is given."
