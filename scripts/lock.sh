#!/usr/bin/env sh
# Writes the pinned, hashed requirement files from pyproject.toml: names, versions and hashes, no URLs.
# Needs `uv` (any recent version); run it when a dependency changes, and commit what it writes.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header "$@"
}
compile pyproject.toml --output-file requirements/worker.txt
compile pyproject.toml --extra playground --output-file requirements/playground.txt
compile pyproject.toml --extra dev --extra desktop --extra playground --no-emit-package kubiya-worker --output-file requirements/dev.txt
