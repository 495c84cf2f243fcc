"""One turn with the SDK. Everything here lives on a loop of the SDK's own; it imports the SDK, so import it late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from claude_agent_sdk import (
    AgentDefinition,
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    ResultMessage,
    SdkMcpTool,
    StreamEvent,
    TextBlock,
    create_sdk_mcp_server,
)

from worker_core.basics.quick_dataclass import dataclass
from worker_core.claude.door import ModelDoor
from worker_core.claude.metering import usage_of
from worker_core.claude.program import Program
from worker_core.model.answer import Usage
from worker_core.model.gateway import ModelGateway
from worker_core.model.refusals import Cause, GatewayError
from worker_core.sandbox.launcher import Command, Launcher

SERVER = "kubiya"
"""Name of the MCP server that the main persona's tools are offered by; members have one each."""

_OWN_TOOLS = ("TodoWrite",)
"""Of the program's tools, those that do nothing outside it."""

_DELEGATION = "Task"

_MOST_CANCELLATIONS = 10
"""Of one end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """A team's member, whom the main persona may give tasks."""

    name: str
    """Letters, digits, `_` and `-`."""

    description: str
    prompt: str
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one turn is to do."""

    prompt: str
    system_prompt: str
    model: str
    tools: tuple[Mapping[str, Any], ...]
    """Each `{name, description, parameters}`."""

    session_id: str
    resumes: bool
    """The session is there and goes on."""

    cli: Path
    workspace: Path
    state_folder: Path
    """Inside the workspace: what the program keeps, sessions among it."""

    environment: Mapping[str, str]
    colleagues: tuple[Colleague, ...] = ()
    model_attempts: int = 6
    most_model_calls: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told, and asked, on this loop."""

    begins: Callable[[], object]
    """A message of the model begins; one that was begun and did not end is void."""

    text: Callable[[str], object]
    ends: Callable[[], object]
    call: Callable[[str, str, Mapping[str, Any]], Awaitable[tuple[str, bool]]]
    """(who: a member's name or empty, tool, arguments) -> (text for the model, whether it failed)."""

    before_model_call: Callable[[], Awaitable[None]]
    after_model_call: Callable[[Usage, str], Awaitable[None]] | None = None
    """(what one call took, the model's name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    session_id: str
    model: str
    finish_reason: str
    usage: Usage = field(default_factory=Usage)


async def run(order: Order, listener: Listener, *, launcher: Launcher, gateway: ModelGateway) -> Outcome:
    """One turn, from the prompt to the result.

    Raises:
        GatewayError: there was no result; the sentence says why.
    """
    async with ModelDoor(
        gateway, before_request=listener.before_model_call, after_request=listener.after_model_call
    ) as door:
        url = launcher.door(door.port)
        if url is None:
            raise GatewayError(
                f"The runtime claude_code cannot reach its model from the sandbox ({launcher.name}) while the setting "
                '`network` is as it is. Set network = "allow-list" (an empty list will do), or use another runtime.',
                cause=Cause.REQUEST,
                category="runtime_initialization",
            )
        command = Command(
            argv=_arguments(order),
            cwd=order.workspace,
            environment=_environment(order, url=url, token=door.password),
            doors=frozenset({door.port}),
        )
        program = Program(command, launcher=launcher, workspace=order.workspace)
        try:
            return await _converse(order, listener, program, door)
        except (ClaudeSDKError, OSError) as error:
            raise _failure(program, door, str(error)) from error
        finally:
            await program.close()  # whatever kept the SDK from it


async def _converse(order: Order, listener: Listener, program: Program, door: ModelDoor) -> Outcome:
    options = ClaudeAgentOptions(
        mcp_servers={name: create_sdk_mcp_server(name, tools=tools) for name, tools in _servers(order, listener)},
        agents={
            one.name: AgentDefinition(
                description=one.description or one.name,
                prompt=one.prompt or f"You are {one.name}.",
                tools=[f"mcp__{one.name}__{tool['name']}" for tool in one.tools],
            )
            for one in order.colleagues
        }
        or None,
    )
    client = ClaudeSDKClient(options, transport=program)
    try:
        await client.connect()
        await client.query(order.prompt)
        result = await _followed(client.receive_response(), listener)
    finally:
        await _disconnected(client)
    if result is None:
        raise _failure(program, door, "")
    if result.is_error:
        if result.subtype == "error_max_turns":
            raise GatewayError(
                f"The turn was stopped after {order.most_model_calls} model calls. Raise `max_turns` in the agent's "
                "configuration if it needs more.",
                cause=Cause.REQUEST,
            )
        raise _failure(program, door, result.result or result.subtype)
    return Outcome(
        session_id=result.session_id,
        model=next(iter(result.model_usage or {}), order.model),
        finish_reason=result.stop_reason or "stop",
        usage=usage_of(result.usage or {}, cost=result.total_cost_usd or 0.0),
    )


async def _disconnected(client: ClaudeSDKClient) -> None:
    """Until it has: a cancellation in the midst of it would leave the SDK's stream open.

    A turn is cancelled a second time where its worker ends while it is being given up. Not by `uninterrupted`: the end
    of the loop cancels every task, and the one that it makes, too.
    """
    cancelled: asyncio.CancelledError | None = None
    for _ in range(_MOST_CANCELLATIONS):
        try:
            await client.disconnect()
            break
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _followed(messages: AsyncIterator[Any], listener: Listener) -> ResultMessage | None:
    streamed: set[str] = set()
    async for message in messages:
        if isinstance(message, StreamEvent) and message.parent_tool_use_id is None:
            event = message.event
            match event.get("type"):
                case "message_start":
                    streamed.add(str(event.get("message", {}).get("id")))
                    listener.begins()
                case "content_block_delta" if event.get("delta", {}).get("type") == "text_delta":
                    listener.text(str(event["delta"].get("text") or ""))
                case "message_stop":
                    listener.ends()
        elif isinstance(message, AssistantMessage) and message.parent_tool_use_id is None:
            # What was not streamed comes whole; what the program makes up itself (errors) is in the result.
            if message.message_id not in streamed and message.error is None and message.model != "<synthetic>":
                listener.begins()
                listener.text("".join(block.text for block in message.content if isinstance(block, TextBlock)))
                listener.ends()
        elif isinstance(message, ResultMessage):
            return message
    return None


def _servers(order: Order, listener: Listener) -> list[tuple[str, list[SdkMcpTool[Any]]]]:
    servers = [(SERVER, [_tool("", tool, listener) for tool in order.tools])]
    servers += [(one.name, [_tool(one.name, tool, listener) for tool in one.tools]) for one in order.colleagues]
    return [(name, tools) for name, tools in servers if tools]


def _tool(who: str, tool: Mapping[str, Any], listener: Listener) -> SdkMcpTool[Any]:
    name = str(tool["name"])

    async def call(arguments: Mapping[str, Any]) -> dict[str, Any]:
        text, failed = await listener.call(who, name, arguments)
        return {"content": [{"type": "text", "text": text}], "is_error": failed}

    return SdkMcpTool(
        name=name,
        description=str(tool.get("description") or ""),
        input_schema={"type": "object", **dict(tool.get("parameters") or {})},
        handler=call,
    )


def _arguments(order: Order) -> list[str]:
    """The program's flags. Nothing secret is among them, and no text that could be too long for one."""
    prompt_file = order.state_folder / "system-prompt.txt"
    own = [*_OWN_TOOLS, _DELEGATION] if order.colleagues else [*_OWN_TOOLS]
    servers = [SERVER] if order.tools else []
    servers += [one.name for one in order.colleagues if one.tools]
    allowed = [*own, *(f"mcp__{name}" for name in servers)]
    configuration = {"mcpServers": {name: {"type": "sdk", "name": name} for name in servers}}
    return [
        str(order.cli), "--output-format", "stream-json", "--verbose", "--input-format", "stream-json",
        "--include-partial-messages", "--system-prompt-file", str(prompt_file), "--tools", ",".join(own),
        "--allowedTools", ",".join(allowed), "--permission-mode", "dontAsk", "--model", order.model,
        "--max-turns", str(order.most_model_calls), "--mcp-config", json.dumps(configuration), "--strict-mcp-config",
        "--setting-sources=", f"--{'resume' if order.resumes else 'session-id'}={order.session_id}",
    ]  # fmt: skip


def _environment(order: Order, *, url: str, token: str) -> dict[str, str]:
    """The program's variables. The token opens the door of this turn, nothing else."""
    models = ["ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL"]
    models += ["ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL"]
    return {
        **order.environment,
        **dict.fromkeys(models, order.model),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CONFIG_DIR": str(order.state_folder),
        "CLAUDE_CODE_TMPDIR": str(order.state_folder / "tmp"),  # else it leaves a folder of its own in the system's
        "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": str(max(0, order.model_attempts - 1)),
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        # The worker's own limits hold: a call may wait for an approval or for the end of a pause.
        "API_TIMEOUT_MS": "86400000",
        "MCP_TOOL_TIMEOUT": "86400000",
        "MAX_MCP_OUTPUT_TOKENS": "100000",
    }


def _failure(program: Program, door: ModelDoor, said: str) -> GatewayError:
    """The nearest cause that is known."""
    last = " ".join(program.errors.lines())[-300:]
    cause = program.exceeded or door.failure or said or last or "it ended without a result"
    return GatewayError(f"The runtime claude_code gave no answer: {cause.rstrip('.')}.", cause=Cause.REQUEST)
