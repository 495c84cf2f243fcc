"""Which of a server's models an agent can talk to: not the first of a stranger's list, which may be one for embeddings.

Ollama and LM Studio say what a model is for, beside OpenAI's interface; for all others its name has to do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from worker_core.network.hosts import is_loopback

if TYPE_CHECKING:
    import httpx2

Uses = dict[str, frozenset[str]]
"""Of a model by its id: `chat`, `tools`, or nothing of interest here."""

MOST_ASKED: Final = 40
"""Models that are asked about one by one."""

_OTHER_USES: Final = re.compile(
    r"embed|rerank|(?:^|[/_-])(?:bge|e5|gte|jina|minilm|m3e|colbert|clip|whisper|tts|dall-e|flux|sdxl)(?:[/_:.-]|$)"
    r"|all-minilm|arctic-embed|stable-diffusion|moderation|guard|ocr|transcri|speech",
    re.IGNORECASE,
)


async def chat_model(client: httpx2.AsyncClient, url: str, listed: Sequence[str]) -> str | None:
    """The model for an agent: one that says it can call tools, else one that can chat, else by its name.

    Args:
        client: for requests to the server. Only one on this machine is asked for more than its list.
        url: its OpenAI-compatible base.
        listed: ids of its models, in its own order.

    Returns None where nothing is left.
    """
    root, uses = urlsplit(url)._replace(path="", query="").geturl(), Uses()
    if is_loopback(urlsplit(url).hostname or ""):
        uses = await _lm_studio(client, root) or await _ollama(client, root, [*filter(looks_like_chat, listed)])
    for wanted in ("tools", "chat"):
        for model in listed:
            if wanted in uses.get(model, ()):
                return model
    # What a server says nothing about is judged by its name.
    return next((model for model in listed if model not in uses and looks_like_chat(model)), None)


def looks_like_chat(model: str) -> bool:
    """Whether the name is not that of a model for embeddings, ranking, speech or pictures."""
    return _OTHER_USES.search(model) is None


async def _lm_studio(client: httpx2.AsyncClient, root: str) -> Uses:
    """What LM Studio's own list says; those that are loaded count as the better ones."""
    listed = await _json(client, "GET", f"{root}/api/v0/models")
    data = listed.get("data")
    uses = Uses()
    for one in data if isinstance(data, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str) and isinstance(one.get("type"), str):
            chats = one["type"] in {"llm", "vlm"} and looks_like_chat(one["id"])
            better = one.get("state") == "loaded" or "tool_use" in (one.get("capabilities") or ())
            uses[one["id"]] = frozenset({"chat"} | ({"tools"} if better else set())) if chats else frozenset[str]()
    return uses


async def _ollama(client: httpx2.AsyncClient, root: str, listed: Sequence[str]) -> Uses:
    """What Ollama says of each; nothing where it is another server, or an Ollama too old to say."""

    async def show(model: str) -> Mapping[str, Any]:
        return await _json(client, "POST", f"{root}/api/show", {"model": model})

    uses = Uses()
    if not listed or "capabilities" not in (first := await show(listed[0])):
        return uses
    others = await asyncio.gather(*map(show, listed[1:MOST_ASKED]))
    for model, one in zip(listed, [first, *others], strict=False):
        if isinstance(capabilities := one.get("capabilities"), list):
            words = {"completion": "chat", "tools": "tools"}
            uses[model] = frozenset(words[str(word)] for word in capabilities if word in words)
    return uses


async def _json(client: httpx2.AsyncClient, method: str, url: str, body: Any = None) -> Mapping[str, Any]:
    try:
        answer = await client.request(method, url, json=body)
        value = answer.raise_for_status().json()
    except Exception:  # noqa: BLE001 - another server has other paths
        return {}
    return value if isinstance(value, dict) else {}
