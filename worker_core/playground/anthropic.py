"""The scripted model behind Anthropic's face (`/llm/v1/messages`), for the runtime `claude_code`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground.responses import EventStream
from worker_core.playground.script import ScriptedCall, ScriptedStep
from worker_core.playground.web import reply

if TYPE_CHECKING:
    from worker_core.playground.scripted import ScriptedModel

_REMINDER = ("<system-reminder>", "</system-reminder>")
"""Around what Claude Code adds to its user's words."""

_PREFIX = re.compile(r"^mcp__.*?__")
_KINDS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}


class AnthropicFace:
    """Translates requests and answers; what is said is the scripted model's."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model

    async def messages(self, request: Request) -> Response:
        if not self._model.knows(request):
            return _error(401, "invalid x-api-key")
        try:
            wish = msgspec.json.decode(await request.body())
            messages = chat_messages(wish)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
            return _error(400, "The body must be a JSON object with a list `messages`.")
        tools = [tool for tool in wish.get("tools") or [] if isinstance(tool, dict) and tool.get("name")]
        offered = [{**tool, "parameters": tool.get("input_schema")} for tool in tools]
        about = {"model": wish.get("model"), "stream": wish.get("stream") is True, "tools": offered}
        step, entry, failure = self._model.next_step(messages, about)
        if step.hang_seconds:
            await asyncio.sleep(step.hang_seconds)
        if failure is not None and failure.status:
            entry |= {"outcome": "refused", "status": failure.status}
            headers = {"Retry-After": failure.retry_after} if failure.retry_after else None
            return _error(failure.status, f"Scripted error {failure.status}.", headers=headers)
        cut = failure.after_chunks if failure is not None else None
        calls = [ScriptedCall(name=_named(call.name, tools), arguments=call.arguments) for call in step.calls]
        step = ScriptedStep(chunks=step.chunks, delay_ms=step.delay_ms, calls=calls)
        lines = self._stream(step, entry, cut=cut)
        if wish.get("stream") is True:
            return EventStream(lines, cut=cut is not None)
        self._model.complete(entry)
        return reply({**_head(entry), "content": _content(step), "stop_reason": _stop(step), "usage": _usage(entry)})

    async def count_tokens(self, request: Request) -> Response:
        if not self._model.knows(request):
            return _error(401, "invalid x-api-key")
        return reply({"input_tokens": len(await request.body()) // 4 + 1})

    async def _stream(
        self, step: ScriptedStep, entry: dict[str, Any], *, cut: int | None
    ) -> AsyncGenerator[bytes, None]:
        entry["outcome"] = "abandoned"
        yield _event("message_start", message={**_head(entry), "content": [], "usage": _usage(entry)})
        index = 0
        if step.chunks:
            yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for piece in step.chunks[:cut]:
                yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
                if step.delay_ms:
                    await asyncio.sleep(step.delay_ms / 1000)
            if cut is None:
                yield _event("content_block_stop", index=index)
            index += 1
        if cut is not None:
            entry["outcome"] = "broken"
            return
        for call in step.calls:
            block = {"type": "tool_use", "id": f"toolu_{uuid4().hex[:24]}", "name": call.name, "input": {}}
            yield _event("content_block_start", index=index, content_block=block)
            delta = {"type": "input_json_delta", "partial_json": call.arguments}
            yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
            index += 1
        self._model.complete(entry)
        written = {"output_tokens": _written(step)}
        yield _event("message_delta", delta={"stop_reason": _stop(step), "stop_sequence": None}, usage=written)
        yield _event("message_stop")


def _without_reminders(text: str) -> str:
    begins, ends = _REMINDER
    kept: list[str] = []
    at = 0
    while (begin := text.find(begins, at)) >= 0 and (end := text.find(ends, begin)) >= 0:
        kept.append(text[at:begin])
        at = end + len(ends)
        while text[at : at + 1].isspace():
            at += 1
    return "".join((*kept, text[at:]))


def chat_messages(wish: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The conversation in the shape of chat completions, without what Claude Code adds to it."""
    messages: list[dict[str, Any]] = []
    for message in wish["messages"]:
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        texts = [_without_reminders(str(part.get("text") or "")) for part in parts if part.get("type") == "text"]
        results = [_text_of(part.get("content")) for part in parts if part.get("type") == "tool_result"]
        if message.get("role") == "assistant":
            messages.append({"role": "assistant", "content": "".join(texts)})
            continue
        messages += [{"role": "tool", "content": result} for result in results]
        if said := "\n".join(text for text in texts if text.strip()):
            messages.append({"role": "user", "content": said})
    return messages


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")


def _named(name: str, tools: Sequence[Mapping[str, Any]]) -> str:
    """Claude Code offers the tools of servers under names of its own."""
    names = [str(tool["name"]) for tool in tools]
    return next((one for one in names if name in {one, _PREFIX.sub("", one)}), name)


def _content(step: ScriptedStep) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "text", "text": "".join(step.chunks)}] if step.chunks else []
    for call in step.calls:
        block = {"type": "tool_use", "id": f"toolu_{uuid4().hex[:24]}", "name": call.name}
        content.append({**block, "input": msgspec.json.decode(call.arguments)})
    return content


def _head(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid4().hex[:24]}", "type": "message", "role": "assistant", "model": entry["model"],
        "stop_reason": None, "stop_sequence": None,
    }  # fmt: skip


def _stop(step: ScriptedStep) -> str:
    return "tool_use" if step.calls else "end_turn"


def _written(step: ScriptedStep) -> int:
    return (sum(map(len, step.chunks)) + sum(len(call.arguments) for call in step.calls)) // 4 + 1


def _usage(entry: Mapping[str, Any]) -> dict[str, int]:
    """Four characters count as a token."""
    return {"input_tokens": int(entry["prompt_characters"]) // 4 + 1, "output_tokens": 1}


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


def _error(status: int, message: str, *, headers: dict[str, str] | None = None) -> Response:
    error = {"type": _KINDS.get(status, "api_error"), "message": message}
    return reply({"type": "error", "error": error}, status, headers=headers)
