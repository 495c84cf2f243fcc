#!/usr/bin/env bash
# mcp-server-sqlite's newest version asks for any `mcp`, is given 2.x, and ends before it answers.
#
# It decorates functions with methods of the low-level server that version 2 of the library no longer has. A client
# sees a server that closed its pipe; the cause stands in its last line of stderr. With `mcp<2` beside it, it answers.
#
# Seen: mcp-server-sqlite 2025.4.25 with mcp 2.3.0 and with the newest 1.x, Python 3.11, Linux. Fails where it changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
greeting='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"finding","version":"1"}}}'
for library in 'mcp==2.3.0' 'mcp<2'; do
    python3 -m venv --clear "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check mcp-server-sqlite==2025.4.25 "$library"
    version=$("$folder/venv/bin/python" -c 'from importlib.metadata import version; print(version("mcp"))')
    # The pipe stays open until the server has answered or ended.
    { echo "$greeting"; sleep 15; } | timeout 60 "$folder/venv/bin/mcp-server-sqlite" --db-path "$folder/data.db" \
        >"$folder/answer" 2>"$folder/words" && status=0 || status=$?
    if grep -q '"serverInfo"' "$folder/answer"; then answered=yes; else answered=no; fi
    echo "mcp $version: answered: $answered; last words: $(tail -n 1 "$folder/words" | cut -c 1-120)"
    case $library in
        'mcp==2.3.0')
            [[ $answered = no ]] && grep -q "AttributeError: 'Server' object has no attribute" "$folder/words" ||
                { echo "It has changed (exit $status)."; exit 1; } ;;
        *) [[ $answered = yes ]] || { echo "It has changed: no answer with 1.x either (exit $status)."; exit 1; } ;;
    esac
done
echo "As described: it works with the 1.x library alone."
