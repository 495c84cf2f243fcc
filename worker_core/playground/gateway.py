"""Which model the playground hands out: a given URL, else a local Ollama or LM Studio, else the scripted one."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.playground.chat_models import chat_model
from worker_core.secrets import Secret
from worker_core.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    import httpx2

PROBE_LIMIT: Final = timedelta(milliseconds=300)
LIST_LIMIT: Final = timedelta(seconds=2)
LOCAL: Final = (("Ollama", 11434), ("LM Studio", 1234))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundGateway:
    """An OpenAI-compatible base URL; `{url}/chat/completions` is its main door."""

    url: str
    api_key: Secret
    name: str
    """For people: `scripted model`, `Ollama`, a host."""
    model: str | None
    """The model that the demo agent uses; None: the worker's own default."""
    scripted: bool = False

    @property
    def shown(self) -> str:
        """Server and model, for people."""
        return self.name if self.scripted else f"{self.model or DEFAULT_MODEL} ({self.name})"


def http_client(url: str, *, timeout: timedelta) -> httpx2.AsyncClient:
    """A client for the model gateway at `url`; no proxy is asked for this machine itself."""
    from worker_core.network.http import new_client

    client = new_client(base_url=url)
    client.timeout = timeout.total_seconds()
    return client


async def given(url: str, api_key: Secret, *, model: str | None) -> PlaygroundGateway:
    """The gateway the user named. A chat model is taken unless one is given or the default is among them."""
    url = url.rstrip("/")
    chosen = model
    if chosen is None:
        names, fitting = await _models(url, api_key, limit=LIST_LIMIT)
        if names and DEFAULT_MODEL not in names:
            chosen = fitting or names[0]
    return PlaygroundGateway(url=url, api_key=api_key, name=url, model=chosen)


async def discovered() -> PlaygroundGateway | None:
    """A model server on this machine that answers within 0.3 s and has a chat model; None if there is none."""
    found = await asyncio.gather(*(_probe(name, port) for name, port in LOCAL))
    return next((gateway for gateway in found if gateway is not None), None)


def scripted(public_url: str, api_key: Secret) -> PlaygroundGateway:
    """The built-in model, served beside the control plane."""
    return PlaygroundGateway(
        url=f"{public_url}/llm/v1", api_key=api_key, name="scripted model", model="scripted", scripted=True
    )


async def _probe(name: str, port: int) -> PlaygroundGateway | None:
    try:
        async with asyncio.timeout(PROBE_LIMIT.total_seconds()):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return None
    url, key = f"http://127.0.0.1:{port}/v1", Secret("local")
    _, fitting = await _models(url, key, limit=PROBE_LIMIT)
    return PlaygroundGateway(url=url, api_key=key, name=name, model=fitting) if fitting else None


async def _models(url: str, api_key: Secret, *, limit: timedelta) -> tuple[list[str], str | None]:
    """The ids of `GET {url}/models`, and which of them an agent can talk to; none where it does not answer as OpenAI's
    does.
    """
    try:
        async with http_client(url, timeout=limit) as client:
            client.headers["Authorization"] = f"Bearer {api_key.reveal()}"
            answer = await client.get(f"{url}/models")
            answer.raise_for_status()
            names = [str(item["id"]) for item in answer.json()["data"]]
            return names, await chat_model(client, url, names)
    except Exception:  # noqa: BLE001 - a gateway that lists nothing may work all the same
        return [], None
