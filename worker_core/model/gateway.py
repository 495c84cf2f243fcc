"""The model gateway: any OpenAI-compatible endpoint, streamed.

One call is one request: trying again is for whoever calls, so that each attempt is visible and none repeats silently.
The one exception is a request that was refused for an option's name: it is repeated without that option.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from worker_core.basics import foreign_json
from worker_core.basics.pace import Pace
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError
from worker_core.model import options
from worker_core.model.reader import AnswerReader, StreamedError
from worker_core.model.refusals import Cause, GatewayError, understood
from worker_core.model.said import Said, said_by
from worker_core.network.faults import ReadTimeout, TransportError, WriteTimeout
from worker_core.network.http import NoHttpAnswer, explain, new_client, proxy_of
from worker_core.network.pool import OpenAnswer, Pool
from worker_core.network.sse import LINE_LIMIT_BYTES, NothingSaid, SseParser, StreamTooLong
from worker_core.network.urls import check_private
from worker_core.secrets import Secret, read_key
from worker_core.tracing import spans

if TYPE_CHECKING:
    import httpx2

STREAM_SILENCE_LIMIT_SECONDS: Final = 180.0
"""A stream that says nothing for so long counts as broken off. Reasoning models are silent for a minute or two."""

CONNECT_LIMIT_SECONDS: Final = 15.0
DRAIN_LIMIT_SECONDS: Final = 0.5
"""For the end of the body behind the last event, so that the connection can be used again."""

LIST_LIMIT_SECONDS: Final = 5.0
PIECE_BYTES: Final = 8192
REFUSAL_LIMIT_BYTES: Final = 1 << 20
DOCUMENT_LIMIT_BYTES: Final = 16 << 20
MOST_CONNECTIONS: Final = 500

_LIMITS: Final = {
    "connect": CONNECT_LIMIT_SECONDS,
    **dict.fromkeys(("read", "write", "pool"), STREAM_SILENCE_LIMIT_SECONDS),
}

_DONE: Final = "[DONE]"
_COST_HEADER: Final = "x-litellm-response-cost"
"""What LiteLLM says of an answer's price, in US dollars, where it knows it before the answer."""
_KEY_MISSING: Final = (
    "There is no key for the LLM gateway: the control plane gave none. Set LITELLM_API_KEY, or configure the gateway "
    "on the control plane."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What the model is asked. `messages` in the shape of chat completions; `tools` as `Persona.tools` has them."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


class ModelGateway:
    """One endpoint with its key. Cheap to make; its pool of connections is made at the first call."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Secret,
        ca_file: Path | None = None,
        allow_http: bool = False,
        traced: bool = False,
    ) -> None:
        """With `allow_http`, the setting, its key may go to other machines unencrypted. With `traced`, it is told which
        trace a request belongs to.
        """
        self._traced = traced
        self.base_url = base_url
        self._allow_http = allow_http
        self._api_key = Secret(api_key.reveal().strip())
        self._ca_file = ca_file
        self._pool: Pool | None = None
        self._preparing = asyncio.Lock()
        self._left_out: dict[str, set[str]] = {}
        """By model, what it refused: an option's name, or `_OPAQUE`."""

        self._models: frozenset[str] | None = None

    def serves(self, base_url: str, api_key: Secret) -> bool:
        """Whether this gateway was made for the same endpoint and key."""
        return base_url == self.base_url and api_key.reveal().strip() == self._api_key.reveal()

    async def prepare(self) -> Pool:
        """Make the pool (in a thread: loading certificate authorities takes a moment), once.

        Raises:
            GatewayError: there is no key, or the proxy or the file of certificate authorities cannot be used.
        """
        async with self._preparing:
            if self._pool is None:
                if not self._api_key:
                    raise GatewayError(_KEY_MISSING, cause=Cause.KEY, category="configuration")
                try:
                    self._pool = await asyncio.to_thread(self._made_pool)
                except ConfigurationError as error:
                    raise GatewayError(error.sentence, cause=Cause.REQUEST, category="configuration") from error
                except NoHttpAnswer as error:
                    raise self._unreachable(error, begun=False) from error
        return self._pool

    @property
    def anthropic_base(self) -> str:
        """Where Anthropic's paths begin, `/v1` among them (protocol, section 10)."""
        return self.base_url.rstrip("/").removesuffix("/v1")

    def authorization(self) -> dict[str, str]:
        """Headers that carry the key, in both forms that gateways take."""
        key = self._api_key.reveal()
        return {"Authorization": f"Bearer {key}", "x-api-key": key}

    def make_http_client(self) -> httpx2.AsyncClient:
        """A client with this gateway's trust, for a loop of its own. It loads for a moment: call it in a thread.

        Raises:
            ConfigurationError: its key cannot be one, or would go out unencrypted; the proxy or the authorities cannot
                be used.
        """
        import httpx2

        self._check()
        client = new_client(base_url=self.base_url, ca_file=self._ca_file, max_connections=MOST_CONNECTIONS)
        client.timeout = httpx2.Timeout(STREAM_SILENCE_LIMIT_SECONDS, connect=CONNECT_LIMIT_SECONDS)
        return client

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def lists(self, model: str) -> bool:
        """Whether the gateway has a model by just this name, as far as it says so: asked once."""
        if self._models is None:
            pool = await self.prepare()
            try:
                async with (
                    asyncio.timeout(LIST_LIMIT_SECONDS),
                    pool.call("GET", self._path("models"), headers=self._bearer(), timeout=_LIMITS) as answer,
                ):
                    body = await _read(answer.chunks, DOCUMENT_LIMIT_BYTES)
                if not 200 <= answer.status < 300:
                    return False
                self._models = frozenset(str(one["id"]) for one in foreign_json.loads(body)["data"])
            except (NoHttpAnswer, OSError, TimeoutError, ValueError, TypeError, LookupError):
                return False  # a gateway that lists nothing may work all the same
        return model in self._models

    async def stream(
        self, request: ModelRequest, reader: AnswerReader, *, tell: Callable[[str], None]
    ) -> AsyncGenerator[str, None]:
        """Text of one model call as it comes; `reader` has the whole answer when the iterator ends.

        Args:
            request: what is asked.
            reader: a fresh one.
            tell: hears a sentence for each option that had to be left out.

        Raises:
            GatewayError: refused, failed, or broken off before the model finished.
        """
        pool = await self.prepare()
        left_out = self._left_out.setdefault(request.model, set())
        while True:
            try:
                async with aclosing(self._streamed(pool, request, left_out, reader)) as texts:
                    async for text in texts:
                        yield text
            except _Refused as refusal:
                name = _leave_out(refusal.said, request, left_out)
                if not name or reader.begun:
                    raise understood(self._masked(refusal.said), base_url=self.base_url, model=request.model) from None
                left_out.add(name)
                tell(_told(name, request.model))
            else:
                return

    # --- one request --------------------------------------------------------------------------------------

    async def _streamed(
        self, pool: Pool, request: ModelRequest, left_out: set[str], reader: AnswerReader
    ) -> AsyncGenerator[str, None]:
        begun = False
        try:
            async with pool.call(
                "POST",
                self._path("chat/completions"),
                content=foreign_json.encode(_body(request, left_out)),
                headers=self._bearer()
                | {"Content-Type": "application/json", "Accept": "text/event-stream, */*"}
                | (spans.headers() if self._traced else {}),
                timeout=_LIMITS,
            ) as answer:
                if answer.status >= 300:
                    raise await self._refusal(answer)
                begun = True
                reader.priced(answer.headers.get(_COST_HEADER, ""))
                async with aclosing(self._answer(answer, reader)) as texts:
                    async for text in texts:
                        yield text
        except StreamedError as error:
            raise _Refused(said_by(0, error.body, {})) from error
        except (NoHttpAnswer, OSError) as error:
            raise self._unreachable(error, begun=begun) from error

    async def _answer(self, answer: OpenAnswer, reader: AnswerReader) -> AsyncGenerator[str, None]:
        """The body, whether it is a stream of events or one document."""
        blocks = answer.chunks
        first = b""
        async for block in blocks:
            first += block
            if first.strip() or len(first) > LINE_LIMIT_BYTES:
                break
        kind = answer.headers.get("content-type", "")
        if "event-stream" not in kind and first.lstrip()[:1] in {b"{", b"[", b"<"}:
            yield self._document(first + await _read(blocks, DOCUMENT_LIMIT_BYTES), reader)
        else:
            async with aclosing(self._events(first, blocks, reader)) as texts:
                async for text in texts:
                    yield text
        yield reader.finish()

    async def _events(
        self, first: bytes, blocks: AsyncIterator[bytes], reader: AnswerReader
    ) -> AsyncGenerator[str, None]:
        parser, pace = SseParser(), Pace()
        block: bytes | None = first
        while block is not None and not reader.full:
            pace.begin()
            for piece in _pieces(block):
                try:
                    events = parser.feed(piece)
                except NothingSaid as error:
                    raise self._broken_off(str(error)) from error
                except StreamTooLong:
                    reader.cut()  # one event of megabytes: what it holds was meant to be shown at once
                    return
                for event in events:
                    if event.data.strip() == _DONE:
                        with suppress(TimeoutError, TransportError):
                            async with asyncio.timeout(DRAIN_LIMIT_SECONDS):
                                await _read(blocks, REFUSAL_LIMIT_BYTES)
                        return
                    if event.data.strip():
                        yield self._fed(event.data, reader, failed=event.event == "error")
                    await pace.rest()
            block = await anext(blocks, None)
        if not reader.ended and not reader.full:
            raise self._broken_off("the stream ended without a finish reason")

    def _fed(self, data: str, reader: AnswerReader, *, failed: bool) -> str:
        try:
            chunk = json.loads(data)
            if failed and isinstance(chunk, Mapping) and "choices" not in chunk:
                raise StreamedError(chunk)
            return reader.feed(chunk)
        except (ValueError, RecursionError) as error:
            raise GatewayError(
                f"The LLM gateway {self.base_url} sent an answer that is not valid ({_short(error)}).",
                cause=Cause.FAILED,
            ) from error

    def _document(self, body: bytes, reader: AnswerReader) -> str:
        if body.lstrip().startswith(b"<"):
            raise GatewayError(
                f"The LLM gateway {self.base_url} answered with {said_by(200, body[:REFUSAL_LIMIT_BYTES], {}).words} "
                "instead of an answer. Check its address: most end in /v1.",
                cause=Cause.REQUEST,
                category="configuration",
            )
        return self._fed(body.decode("utf-8", "replace"), reader, failed=False)

    # --- failures -----------------------------------------------------------------------------------------

    async def _refusal(self, answer: OpenAnswer) -> Exception:
        if answer.status < 400:
            return GatewayError(
                redirected(self.base_url, answer.status, answer.headers.get("location", "")),
                cause=Cause.REQUEST,
                category="configuration",
            )
        body = await _read(answer.chunks, REFUSAL_LIMIT_BYTES)
        return _Refused(said_by(answer.status, body, answer.headers))

    def _unreachable(self, error: Exception, *, begun: bool) -> GatewayError:
        if isinstance(error.__cause__, ReadTimeout | WriteTimeout):
            return GatewayError(
                f"The LLM gateway {self.base_url} said nothing for {STREAM_SILENCE_LIMIT_SECONDS:g} s.",
                cause=Cause.FAILED,
                category="timeout",
            )
        if begun:
            return self._broken_off(_short(error))
        told = explain(
            error,
            action="a model call",
            server=self.base_url,
            proxy=proxy_of(self.base_url),
            limit_seconds=CONNECT_LIMIT_SECONDS,
            called="LLM gateway",
        )
        return GatewayError(told.sentence, cause=Cause.FAILED, category="network")

    def _broken_off(self, why: str) -> GatewayError:
        return GatewayError(
            f"The LLM gateway {self.base_url} broke off in mid-answer ({why}).", cause=Cause.FAILED, category="network"
        )

    def _masked(self, said: Said) -> Said:
        """Without the key, which some repeat when they refuse it."""
        key = self._api_key.reveal()
        return replace(said, message=said.message.replace(key, "***")) if key else said

    # --- pieces -------------------------------------------------------------------------------------------

    def _made_pool(self) -> Pool:
        """As of `make_http_client`."""
        self._check()
        base = urlsplit(self.base_url)
        return Pool(base_url=f"{base.scheme}://{base.netloc}", ca_file=self._ca_file, max_connections=MOST_CONNECTIONS)

    def _check(self) -> None:
        read_key(self._api_key.reveal(), name="What the control plane gave for the LLM gateway")
        check_private(self.base_url, whose="model gateway", allow_http=self._allow_http)

    def _path(self, path: str) -> str:
        """Under the base URL, whose query stays (Azure's `api-version`)."""
        base = urlsplit(self.base_url)
        return f"{base.path.rstrip('/')}/{path}" + (f"?{base.query}" if base.query else "")

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key.reveal()}"}


