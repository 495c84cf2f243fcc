"""A tool of an MCP server, as the agent loop calls it; and the worker's own tools for a server's resources."""

from __future__ import annotations

import asyncio
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from worker_core.basics.loop_thread import ThreadClosed
from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.offering import LIST_RESOURCES, READ_RESOURCE, ListArguments, ReadArguments, tool_name
from worker_core.mcp.results import Reader as AnswerReader
from worker_core.mcp.results import resource_list
from worker_core.mcp.under_way import Asking
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools.arguments import WrongArguments, failed, read
from worker_core.tools.base import AsksUser, QuestionInCall, ToolContext, ToolResult, ToolSpec
from worker_core.tools.report import report_text

if TYPE_CHECKING:
    from worker_core.mcp.pool import McpPool

UNKNOWN = " Whether the call had an effect is not known: look before you repeat it."


class McpTool(ABC):
    """Made for one call. Implements `Tool`."""

    def __init__(self, pool: McpPool, config: ServerConfig, *, name: str) -> None:
        """`name` is what the model calls it."""
        self._pool = pool
        self._config = config
        self.spec = ToolSpec(name=name, description="", parameters={})

    @property
    @abstractmethod
    def identity(self) -> str:
        """Of the server and the tool: an answer about a call is about a call of this alone."""

    @property
    @abstractmethod
    def _its_name(self) -> str: ...

    @abstractmethod
    async def _answered(self, arguments: Mapping[str, Any], context: ToolContext) -> tuple[str, bool]:
        """The answer as text, and whether it is one of success."""

    def subjects(self, arguments: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.arguments(arguments, is_started=self._config.transport == "stdio")

    def details(self, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:  # noqa: ARG002 - of whatever call
        """Whose tool it is: the name that the model uses tells neither the server nor its own name for it."""
        config = self._config
        at = shlex.join(config.command) if config.transport == "stdio" else config.where
        return [("MCP server", f"{config.alias}, which is {at}"), ("its tool", self._its_name)]

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        from worker_core.mcp.trouble import ServerTrouble

        try:
            text, succeeded = await self._answered(arguments, context)
        except ServerTrouble as error:
            return failed(context.mask(f"{error.sentence}{UNKNOWN if error.in_mid_call else ''}"))
        except WrongArguments as error:
            return failed(str(error))
        except (ThreadClosed, KubiyaError, OSError) as error:
            return failed(context.mask(f"The call could not be made: {error}."))
        result = await report_text(text or "(no output)", context)
        if succeeded:
            return result
        return ToolResult(
            succeeded=False,
            output=result.output,
            error="The tool reports an error.",
            output_bytes=result.output_bytes,
            saved_to=result.saved_to,
        )


class ServerToolCall(McpTool):
    """A tool that a server has."""

    def __init__(self, pool: McpPool, config: ServerConfig, *, tool: str, say_progress: Callable[[str], None]) -> None:
        """`tool` is what its server calls it; progress is said on another thread."""
        super().__init__(pool, config, name=tool_name(config.alias, tool))
        self._tool = tool
        self._say = say_progress

    @property
    def identity(self) -> str:
        return f"{self._config.identity} {self._tool}"

    @property
    def _its_name(self) -> str:
        return self._tool

    async def _answered(self, arguments: Mapping[str, Any], context: ToolContext) -> tuple[str, bool]:
        def progress(done: float, total: float | None, message: str | None) -> None:
            of = f" of {total:g}" if total is not None else ""
            self._say(context.mask(f"{done:g}{of} {message or ''}".strip())[:500])

        answer = await self._pool.call(
            context.execution_id,
            self._config,
            self._tool,
            arguments,
            limit=context.timeout,
            on_progress=progress,
            asked=context.before_effect,
            call_id=context.call_id,
            answer=context.answer,
        )
        if isinstance(answer, Asking):
            question = answer.question
            [whose, _] = self.details(arguments)
            raise AsksUser(QuestionInCall(parts=(whose, *question.parts), fields=question.fields, state=answer.state))
        readable = tool_name(self._config.alias, READ_RESOURCE) if self._pool.has_resources(self._config) else ""
        reader = AnswerReader(context, read_resource=readable)
        text = await asyncio.to_thread(reader.result, answer.result, misfit=answer.misfit)
        text = "\n".join((text, *(f"[{remark}]" for remark in answer.remarks)))
        return text, not answer.result.is_error


class ResourceList(McpTool):
    """Lists what can be read at a server."""

    @property
    def identity(self) -> str:
        return f"{self._config.identity}/{LIST_RESOURCES}"

    @property
    def _its_name(self) -> str:
        return "none: this lists what can be read there"

    async def _answered(self, arguments: Mapping[str, Any], context: ToolContext) -> tuple[str, bool]:
        page = await self._pool.resources(
            context.execution_id,
            self._config,
            read(ListArguments, arguments).cursor,
            limit=context.timeout,
            asked=context.before_effect,
        )
        return resource_list(page), True


class ResourceRead(McpTool):
    """Reads a resource of a server."""

    @property
    def identity(self) -> str:
        return f"{self._config.identity}/{READ_RESOURCE}"

    @property
    def _its_name(self) -> str:
        return "none: this reads a resource there"

    async def _answered(self, arguments: Mapping[str, Any], context: ToolContext) -> tuple[str, bool]:
        uri = read(ReadArguments, arguments).uri
        answer = await self._pool.read(
            context.execution_id, self._config, uri, limit=context.timeout, asked=context.before_effect
        )
        return await asyncio.to_thread(AnswerReader(context).resource, answer), True


def mcp_tool(
    pool: McpPool, config: ServerConfig, *, name: str, tool: str, say_progress: Callable[[str], None]
) -> McpTool | None:
    """The tool of a call.

    Args:
        pool: keeps the servers.
        config: of the server.
        name: what the model calls the tool.
        tool: what its server calls it; empty for the worker's own.
        say_progress: hears a sentence now and then, on another thread.
    """
    if tool:
        return ServerToolCall(pool, config, tool=tool, say_progress=say_progress)
    own: dict[str, Callable[..., McpTool]] = {
        tool_name(config.alias, LIST_RESOURCES): ResourceList,
        tool_name(config.alias, READ_RESOURCE): ResourceRead,
    }
    return own[name](pool, config, name=name) if name in own else None
