"""What of a conversation is stored on the control plane, and what stays whole in the workspace.

The session is replaced as a whole at every turn (protocol, section 8.5), so it has a size that it never passes: outputs
of tools are shortened in it, and what is oldest goes. Nothing is lost by that: the transcript in the workspace gets
every message as the model read it, and points to the whole outputs beside it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from worker_core.agents.activities.services import Services
from worker_core.basics import foreign_json
from worker_core.basics.shortening import shortened
from worker_core.errors import KubiyaError
from worker_core.logs.redaction import masked_data
from worker_core.workspaces import anchored
from worker_core.workspaces.workspace import OWN_FOLDER, Workspace

log = logging.getLogger(__name__)

TRANSCRIPT = f"{OWN_FOLDER}/transcript.jsonl"

TRANSCRIPT_END_BYTES = 16_000_000
"""What is read of it. A turn says less: what was said is saved when it passes 300 000 bytes."""

LARGEST_SESSION_BYTES = 2_000_000
SHOWN_MESSAGES = 200
"""Viewers get so many of the last ones (protocol, section 8.5)."""

OUTPUT_LENGTH = 2_000
CONTENT_LENGTH = 500
INPUT_LENGTH = 1_000
OLD_LENGTH = 100
"""Characters that a tool's output, its line of text, each of its arguments, and each of these further back may take."""

Record = dict[str, Any]


async def store(
    services: Services,
    execution_id: str,
    *,
    stored: Mapping[str, Any] | None,
    news: Sequence[Record],
    user_id: str,
    turn: int,
    repeated: bool,
) -> None:
    """Keep what was said: all of it in the workspace, what viewers need on the control plane.

    Args:
        services: of the engine.
        execution_id: whose conversation.
        stored: the session as the server has it.
        news: what was said since the last time, in the session's shape.
        user_id: of the user, or empty.
        turn: number of the turn.
        repeated: this may have been done before, by an attempt that did not come to its end.

    Raises:
        ControlPlaneError: the session could not be stored. A transcript that cannot be written is only logged.
    """
    if news:
        news = await asyncio.to_thread(_kept, services, execution_id, news, repeated)
    await services.client.save_session(
        execution_id,
        messages=bounded(merge(stored, [shown(record) for record in news]), execution_id=execution_id),
        user_id=user_id or None,
        metadata={"turn": turn},
    )


def merge(stored: Mapping[str, Any] | None, news: Sequence[Record]) -> list[Record]:
    """The whole history: what the server has, with `news` in the place of what it knows by the same id.

    A POST replaces everything (protocol, 8.5), so what the server added on its own must come along.
    """
    fresh = {message.get("message_id"): message for message in news}
    kept = [message for message in (stored or {}).get("messages") or () if isinstance(message, dict)]
    merged = [fresh.pop(message.get("message_id"), message) for message in kept]
    merged.extend(fresh.values())
    return sorted(merged, key=lambda message: str(message.get("timestamp") or ""))


def shown(record: Record, *, output: int = OUTPUT_LENGTH, content: int = CONTENT_LENGTH) -> Record:
    """A record as it is stored: that of a tool call with its texts shortened, any other as it is."""
    if record.get("role") != "tool":
        return record
    text = str(record.get("content") or "")
    kept = record.get("tool_output")
    whole = str(kept.get("output") or "") if isinstance(kept, Mapping) else text
    given = record.get("tool_input")
    length = min(INPUT_LENGTH, output)
    return {
        **record,
        "content": shortened(text, content),
        "tool_output": {"output": shortened(whole, output)},
        "tool_input": {str(key)[:100]: _short(value, length) for key, value in list(given.items())[:50]}
        if isinstance(given, Mapping)
        else given,
    }


def bounded(messages: Sequence[Record], *, execution_id: str) -> list[Record]:
    """The messages; where they take more than 2 MB, those of tools that viewers no longer get are cut to a line, and
    then the oldest ones are left out.
    """
    if _size(messages) <= LARGEST_SESSION_BYTES:
        return list(messages)
    cut = max(0, len(messages) - SHOWN_MESSAGES)
    result = [shown(one, output=OLD_LENGTH, content=OLD_LENGTH) for one in messages[:cut]] + list(messages[cut:])
    total, first = _size(result), 0
    if total <= LARGEST_SESSION_BYTES:
        return result
    while total > LARGEST_SESSION_BYTES * 3 // 4 and first < len(result) - 1:  # not again at the next turn
        total -= _size([result[first]])
        first += 1
    note = {
        "role": "system",
        "content": "Earlier messages are left out here; the transcript in the execution's workspace has them all.",
        "message_id": f"{execution_id}_earlier_left_out",
        "timestamp": str(result[first].get("timestamp") or ""),
    }
    return [note, *(one for one in result[first:] if one.get("message_id") != note["message_id"])]


def _size(messages: Sequence[Record]) -> int:
    return len(msgspec.json.encode(messages))


def _short(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return shortened(value, length)
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = msgspec.json.encode(value).decode()
    return value if len(text) <= length else shortened(text, length)


def _kept(services: Services, execution_id: str, news: Sequence[Record], repeated: bool) -> Sequence[Record]:  # noqa: FBT001
    """Masked, and written into the workspace."""
    masked: Sequence[Record] = masked_data(news, services.redactor.mask)
    _write_transcript(services, execution_id, masked, repeated)
    return masked


def _write_transcript(services: Services, execution_id: str, news: Sequence[Record], repeated: bool) -> None:  # noqa: FBT001
    try:
        workspace = Workspace.find(services.workspaces, execution_id)
        if workspace is None:  # no tool was ever called here
            workspace = Workspace.open(services.workspaces, execution_id)
        known = _ids(workspace) if repeated else frozenset[str]()
        lines = [msgspec.json.encode(record).decode() for record in news if str(record.get("message_id")) not in known]
        anchored.append(workspace.path, TRANSCRIPT, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    except (OSError, KubiyaError) as error:
        log.warning("The transcript of execution %s cannot be written: %s", execution_id, error)


def _ids(workspace: Workspace) -> frozenset[str]:
    """Of the messages at the transcript's end, where an attempt before this one wrote. A torn line is none, and so is
    what a tool left there.
    """
    ids = set()
    kept = anchored.read_bounded(workspace.path, TRANSCRIPT, limit_bytes=TRANSCRIPT_END_BYTES, at_end=True)
    for line in kept.splitlines():
        try:
            record = foreign_json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            ids.add(str(record.get("message_id")))
    return frozenset(ids)
