"""A tool of an MCP server, as the agent loop calls it."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from worker_core.basics.loop_thread import ThreadClosed
from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.offering import tool_name
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools.base import ToolContext, ToolResult, ToolSpec
from worker_core.tools.report import report_text

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from worker_core.mcp.pool import McpPool

UNKNOWN = " Whether the call had an effect is not known: look before you repeat it."
MOST_FILES = 20
LARGEST_FILE_BYTES = 20 * 1024 * 1024


class McpTool:
    """Made for one call. Implements `Tool`."""

    def __init__(
        self,
        pool: McpPool,
        config: ServerConfig,
        *,
        tool: str,
        say_progress: Callable[[str], None],
    ) -> None:
        """`tool` is what its server calls it; progress is said on another thread."""
        self._pool = pool
        self._config = config
        self._tool = tool
        self._say = say_progress
        self.spec = ToolSpec(name=tool_name(config.alias, tool), description="", parameters={})

    @property
    def identity(self) -> str:
        """Of the server and the tool: an answer about a call is about a call of this alone."""
        return f"{self._config.identity} {self._tool}"

    def subjects(self, arguments: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.arguments(arguments)

    def details(self, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:  # noqa: ARG002 - of whatever call
        """Whose tool it is: the name that the model uses tells neither the server nor its own name for it."""
        config = self._config
        at = shlex.join(config.command) if config.transport == "stdio" else config.where
        return [("MCP server", f"{config.alias}, which is {at}"), ("its tool", self._tool)]

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        from worker_core.mcp.session import ServerTrouble

        def progress(done: float, total: float | None, message: str | None) -> None:
            of = f" of {total:g}" if total is not None else ""
            self._say(context.mask(f"{done:g}{of} {message or ''}".strip())[:500])

        try:
            answer = await self._pool.call(
                context.execution_id,
                self._config,
                self._tool,
                arguments,
                limit=context.timeout,
                on_progress=progress,
                asked=context.before_effect,
            )
        except ServerTrouble as error:
            unknown = (
                " Whether the call had an effect is not known: look before you repeat it." if error.in_mid_call else ""
            )
            return ToolResult(succeeded=False, output="", error=context.mask(f"{error.sentence}{unknown}"))
        except (ThreadClosed, KubiyaError, OSError) as error:
            return ToolResult(succeeded=False, output="", error=context.mask(f"The call could not be made: {error}."))
        text = _text_of(answer, context)
        result = await report_text(text or "(no output)", context)
        if answer.is_error:
            return ToolResult(
                succeeded=False,
                output=result.output,
                error="The tool reports an error.",
                output_bytes=result.output_bytes,
                saved_to=result.saved_to,
            )
        return result


def _text_of(answer: CallToolResult, context: ToolContext) -> str:
    """All parts in order: texts as they are, pictures and other files by where they were put in the workspace."""
    from mcp import types

    parts: list[str] = []
    files = 0
    for part in answer.content:
        if isinstance(part, types.TextContent):
            parts.append(part.text)
        elif isinstance(part, types.ImageContent | types.AudioContent):
            files += 1
            parts.append(_file(part.data, part.mime_type, context, files))
        elif isinstance(part, types.EmbeddedResource):
            inner = part.resource
            if isinstance(inner, types.TextResourceContents):
                parts.append(f"[{inner.uri}]\n{inner.text}")
            else:
                files += 1
                parts.append(_file(inner.blob, inner.mime_type, context, files, about=str(inner.uri)))
        else:
            parts.append(f"[{part.name}: {part.uri}]")
    if not parts and answer.structured_content is not None:
        parts.append(json.dumps(answer.structured_content, ensure_ascii=False, indent=1))
    return "\n".join(parts)


def _file(data: str, mime_type: str | None, context: ToolContext, number: int, *, about: str = "") -> str:
    shown = f"{mime_type or 'a file'}{f', {about[:200]}' if about else ''}"
    if number > MOST_FILES or len(data) > LARGEST_FILE_BYTES * 4 // 3:
        return f"[{shown}: left out, there is too much of it]"
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return f"[{shown}: it cannot be decoded]"
    ending = mimetypes.guess_extension((mime_type or "").partition(";")[0]) or ".bin"
    call = re.sub(r"[^A-Za-z0-9_-]", "_", context.call_id)[:60]
    try:
        path = context.workspace.write(f"mcp/{call}-{number}{ending}", [content])
    except (OSError, KubiyaError) as error:
        return f"[{shown}: it could not be kept ({error})]"
    return f"[{shown}, {len(content)} bytes, kept in {path}]"
