"""An agent with the MCP server of the tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.engine import Rig, new_agent
from tests.support.playground import Stage

ROOT = Path(__file__).resolve().parents[2]


SERVER = ROOT / "tests" / "mcp" / "server.py"


STDIO = {"command": sys.executable, "args": [str(SERVER), "stdio"]}


SANDBOXED: dict[str, Any] = {"sandbox": "auto", "sandbox_readable": (ROOT,)}


def call(name: str, **arguments: Any) -> str:
    return f"!tool {name} {json.dumps(arguments)}"


async def run(rig: Rig, agent_id: str, *lines: str) -> tuple[str, list[str]]:
    """One turn; its execution and what the model was told by each tool."""
    execution_id = await rig.execute("\n".join(["mcp", *lines, "!say over"]), agent_id=agent_id)
    record = await rig.reach(execution_id, "waiting_for_input", "failed")
    assert record.response == "over", record.error_message
    session = await rig.client.load_session(execution_id)
    assert session is not None
    return execution_id, [message["content"] for message in session["messages"] if message["role"] == "tool"]


async def agent_with(stage: Stage, servers: dict[str, Any], **environment: Any) -> str:
    return await new_agent(stage, execution_environment={"mcp_servers": servers, **environment})