class _Refused(Exception):
    def __init__(self, said: Said) -> None:
        super().__init__(said.words)
        self.said = said


_OPAQUE: Final = "what came with the model's earlier answers"


def _body(request: ModelRequest, left_out: set[str]) -> dict[str, Any]:
    sent = {}
    for name, value in request.options.items():
        if name not in left_out:
            sent[name] = value
        elif (other := options.INSTEAD.get(name)) and other not in left_out and other not in request.options:
            sent[other] = value
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_without_opaque(one) for one in request.messages] if _OPAQUE in left_out else request.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        **sent,
    }
    if "stream_options" in left_out:
        del body["stream_options"]
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": {key: tool[key] for key in ("name", "description", "parameters")}}
            for tool in request.tools
        ]
    else:
        body.pop("parallel_tool_calls", None)  # refused where there are no tools
    return body


def _leave_out(said: Said, request: ModelRequest, left_out: set[str]) -> str:
    """What to leave out next time; empty: the refusal is for another reason."""
    sent = [name for name in _body(request, left_out) if name not in {"model", "messages", "stream", "tools"}]
    if name := options.refused_option(said, sent):
        return name
    opaque = {key for message in request.messages for key in _opaque_keys(message)}
    return _OPAQUE if opaque and _OPAQUE not in left_out and options.refuses_opaque(said, opaque) else ""


