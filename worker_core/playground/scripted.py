"""The built-in scripted model behind an OpenAI-compatible HTTP face (`/llm/v1`), for those who have no model.

`script` says what it answers and documents its directives. `GET /llm/v1/calls` lists the requests it got, so that
a test can prove that no model call was repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator
from typing import Any, Final
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground.responses import EventStream
from worker_core.playground.script import ScriptedFailure, ScriptedStep, Situation, respond
from worker_core.playground.web import reply
from worker_core.secrets import Secret

MODEL: Final = "scripted"
_LOG_LIMIT: Final = 10_000


class ScriptedModel:
    """Answers chat completions by script, and remembers the last 10 000 requests (older ones are dropped)."""

    def __init__(self, key: Secret) -> None:
        self._key = key
        self._attempts: Counter[str] = Counter()
        self.calls: deque[dict[str, Any]] = deque(maxlen=_LOG_LIMIT)
        self.completed = 0

    async def models(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "kubiya-playground"}
        return reply({"object": "list", "data": [model]})

    async def list_calls(self, request: Request) -> Response:
        """The log of requests, oldest first; the header `X-Completed-Calls` counts all that were answered whole."""
        if refusal := self._refusal(request):
            return refusal
        return reply(list(self.calls), headers={"X-Completed-Calls": str(self.completed)})

    async def chat(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        try:
            wish = msgspec.json.decode(await request.body())
            messages = wish["messages"]
            assert isinstance(messages, list)
            assert all(isinstance(message, dict) for message in messages)
        except (msgspec.DecodeError, KeyError, TypeError, AssertionError, UnicodeDecodeError):
            return _error(400, "The body must be a JSON object with a list `messages`.", "invalid_request_error")
        step, entry, failure = self.next_step(messages, wish)
        if step.hang_seconds:
            await asyncio.sleep(step.hang_seconds)
        if failure is not None and failure.status:
            entry |= {"outcome": "refused", "status": failure.status}
            headers = {"Retry-After": failure.retry_after} if failure.retry_after else None
            return _error(failure.status, f"Scripted error {failure.status}.", "scripted_error", headers=headers)
        cut = failure.after_chunks if failure is not None else None
        if wish.get("stream") is True:
            usage = bool((wish.get("stream_options") or {}).get("include_usage"))
            return EventStream(self._stream(step, entry, usage=usage, cut=cut), cut=cut is not None)
        if cut is not None:
            entry["outcome"] = "broken"
            return EventStream(_nothing(), cut=True)
        self.complete(entry)
        return reply(_whole(step, entry))

    def next_step(
        self, messages: list[dict[str, Any]], wish: dict[str, Any]
    ) -> tuple[ScriptedStep, dict[str, Any], ScriptedFailure | None]:
        """What is answered to a conversation (in the shape of chat completions), its entry in the log, and whether
        this attempt fails.
        """
        step = respond(messages, wish.get("tools") or [])
        entry, conversation = self._entry(wish, messages)
        self.calls.append(entry)
        failure = step.failure
        if failure is not None:
            self._attempts[conversation] += 1
            if failure.times is not None and self._attempts[conversation] > failure.times:
                failure = None
        return step, entry, failure

    def knows(self, request: Request) -> bool:
        """Whether a request brings the key, in either of the forms in use."""
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._key.reveal().encode())

    async def _stream(
        self, step: ScriptedStep, entry: dict[str, Any], *, usage: bool, cut: int | None
    ) -> AsyncGenerator[bytes, None]:
        head = {"id": entry["id"], "object": "chat.completion.chunk", "created": int(entry["at"]), "model": MODEL}
        entry["outcome"] = "abandoned"

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return _data({**head, "choices": [choice], **({"usage": None} if usage else {})})

        for delta in _deltas(step)[:cut]:
            yield chunk(delta)
            if step.delay_ms and delta.get("content"):
                await asyncio.sleep(step.delay_ms / 1000)
        if cut is not None:
            entry["outcome"] = "broken"
            return
        self.complete(entry)
        yield chunk({}, _finish(step))
        if usage:
            yield _data({**head, "choices": [], "usage": _usage(step, entry)})
        yield b"data: [DONE]\n\n"

    def complete(self, entry: dict[str, Any]) -> None:
        self.completed += 1
        entry |= {"outcome": "completed", "status": 200}

    def _entry(self, wish: dict[str, Any], messages: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
        situation = Situation.of(messages)
        metadata = wish.get("metadata")
        who = [metadata, wish.get("user"), situation.user_messages]
        conversation = hashlib.sha256(msgspec.json.encode(who, order="sorted")).hexdigest()[:16]
        tools = [(tool.get("function") or tool).get("name") for tool in wish.get("tools") or []]
        entry = {
            "id": f"chatcmpl-{uuid4().hex}",
            "number": self.calls[-1]["number"] + 1 if self.calls else 1,
            "at": time.time(),
            "model": wish.get("model"),
            "stream": wish.get("stream") is True,
            "metadata": metadata,
            "user": wish.get("user"),
            "conversation": conversation,
            "first_user_message": situation.user_messages[0][:500] if situation.user_messages else "",
            "newest_user_text": situation.text[:500],
            "user_messages": len(situation.user_messages),
            "assistant_messages": sum(message.get("role") == "assistant" for message in messages),
            "step": situation.step,
            "tools": tools,
            "prompt_characters": sum(len(str(message.get("content") or "")) for message in messages),
            "fingerprint": hashlib.sha256(msgspec.json.encode(messages)).hexdigest()[:16],
            "outcome": "open",
            "status": None,
        }
        return entry, f"{conversation}:{situation.step}"

    def _refusal(self, request: Request) -> Response | None:
        if self.knows(request):
            return None
        return _error(401, "Incorrect API key provided.", "invalid_request_error", code="invalid_api_key")


def _deltas(step: ScriptedStep) -> list[dict[str, Any]]:
    """The pieces of a response; arguments of tool calls come in two halves, as real models send them."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in step.chunks]
    for index, call in enumerate(step.calls):
        half = len(call.arguments) // 2
        function = {"name": call.name, "arguments": ""}
        identity = {"index": index, "id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}
        deltas.append({"tool_calls": [identity]})
        for part in (call.arguments[:half], call.arguments[half:]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    return deltas


def _whole(step: ScriptedStep, entry: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(step.chunks) or None, "refusal": None}
    if step.calls:
        message["tool_calls"] = [
            {"id": f"call_{uuid4().hex[:24]}", "type": "function",
             "function": {"name": call.name, "arguments": call.arguments}}
            for call in step.calls
        ]  # fmt: skip
    return {
        "id": entry["id"],
        "object": "chat.completion",
        "created": int(entry["at"]),
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(step)}],
        "usage": _usage(step, entry),
    }


def _finish(step: ScriptedStep) -> str:
    return "tool_calls" if step.calls else "stop"


def _usage(step: ScriptedStep, entry: dict[str, Any]) -> dict[str, int]:
    """Four characters count as a token."""
    written = sum(map(len, step.chunks)) + sum(len(call.arguments) for call in step.calls)
    prompt, completion = entry["prompt_characters"] // 4 + 1, written // 4 + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _data(value: Any) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _error(
    status: int, message: str, kind: str, *, code: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return reply({"error": error}, status, headers=headers)


async def _nothing() -> AsyncGenerator[bytes, None]:
    lines: tuple[bytes, ...] = ()
    for line in lines:
        yield line
