"""The conversation in two of its shapes: for the stored session, and for `get_state`. `history` has the model's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import Message, ToolCall
from worker_core.basics import foreign_json
from worker_core.basics.whole_text import whole

_AUTHOR_KEYS = ("user_id", "user_name", "user_email", "user_avatar")


def author_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """The user fields of a message or of `user_metadata`, without nulls."""
    return {key: value for key in _AUTHOR_KEYS if isinstance(value := raw.get(key), str) and value}


def prompt_of(execution: ExecutionInput, *, now: str) -> Message:
    """What the execution was begun with, as the conversation's first message.

    Args:
        execution: as it came.
        now: ISO 8601, where nobody said when it was written.
    """
    return Message(
        role="user",
        content=execution.prompt,
        timestamp=execution.initial_message_timestamp or now,
        message_id=f"{execution.execution_id}_user_1",
        author=author_of(execution.user_metadata),
    )


def answer_id(execution_id: str, number: int) -> str:
    """Of an execution's answer with text: the first, the second, ..."""
    return f"{execution_id}_assistant_{number}"


def for_session(messages: Iterable[Message]) -> tuple[dict[str, Any], ...]:
    """The stored session's shape (protocol, section 8.5). Assistant messages without text are left out: the
    server does not show them, and their tool calls stand in the tool messages that follow. `tool_output` is made
    of the content where it is stored, so that it does not travel twice.
    """
    shaped: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "assistant" and not message.content:
            continue
        record: dict[str, Any] = {
            "role": message.role,
            "content": message.content,
            "timestamp": message.timestamp,
            "message_id": message.message_id,
            **message.author,
        }
        if message.role == "tool":
            record |= {
                "tool_name": message.tool_name,
                "tool_execution_id": message.tool_call_id,
                "tool_input": arguments_object(message.tool_arguments),
                "tool_error": message.tool_error,
                "tool_status": "failed" if message.tool_error else "success",
            }
        shaped.append(record)
    return tuple(shaped)


def for_state(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """`get_state` messages: what the user and the agent said. Tool calls reach viewers as events; listing them
    here as well would show them twice (protocol, section 7.8).
    """
    return [
        {
            "role": message.role,
            "content": message.content,
            "timestamp": message.timestamp,
            "message_id": message.message_id,
            **message.author,
        }
        for message in messages
        if message.role in {"user", "assistant"} and message.content
    ]


def from_session(records: Iterable[Mapping[str, Any]], *, except_ids: frozenset[str]) -> tuple[Message, ...]:
    """Earlier messages of a stored session that the model should know. Tool records become none: without their
    calls, providers refuse them.
    """
    return tuple(
        Message(
            role=str(record["role"]),
            content=str(record["content"]),
            timestamp=str(record.get("timestamp") or ""),
            message_id=str(record.get("message_id") or ""),
            author=author_of(record),
        )
        for record in records
        if record.get("role") in {"user", "assistant"}
        and record.get("content")
        and record.get("message_id") not in except_ids
    )


def arguments_object(arguments: str) -> dict[str, Any]:
    """The model's argument text as an object; an unreadable one, or one nested too deep, under the key `raw`. It is
    called in workflow code, so nothing that a model may write makes it raise.
    """
    try:
        value = foreign_json.loads(arguments or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"raw": whole(arguments)}


def consecutive_groups(calls: Iterable[ToolCall], *, read_only: frozenset[str]) -> list[list[ToolCall]]:
    """Calls in the model's order, neighbours that only read together: those may run at the same time."""
    groups: list[list[ToolCall]] = []
    for call in calls:
        reads = call.name in read_only
        if groups and reads and groups[-1][0].name in read_only:
            groups[-1].append(call)
        else:
            groups.append([call])
    return groups
