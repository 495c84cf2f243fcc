"""The model gateway: any OpenAI-compatible endpoint, through the `openai` SDK, streamed.

The SDK costs half a second and 20 MB to import; it is imported at the first execution, never before polling begins.
Its own retries are off: Temporal owns them, so that each attempt is visible and none repeats silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from worker_core.agents.types import ToolCall, Usage
from worker_core.control_plane.http import tls_context
from worker_core.errors import KubiyaError
from worker_core.secrets import Secret

if TYPE_CHECKING:
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

STREAM_SILENCE_LIMIT_SECONDS = 180.0
"""A stream that says nothing for so long counts as broken off. Reasoning models are silent for a minute or two."""

_PASSED_THROUGH = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "reasoning_effort",
)


class GatewayError(KubiyaError):
    """The gateway did not give an answer.

    Attributes:
        retryable: whether the same call may succeed later.
        retry_after_seconds: what the gateway asked for, else None.
        category: the error category of the protocol, section 8.3.
        context_full: the conversation is longer than the model takes; a shorter one may succeed.

    """

    def __init__(
        self,
        sentence: str,
        *,
        retryable: bool,
        retry_after_seconds: float | None = None,
        category: str = "llm_model_error",
        context_full: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.category = category
        self.context_full = context_full


@dataclass(slots=True)
class Answer:
    """An answer as it grows."""

    content: str = ""
    finish_reason: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        ordered = (self.calls[index] for index in sorted(self.calls))
        return tuple(
            ToolCall(call_id=call["id"], name=call["name"], arguments=call["arguments"])
            for call in ordered
            if call["name"]
        )


class ModelGateway:
    """One endpoint with its key. Cheap to make; the SDK is loaded at the first call."""

    def __init__(self, *, base_url: str, api_key: Secret, ca_file: Path | None = None) -> None:
        self.base_url = base_url
        self._api_key = api_key
        self._ca_file = ca_file
        self._client: AsyncOpenAI | None = None
        self._preparing = asyncio.Lock()

    def serves(self, base_url: str, api_key: Secret) -> bool:
        """Whether this gateway was made for the same endpoint and key."""
        return base_url == self.base_url and api_key == self._api_key

    async def prepare(self) -> AsyncOpenAI:
        """Import the SDK (in a thread) and make its client, once."""
        async with self._preparing:
            if self._client is None:
                if not self._api_key:
                    raise GatewayError(
                        "There is no key for the LLM gateway: the control plane gave none. Set LITELLM_API_KEY, "
                        "or configure the gateway on the control plane.",
                        retryable=False,
                        category="configuration",
                    )
                self._client = await asyncio.to_thread(self._make_client)
        return self._client

    @property
    def anthropic_base(self) -> str:
        """Where Anthropic's paths begin, `/v1` among them (protocol, section 10)."""
        return self.base_url.rstrip("/").removesuffix("/v1")

    def authorization(self) -> dict[str, str]:
        """Headers that carry the key, in both forms that gateways take."""
        key = self._api_key.reveal()
        return {"Authorization": f"Bearer {key}", "x-api-key": key}

    def make_http_client(self) -> DefaultAsyncHttpxClient:
        """A client with this gateway's trust, for a loop of its own. It imports for a moment: call it in a thread."""
        from openai import DefaultAsyncHttpxClient

        return DefaultAsyncHttpxClient(
            timeout=STREAM_SILENCE_LIMIT_SECONDS,
            verify=tls_context(self.base_url, ca_file=self._ca_file),
            follow_redirects=False,
        )

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        return AsyncOpenAI(
            api_key=self._api_key.reveal(),
            base_url=self.base_url,
            max_retries=0,
            timeout=STREAM_SILENCE_LIMIT_SECONDS,
            http_client=DefaultAsyncHttpxClient(
                verify=tls_context(self.base_url, ca_file=self._ca_file), follow_redirects=False
            ),
        )

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def stream(
        self,
        *,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        model_config: Mapping[str, Any],
        answer: Answer,
    ) -> AsyncGenerator[str, None]:
        """Text deltas of one model call; `answer` is complete when the iterator ends.

        Raises:
            GatewayError: refused, failed, or broken off before the model finished.

        """
        client = await self.prepare()
        import openai

        options: dict[str, Any] = {
            key: model_config[key] for key in _PASSED_THROUGH if model_config.get(key) is not None
        }
        if tools:
            options["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool["name"],
                        "description": tool["description"],
                        "parameters": tool["parameters"],
                    },
                }
                for tool in tools
            ]
        request: dict[str, Any] = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **options,
        }
        streaming = False
        try:
            chunks = await client.chat.completions.create(**request)
            streaming = True
            async with aclosing(chunks.__aiter__()), chunks:
                async for chunk in chunks:
                    if text := _absorb(chunk, answer):
                        yield text
        except openai.APIStatusError as error:
            raise _refusal(error, self.base_url, model) from error
        except openai.APITimeoutError as error:
            raise GatewayError(
                f"The LLM gateway {self.base_url} said nothing for {STREAM_SILENCE_LIMIT_SECONDS:g} s; the call is "
                "tried again.",
                retryable=True,
                category="timeout",
            ) from error
        except openai.APIConnectionError as error:
            if streaming:
                raise _broken_off(self.base_url, _innermost(error)) from error
            raise GatewayError(
                f"The LLM gateway {self.base_url} cannot be reached ({_innermost(error)}); the call is tried again.",
                retryable=True,
                category="network",
            ) from error
        except openai.APIError as error:
            raise GatewayError(
                f"The LLM gateway {self.base_url} reported a failure in mid-stream: {error.message[:200]}.",
                retryable=True,
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GatewayError(
                f"The LLM gateway {self.base_url} sent an answer that is not valid ({type(error).__name__}).",
                retryable=True,
            ) from error
        if not answer.finish_reason:
            raise _broken_off(self.base_url, "the stream ended without a finish reason")


def _broken_off(base_url: str, why: str) -> GatewayError:
    return GatewayError(
        f"The LLM gateway {base_url} broke off in mid-answer ({why}); the call is tried again.",
        retryable=True,
        category="network",
    )


def _absorb(chunk: Any, answer: Answer) -> str:
    if chunk.model:
        answer.model = chunk.model
    if chunk.usage is not None:
        details = chunk.usage.prompt_tokens_details
        answer.usage = Usage(
            prompt_tokens=chunk.usage.prompt_tokens or 0,
            completion_tokens=chunk.usage.completion_tokens or 0,
            total_tokens=chunk.usage.total_tokens or 0,
            cached_tokens=(details.cached_tokens or 0) if details is not None else 0,
        )
    if not chunk.choices:
        return ""
    choice = chunk.choices[0]
    if choice.finish_reason:
        answer.finish_reason = choice.finish_reason
    for part in choice.delta.tool_calls or ():
        call = answer.calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
        if part.id:
            call["id"] = part.id
        if part.function is not None:
            call["name"] += part.function.name or ""
            call["arguments"] += part.function.arguments or ""
    text: str = choice.delta.content or ""
    answer.content += text
    return text


def _refusal(error: Any, base_url: str, model: str) -> GatewayError:
    status = int(error.status_code)
    said = str(error.message)[:200].rstrip(".")
    if status < 400:
        return GatewayError(
            redirected(base_url, status, error.response.headers.get("location", "")),
            retryable=False,
            category="configuration",
        )
    if status in {401, 403}:
        return GatewayError(
            f"The LLM gateway {base_url} refused the key ({status}). Check LITELLM_API_KEY, or the gateway settings "
            "of the control plane.",
            retryable=False,
            category="authentication",
        )
    if status == 429:
        return GatewayError(
            f"The LLM gateway {base_url} asks for fewer requests (429); the call is tried again later.",
            retryable=True,
            retry_after_seconds=_retry_after(error),
        )
    if status >= 500 or status in {408, 409}:
        return GatewayError(
            f"The LLM gateway {base_url} failed ({status}): {said}. The call is tried again.",
            retryable=True,
            retry_after_seconds=_retry_after(error),
        )
    return GatewayError(
        f"The LLM gateway {base_url} did not accept the request for model {model} ({status}): {said}.",
        retryable=False,
        context_full=status == 413 or getattr(error, "code", None) == "context_length_exceeded" or _says_full(said),
    )


def redirected(base_url: str, status: int, location: str) -> str:
    """The sentence for a redirect. Of its target, only the host is named: the rest may hold a token."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    # The host is somebody else's text: on one line, and short.
    to = f" to {' '.join(host.split())[:100]}" if host else ""
    return (
        f"The LLM gateway {base_url} answered with a redirect{to} ({status}). It is not followed: the key and the "
        "conversation would go there. If that is the right address, set LITELLM_API_BASE, or the gateway on the "
        "control plane, to it."
    )


def _says_full(said: str) -> bool:
    """Providers word it differently, and gateways pass their words on."""
    text = said.lower()
    return any(words in text for words in ("context length", "context window", "prompt is too long", "too many tokens"))


def _retry_after(error: Any) -> float | None:
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), 600.0)


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
