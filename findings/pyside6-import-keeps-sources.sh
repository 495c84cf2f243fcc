#!/usr/bin/env bash
# Importing PySide6 makes Python keep the source text of every module that is imported afterwards, of any package, for good.
#
# It puts a function of its own in the place of `builtins.__import__`, for `from __feature__ import ...`. Behind each import that function
# has the source of the new module read by `inspect`, to see whether it names PySide6; the text stays in `linecache`. A program that imports
# Qt first and its own packages then holds all their sources beside the code (6 MB in ours), and each `import` statement, also of what is
# loaded long since, costs some thirty times as much (3.3 us instead of 0.11). Nothing has to ask for a feature. What was there before is in
# `builtins.__orig_import__`; put back, nothing more is read.
#
# Seen: PySide6-Essentials 6.11.3, shiboken6 6.11.3, Python 3.11 and 3.13, Linux. Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check PySide6-Essentials==6.11.3
cat > "$folder/seen.py" <<'PROGRAM'
import builtins
import linecache
import sys

if "qt" in sys.argv:
    import PySide6.QtCore
if "restored" in sys.argv:
    builtins.__import__ = builtins.__orig_import__
before = set(linecache.cache)

import csv
import html.parser
import logging.handlers
import wave
import xml.etree.ElementTree
import zipfile

kept = set(linecache.cache) - before
size = sum(entry[0] for name, entry in linecache.cache.items() if name in kept and len(entry) == 4)
print(f"{' '.join(sys.argv[1:]) or 'without Qt':12} sources kept: {len(kept):3}, {size // 1000} kB")
raise SystemExit(0 if bool(kept) == (sys.argv[1:] == ["qt"]) else "It has changed.")
PROGRAM
for how in "" qt "qt restored"; do "$folder/venv/bin/python" "$folder/seen.py" $how; done
echo "As described: the sources of what is imported after PySide6 are kept."
