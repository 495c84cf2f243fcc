#!/usr/bin/env bash
# What PyInstaller freezes with PySide6 in it imports PySide6.QtCore before the first line of the program, also where that
# one would end without it, as for `--version`.
#
# A hook that runs at each start looks whether Qt's own `qt.conf` is there, which takes QtCore; PySide6's wheels bring it, so
# nothing comes of it. Whoever has to do something before PySide6 is imported (its `__feature__` import, its sources for
# signatures) comes too late, and sees no difference but in time. Left out of the scripts in the spec file, the hook is not missed.
#
# Seen: PyInstaller 6.22.3, PySide6 6.11.3, Python 3.11, Linux (needs objdump and libegl1). Fails where it has changed. Takes a minute.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pyinstaller==6.22.3 PySide6-Essentials==6.11.3
cd "$folder"
export HOME=$folder
cat >program.py <<'END'
import sys

if "--version" in sys.argv:
    print("1.0, QtCore is imported:", "PySide6.QtCore" in sys.modules)
    sys.exit()
from PySide6 import QtCore

print(QtCore.QLibraryInfo.path(QtCore.QLibraryInfo.PluginsPath).endswith("PySide6/Qt/plugins"))
END
venv/bin/pyi-makespec program.py >/dev/null
sed 's/^    a\.scripts,/    [one for one in a.scripts if one[0] != "pyi_rth_pyside6"],/' program.spec >without.spec
sed -i "s/name='program'/name='without'/" without.spec
for spec in program without; do
    venv/bin/pyinstaller --noconfirm --log-level ERROR "$spec.spec"
done
source=$(venv/bin/python program.py --version)
frozen=$(dist/program/program --version)
without=$(dist/without/without --version)
plugins=$(dist/without/without)
echo "from source: $source; frozen: $frozen; without the hook: $without, and Qt finds its plugins: $plugins"
[[ $source = *False && $frozen = *True && $without = *False && $plugins = True ]] || { echo "It has changed."; exit 1; }
echo "As described: QtCore is there before the program."
