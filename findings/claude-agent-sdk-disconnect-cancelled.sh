#!/usr/bin/env bash
# `ClaudeSDKClient.disconnect()` of claude-agent-sdk ends halfway when asyncio cancels the task that waits for it.
#
# Its `close()` is described as shielded, so that a cancelled task leaves no process behind. The shield is anyio's, which holds off the
# cancellations of anyio's own scopes alone. `asyncio.timeout`, `Task.cancel()` and what is built on them (an activity of Temporal that is
# cancelled a second time, a server that shuts down) go through it: the reader is waited for at that moment, the transport is never told
# to close, and the stream of messages stays open (a ResourceWarning). To call `disconnect()` once more does the rest.
#
# Seen: claude-agent-sdk 0.2.188, anyio 4.16.0, Python 3.11 and 3.13, Linux. Fails where it has changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
# From its source: the wheel brings a program of 380 MB, which is not used here.
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-binary claude-agent-sdk \
    claude-agent-sdk==0.2.188 anyio==4.16.0
"$folder/venv/bin/python" -W always - <<'PROGRAM'
import asyncio
import gc
import json
import warnings
from collections.abc import AsyncIterator

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, Transport


class Program(Transport):
    """Answers the handshake, as the real program does, and then waits for a prompt."""

    def __init__(self) -> None:
        self.closed = False
        self.said: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def connect(self) -> None: ...

    async def write(self, data: str) -> None:
        asked = json.loads(data)
        answer = {"subtype": "success", "request_id": asked["request_id"], "response": {}}
        self.said.put_nowait({"type": "control_response", "response": answer})

    async def read_messages(self) -> AsyncIterator[dict[str, object]]:
        while True:
            yield await self.said.get()

    async def close(self) -> None:
        self.closed = True

    def is_ready(self) -> bool:
        return not self.closed

    async def end_input(self) -> None: ...


async def left(*, cancelled: bool, again: bool = False) -> tuple[bool, int]:
    """Whether the transport was closed, and how many streams were left open."""
    program = Program()
    client = ClaudeSDKClient(ClaudeAgentOptions(), transport=program)
    await client.connect()
    leaving = asyncio.create_task(client.disconnect())
    await asyncio.sleep(0)
    if cancelled:
        leaving.cancel()
    await asyncio.wait([leaving])
    if again:
        await client.disconnect()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        del client, leaving
        gc.collect()
    return program.closed, sum("MemoryObjectReceiveStream" in str(one.message) for one in heard)


seen = {
    "not cancelled": asyncio.run(left(cancelled=False)),
    "cancelled": asyncio.run(left(cancelled=True)),
    "cancelled, and disconnected again": asyncio.run(left(cancelled=True, again=True)),
}
for how, (closed, streams) in seen.items():
    print(f"{how:34} transport closed: {closed!s:5}  streams left open: {streams}")
raise SystemExit(0 if list(seen.values()) == [(True, 0), (False, 1), (True, 0)] else "It has changed.")
PROGRAM
echo "As described: a disconnect that is cancelled leaves the transport and the stream open."
