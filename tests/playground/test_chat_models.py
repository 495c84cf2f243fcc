"""Of a local server's models a chat model is taken, and the first screen names it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from worker_core.playground import gateway
from worker_core.playground.chat_models import looks_like_chat
from worker_core.secrets import Secret

Paths = dict[str, Callable[[Any], Any]]


@asynccontextmanager
async def local_server(paths: Paths) -> AsyncIterator[str]:
    """Answers these paths from the request's body; any other is 404."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line), 0
            )
            given = json.loads(await reader.readexactly(length)) if length else None
            reply = paths.get(head.split(" ")[1])
            body = json.dumps(reply(given)).encode() if reply else b""
            status = "200 OK" if reply else "404 Not Found"
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def listing(*names: str) -> Callable[[Any], Any]:
    return lambda _: {"object": "list", "data": [{"id": name} for name in names]}


def ollama(**capabilities: list[str]) -> Paths:
    names = {name.replace("_", "-"): said for name, said in capabilities.items()}
    return {
        "/v1/models": listing(*names),
        "/api/show": lambda body: {"capabilities": names[body["model"]]},
    }


LM_STUDIO: Paths = {
    "/v1/models": listing("text-embedding-nomic", "mystery", "small", "loaded-one"),
    "/api/v0/models": lambda _: {
        "data": [
            {"id": "text-embedding-nomic", "type": "embeddings", "state": "loaded"},
            {"id": "mystery", "type": "embeddings", "state": "loaded"},
            {"id": "small", "type": "llm", "state": "not-loaded"},
            {"id": "loaded-one", "type": "vlm", "state": "loaded"},
        ]
    },
}


@pytest.mark.parametrize(
    ("paths", "chosen"),
    [
        ({"/v1/models": listing("nomic-embed-text:latest", "qwen3:8b")}, "qwen3:8b"),
        ({"/v1/models": listing("bge-m3", "dengcao/Qwen3-Reranker-8B:Q4", "llama3.2")}, "llama3.2"),
        (
            ollama(bge_large=["embedding"], strange=["embedding"], gemma=["completion"], qwen=["completion", "tools"]),
            "qwen",
        ),
        (ollama(gemma=["completion", "vision"], strange=["embedding"]), "gemma"),
        (LM_STUDIO, "loaded-one"),
        ({"/v1/models": listing("nomic-embed-text:latest")}, None),
        ({"/v1/models": listing()}, None),
        ({"/v1/models": lambda _: {"data": [{"name": "x"}]}}, None),
        ({}, None),
    ],
)
async def test_a_chat_model_is_chosen_of_what_a_local_server_has(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, chosen: str | None
) -> None:
    monkeypatch.setattr(gateway, "PROBE_LIMIT", gateway.LIST_LIMIT)  # slow machines: only speed is at stake
    async with local_server(paths) as url:
        port = int(url.split(":")[2].split("/")[0])
        monkeypatch.setattr(gateway, "LOCAL", (("Ollama", port),))
        found = await gateway.discovered()
        named = await gateway.given(url, Secret("k"), model=None)
    assert (found.model if found else None) == chosen
    if found is not None:
        assert found.shown == f"{chosen} (Ollama)"
        assert named.model == chosen


async def test_a_list_without_a_chat_model_is_taken_at_its_word_where_its_owner_named_it() -> None:
    async with local_server({"/v1/models": listing("bge-m3")}) as url:
        assert (await gateway.given(url, Secret("k"), model=None)).model == "bge-m3"
        assert (await gateway.given(url, Secret("k"), model="mine")).model == "mine"
    assert gateway.scripted("http://x", Secret("k")).shown == "scripted model"


@pytest.mark.parametrize(
    ("name", "chat"),
    [
        ("qwen3:8b", True), ("gpt-oss:20b", True), ("llama-3.2-3b-instruct", True), ("deepseek-r1", True),
        ("gemma3", True), ("mistral-small", True), ("phi4", True), ("granite3.3", True), ("kimi-k2", True),
        ("nomic-embed-text:latest", False), ("mxbai-embed-large", False), ("all-minilm:22m", False),
        ("bge-m3", False), ("BAAI/bge-reranker-v2", False), ("text-embedding-3-small", False), ("whisper-1", False),
        ("intfloat/e5-large", False), ("llama-guard3", False), ("omni-moderation-latest", False), ("tts-1", False),
    ],
)  # fmt: skip
def test_names_that_say_what_a_model_is_for(name: str, chat: bool) -> None:
    assert looks_like_chat(name) is chat