_MESSAGE_KEYS: Final = frozenset({"role", "content", "tool_calls", "tool_call_id", "name"})
_CALL_KEYS: Final = frozenset({"id", "type", "function"})


def _opaque_keys(message: Mapping[str, Any]) -> Iterable[str]:
    yield from message.keys() - _MESSAGE_KEYS
    for call in message.get("tool_calls") or ():
        yield from call.keys() - _CALL_KEYS


def _without_opaque(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in message.items() if key in _MESSAGE_KEYS}
    if calls := kept.get("tool_calls"):
        kept["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["function"]["name"], "arguments": call["function"]["arguments"]},
            }
            for call in calls
        ]
    return kept


def _told(name: str, model: str) -> str:
    if name == _OPAQUE:
        return f"The model {model} does not take {_OPAQUE}; it is left out."
    if name in options.INSTEAD:
        return f"The model {model} does not take the setting {name}; {options.INSTEAD[name]} is sent instead."
    return f"The model {model} does not take the setting {name}; it is left out."


def _pieces(block: bytes) -> Iterator[bytes]:
    """A block, in pieces that are soon read."""
    return (block[at : at + PIECE_BYTES] for at in range(0, len(block), PIECE_BYTES))


async def _read(blocks: AsyncIterator[bytes], limit: int) -> bytes:
    body = bytearray()
    async for block in blocks:
        body += block
        if len(body) > limit:
            break
    return bytes(body)


def _short(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:100] or type(error).__name__


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
