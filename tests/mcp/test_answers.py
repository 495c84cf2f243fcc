"""Which answer is whose: however its id is written, whatever else comes at the same time, and one after another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.mcp.pools import LIMIT, ask
from tests.mcp.sessions import STREAM, plain, remote, said, scripted, text
from tests.support.http_server import Answer, Request
from worker_core.mcp.pages import MOST_LISTED, MOST_PARTS


async def test_an_answer_with_its_id_as_a_text_is_taken_apart_like_any_other(tmp_path: Path) -> None:
    """The SDK takes "7" for 7: such an answer went around every bound, and its tools were lost."""
    schema = {"type": "object"}
    tools = [{"name": f"tool-{number}", "inputSchema": schema} for number in range(2 * MOST_LISTED)]
    parts = [{"type": "text", "text": "."}] * (2 * MOST_PARTS)
    answers = {
        "tools/list": {"id": "text", "result": {"tools": ["no tool", *tools]}},
        "tools/call": {"id": "text", "result": {"content": parts}},
    }
    async with scripted(tmp_path, answers) as session:
        assert [tool.name for tool in (await session.tools()).tools] == [one["name"] for one in tools[: MOST_LISTED - 1]]
        answered = await ask(session, "do")
    assert answered.startswith("." * MOST_PARTS + "[The server answered in")
