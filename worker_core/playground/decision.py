"""What comes after a turn. The real server asks its own model; so do we where there is one (facts: protocol, 8.6)."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

import msgspec

from worker_core.playground import wire
from worker_core.playground.gateway import PlaygroundGateway, http_client
from worker_core.playground.store import Row

log = logging.getLogger(__name__)

LIMIT: Final = timedelta(seconds=5)
STATUSES: Final = ("running", "waiting_for_input", "completed", "failed")
FALLBACK: Final = "waiting_for_input"

_INSTRUCTIONS: Final = (
    "You judge the state of a conversation between a user and an AI agent after one turn of the agent. Answer with "
    "exactly one word: `completed` if the task is done and nothing is left to ask or do; `waiting_for_input` if the "
    "agent asked something or the user may want to go on; `running` if the agent announced that it will go on by "
    "itself; `failed` if it cannot go on. When in doubt answer `waiting_for_input`."
)


async def decide(gateway: PlaygroundGateway, execution: Row, turn: wire.Turn) -> str:
    """The next status.

    An execution whose agent configuration says `single_turn` is over after its turn, whatever the model thinks.
    With the scripted model every other turn waits for the user.
    """
    if (execution.get("agent_config") or {}).get("single_turn") is True:
        return "failed" if turn.error_message else "completed"
    if gateway.scripted:
        return FALLBACK
    try:
        async with asyncio.timeout(LIMIT.total_seconds()):
            return parse(await _ask(gateway, execution, turn))
    except Exception as error:  # noqa: BLE001 - a decision that cannot be had is "wait for the user"
        log.warning("The model was not able to say what comes next (%s); the execution waits for input.", error)
        return FALLBACK


def parse(answer: str) -> str:
    """The first status that `answer` names; `waiting_for_input` if it names none."""
    text = answer.lower()
    places = {status: text.find(status) for status in STATUSES if status in text}
    return min(places, key=lambda status: places[status]) if places else FALLBACK


async def _ask(gateway: PlaygroundGateway, execution: Row, turn: wire.Turn) -> str:
    question = {
        "task": (execution.get("prompt") or "")[:2000],
        "turn": turn.turn_number,
        "tools_called": turn.tools_called_names,
        "finish_reason": turn.finish_reason,
        "error": turn.error_message,
        "agent_said": turn.response_preview,
    }
    async with http_client(gateway.url, timeout=LIMIT) as client:
        answer = await client.post(
            f"{gateway.url}/chat/completions",
            headers={"Authorization": f"Bearer {gateway.api_key.reveal()}"},
            json={
                "model": turn.model or gateway.model,
                "messages": [
                    {"role": "system", "content": _INSTRUCTIONS},
                    {"role": "user", "content": msgspec.json.encode(question).decode()},
                ],
            },
        )
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["message"]["content"])
