"""One model call: streamed from the gateway, its text sent on as it comes."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta

from worker_core.agents.services import Services
from worker_core.agents.types import ModelCall, ModelReply
from worker_core.model.gateway import ModelRequest
from worker_core.model.options import options_of
from worker_core.model.reader import AnswerReader

_FLUSH_LIMIT = timedelta(seconds=10)


async def run_model_call(services: Services, call: ModelCall, *, attempt: int) -> ModelReply:
    """Stream one answer.

    Raises:
        GatewayError: no answer; text that was sent on before stays visible under its own message id.

    """
    lane = services.outbox.lane(call.execution_id)
    lane.advance(call.after_sequence)
    # A later attempt writes a new message: what the broken one showed is not what the conversation keeps.
    message_id = call.message_id if attempt == 1 else f"{call.message_id}_retry{attempt - 1}"
    about: dict[str, str] = {"phase": "post"} if call.after_tools else {}
    if call.member_name:
        about |= {"source": "team_member", "member_name": call.member_name, "parent_message_id": call.parent_message_id}
    kind = "member_message_chunk" if call.member_name else "message_chunk"
    reader = AnswerReader(tool_names=[str(tool["name"]) for tool in call.tools])
    masked = services.redactor.stream()
    said: list[str] = []

    def send(text: str) -> None:
        if text:
            said.append(text)
            if not call.silent:
                lane.chunk(message_id, text, event_type=kind, **about)

    try:
        sent, _ = options_of(call.model_config)
        request = ModelRequest(model=call.model, messages=call.messages, tools=call.tools, options=sent)
        deltas = services.gateway().stream(request, reader, tell=lambda _: None)
        async with aclosing(deltas):
            async for text in deltas:
                send(masked.feed(text))
        send(masked.flush())
        answer = reader.answer()
        if call.member_name and said and not answer.tool_calls:
            lane.publish("member_message_complete", {**about, "message_id": message_id})
    finally:
        send(masked.flush())
        await lane.flush(_FLUSH_LIMIT)
    return ModelReply(
        content="".join(said),
        message_id=message_id,
        model=answer.model or call.model,
        finish_reason=answer.finish_reason,
        tool_calls=answer.tool_calls,
        usage=answer.usage,
        last_sequence=lane.last_sequence,
    )
