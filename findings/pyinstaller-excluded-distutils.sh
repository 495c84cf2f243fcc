#!/usr/bin/env bash
# PyInstaller breaks off where `distutils` is excluded and something imports it, from Python 3.12 on.
#
# Python has no distutils any more, setuptools brings one, and PyInstaller names it by a hook of its own: after the exclusion
# has put a mark into that name's place, the hook finds the place taken and raises ValueError, whose text names no option
# that would help. Where setuptools is excluded instead, the same program is frozen (and says what it lacks when it runs).
#
# Seen: PyInstaller 6.22.3 with setuptools 84.2.1, Python 3.12, Linux (needs objdump, and python3.12 or PYTHON=...) and Windows. Fails
# where it has changed. Takes some minutes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pyinstaller==6.22.3 setuptools==84.2.1
cd "$folder"
export HOME=$folder
printf 'try:\n    import distutils.version\nexcept ImportError:\n    pass\nprint("hello")\n' >program.py
for excluded in setuptools distutils; do
    if venv/bin/pyinstaller --noconfirm --log-level ERROR --exclude-module "$excluded" program.py >said 2>&1; then
        frozen=yes; said=$(dist/program/program)
    else
        frozen=no; said=$(tail -n 1 said)
    fi
    echo "without $excluded: frozen: $frozen: $said"
    case $excluded-$frozen in
        setuptools-yes) [[ $said = hello ]] || { echo "It has changed."; exit 1; } ;;
        distutils-no) grep -q "ExcludedModule('distutils'" said || { echo "It has changed: another cause."; exit 1; } ;;
        *) echo "It has changed."; exit 1 ;;
    esac
done
echo "As described: what is not there any more cannot be excluded."
