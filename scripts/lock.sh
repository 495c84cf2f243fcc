#!/usr/bin/env sh
# Writes the pinned, hashed requirement files from pyproject.toml: names, versions and hashes, no URLs.
# Needs `uv` (any recent version); run it when a dependency changes, and commit what it writes.
# What is pinned already stays as it is, save the packages named: scripts/lock.sh [PACKAGE ...]
set -eu
cd "$(dirname "$0")/.."
upgrades=
for package in "$@"; do upgrades="$upgrades --upgrade-package $package"; done
compile() {
    # shellcheck disable=SC2086 # words on purpose
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header $upgrades "$@"
}
compile pyproject.toml --output-file requirements/worker.txt
compile pyproject.toml --extra playground --output-file requirements/playground.txt
compile pyproject.toml --extra dev --extra desktop --extra playground --no-emit-package kubiya-worker --output-file requirements/dev.txt
compile requirements/gateways.in --output-file requirements/gateways.txt
compile requirements/chart.in --output-file requirements/chart.txt
compile requirements/windows.in --output-file requirements/windows.txt
