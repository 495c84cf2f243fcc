#!/usr/bin/env bash
# The macOS wheel of PySide6 6.12.0 says "macosx_14_0", its libraries say "14.4", and 29 of them "26.0".
#
# pip installs it on macOS 14.0 by its name; the loader goes by each file's LC_BUILD_VERSION, whose `minos` is newer. The
# 26.0 is that of the files which the binding's own build made (shiboken6 and the modules), the 14.4 that of Qt. Which of
# them an older system refuses is Apple's to say; whoever bundles them reads one number in the name and others inside.
#
# Seen: pyside6_essentials and shiboken6 6.12.0, macosx_14_0_universal2, read by macholib 1.16.4 on Linux. Fails where it
# has changed. About 110 MB are fetched.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check macholib==1.16.4
"$folder/venv/bin/pip" download --quiet --no-deps --disable-pip-version-check --only-binary :all: --python-version 3.12 \
    --implementation cp --platform macosx_14_0_universal2 --dest "$folder" pyside6_essentials==6.12.0 shiboken6==6.12.0
"$folder/venv/bin/python" - "$folder"/*.whl <<'PYTHON'
import collections, sys, tempfile, zipfile
from pathlib import Path

from macholib.mach_o import LC_BUILD_VERSION
from macholib.MachO import MachO

MAGIC = {bytes.fromhex(one) for one in ("cafebabe", "cffaedfe", "feedfacf")}
found, example = collections.Counter(), {}
for wheel in map(Path, sys.argv[1:]):
    print(wheel.name)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as given:
        for member in archive.infolist():
            with archive.open(member) as opened:
                if opened.read(4) not in MAGIC:
                    continue
            for header in MachO(archive.extract(member, given)).headers:
                for kind, detail, _ in header.commands:
                    if kind.cmd == LC_BUILD_VERSION:
                        oldest = f"{detail.minos >> 16}.{detail.minos >> 8 & 0xFF}"
                        found[oldest] += 1
                        example.setdefault(oldest, member.filename)
for oldest, count in sorted(found.items()):
    print(f"minos {oldest}: {count} slices, such as {example[oldest]}")
assert all("-macosx_14_0_universal2" in name for name in sys.argv[1:])
sys.exit("It has changed." if set(found) != {"14.4", "26.0"} else 0)
PYTHON
echo "As described: what stands in the name is older than what stands in the files."
