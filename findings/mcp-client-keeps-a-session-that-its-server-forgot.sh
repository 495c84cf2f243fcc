#!/usr/bin/env bash
# mcp's client goes on with a session that its server no longer knows: after the server was started anew, every call fails.
#
# The protocol (Streamable HTTP, "Session Management") has a client that is answered with 404 begin a new session. The
# client tells "Session not found" to whoever called, keeps the old session's id, and sends it with each later call.
# A program that holds one session for long, as agents do, loses the server for good; it has to connect anew itself.
#
# Seen: mcp 2.3.0 as client and as server, `ClientSession` and `Client` alike, Python 3.11, Linux. Fails where it changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check mcp==2.3.0
cat >"$folder/server.py" <<'PYTHON'
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("noon")


@server.tool()
def now() -> str:
    return "noon"


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
PYTHON
cat >"$folder/client.py" <<'PYTHON'
import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from importlib.metadata import version

from mcp import ClientSession
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


@contextlib.contextmanager
def serving(port):
    server = subprocess.Popen([sys.executable, "server.py", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            assert server.poll() is None
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


@contextlib.asynccontextmanager
async def plain(url):
    async with streamable_http_client(url) as streams, ClientSession(*streams) as session:
        await session.initialize()
        yield session


def whole(url):
    return Client(url, mode="legacy")


async def said(session):
    try:
        return (await asyncio.wait_for(session.call_tool("now", {}), 60)).content[0].text
    except MCPError as error:
        return str(error)


async def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for connect in (plain, whole):
        with contextlib.ExitStack() as first:
            first.enter_context(serving(port))
            async with connect(f"http://127.0.0.1:{port}/mcp") as session:
                found = [await said(session)]
                first.close()
                with serving(port):
                    found += [await said(session) for _ in range(3)]
        print(f"mcp {version('mcp')}, {connect.__name__}: {found}")
        if found != ["noon", *["Session not found"] * 3]:
            sys.exit("It has changed.")


asyncio.run(main())
print("As described: it never begins a new session.")
PYTHON
cd "$folder" && timeout 300 venv/bin/python client.py
