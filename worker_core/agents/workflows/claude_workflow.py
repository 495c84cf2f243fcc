"""Workflow code: a turn of the runtime `claude_code` is one activity, since its loop is the SDK's and not ours."""

from __future__ import annotations

from datetime import timedelta

from worker_core.agents import compaction
from worker_core.agents.conversation import answer_id
from worker_core.agents.messages import ClaudeReply, ClaudeTurn, Message, ModelReply
from worker_core.agents.workflows import retries
from worker_core.agents.workflows.home import Home, stop_if_cancelled
from worker_core.agents.workflows.model_loop import Spent, over
from worker_core.agents.workflows.progress import Progress


async def answer(execution_id: str, progress: Progress, home: Home, spent: Spent) -> ModelReply:
    """Let it answer what was said since the last answer."""
    stop_if_cancelled()

    def turn() -> ClaudeTurn:
        begun = progress.home
        earlier, asked = _split(progress.messages)
        return ClaudeTurn(
            execution_id=execution_id,
            turn=progress.turn,
            persona=begun.persona,
            members=begun.members,
            prompt="\n\n".join(message.content for message in asked),
            earlier=tuple(compaction.bounded(earlier, limit_tokens=begun.context_limit_tokens // 2) if earlier else ()),
            message_id=answer_id(execution_id, progress.answers + 1),
            session_id=progress.session_id,
            model_attempts=begun.timeouts.model_attempts,
            model_call_limit=begun.model_call_limit,
            after_sequence=progress.sequence,
        )

    reply: ClaudeReply = await home.call(
        "run_claude_turn",
        turn,
        ClaudeReply,
        start_to_close_timeout=retries.CLAUDE_TURN,
        heartbeat_timeout=timedelta(seconds=progress.home.timeouts.heartbeat),
        retry_policy=retries.CLAUDE_RETRY,
    )
    progress.heard(reply.last_sequence)
    progress.session_id = reply.session_id
    progress.usage += reply.usage
    spent.usage += reply.usage
    spent.calls += 1
    spent.tool_names.extend(reply.tool_names)
    for message in reply.messages:
        progress.say(message)
    if reply.used_up:
        raise over(reply.used_up)
    progress.answers += 1
    progress.response = reply.content or progress.response
    return ModelReply(
        content=reply.content,
        message_id=answer_id(execution_id, progress.answers),
        model=reply.model,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
    )


def _split(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """What was said before, and what is asked now: everything behind the last answer."""
    answered = next(
        (index for index in range(len(messages), 0, -1) if messages[index - 1].role in {"assistant", "tool"}), 0
    )
    return messages[:answered], messages[answered:]
