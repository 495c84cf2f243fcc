"""From the source of a page to its text: in the sandbox, without a network, in a process of its own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from worker_core.basics import typed_json
from worker_core.network.reachable import Network
from worker_core.sandbox.call import run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.interpreter import interpreter_path
from worker_core.sandbox.launcher import Command
from worker_core.tools.base import ToolContext

_ANSWER_LIMIT_BYTES: Final = 32 * 1024 * 1024


class UnreadablePage(Exception):
    """The sentence says why."""


class _Answer(msgspec.Struct):
    title: str
    text: str


async def read_html(html: str, *, url: str, context: ToolContext, limit: timedelta) -> tuple[str, str]:
    """Title and text of a page.

    Args:
        html: its source.
        url: what its links are relative to.
        context: of the call.
        limit: of the reading.

    Raises:
        UnreadablePage: the page used up its limits, or there is no Python to read it with.
        KubiyaError: no process may be started.
        OSError: none could be started.
    """
    interpreter = interpreter_path()
    if interpreter is None:
        raise UnreadablePage("There is no Python interpreter on this machine to read the page with; ask for it `raw`.")
    command = Command(
        argv=[interpreter, "-I", "-S", "-X", "utf8", "-c", program()],
        cwd=context.workspace.path,
        environment=tool_environment({}, call_mark=f"{context.execution_id}/{context.call_id}"),
        is_call=True,
    )
    result = await run_process(
        await asyncio.to_thread(context.launcher.wrap, command, workspace=context.workspace.path, network=Network.OFF),
        timeout=limit,
        output_limit_bytes=_ANSWER_LIMIT_BYTES,
        stdin=msgspec.json.encode(url) + b"\n" + html.encode("utf-8", "replace"),
    )
    content = b"".join(result.output.ends())
    result.output.close()
    try:
        answer = await asyncio.to_thread(typed_json.decode, content, _Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        why = result.exceeded or ("It took too long." if result.timed_out else "")
        raise UnreadablePage(f"The text of the page could not be read; ask for it `raw`. {why}".strip()) from None
    return answer.title, answer.text


@cache
def program() -> str:
    """The source of what reads a page: it needs no file that the sandbox would have to show."""
    return Path(__file__).with_name("html_text.py").read_text(encoding="utf-8")
