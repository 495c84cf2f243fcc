#!/usr/bin/env bash
# cryptography has no wheel for Macs with Intel's processors any more, and pip takes none: it builds from source there.
#
# 48.0.1 is the last with one, "macosx_10_9_universal2", whose files serve both. What is frozen or installed for such Macs
# needs that pin, or Rust and OpenSSL where it is installed.
#
# Seen: cryptography 50.0.2 and 48.0.1, asked of the registry for CPython 3.12. Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
ask() {  # PROCESSOR REQUIREMENT
    local platforms=()
    for version in 10_9 10_12 10_13 11_0 12_0 13_0 14_0; do
        platforms+=(--platform "macosx_${version}_$1" --platform "macosx_${version}_universal2")
    done
    "$folder/venv/bin/pip" download --quiet --no-deps --disable-pip-version-check --only-binary :all: --python-version 3.12 \
        --implementation cp "${platforms[@]}" --dest "$folder/$1/$2" "$2" >"$folder/said" 2>&1
}
for processor in arm64 x86_64; do
    for wanted in 'cryptography==50.0.2' 'cryptography==48.0.1'; do
        if ask "$processor" "$wanted"; then found=yes; else found=no; fi
        echo "$processor, $wanted: a wheel: $found ($(grep -o 'No matching distribution.*' "$folder/said" || ls "$folder/$processor/$wanted"))"
        case $processor-$wanted in
            x86_64-cryptography==50.0.2)
                [[ $found = no ]] && grep -q 'No matching distribution' "$folder/said" || { echo "It has changed."; exit 1; } ;;
            *) [[ $found = yes ]] || { echo "It has changed: there was one."; cat "$folder/said"; exit 1; } ;;
        esac
    done
done
echo "As described: 48.0.1 has one for Intel's processors, 50.0.2 has wheels for Apple's own alone."
