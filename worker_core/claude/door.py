"""The only way to the model: an HTTP server on the loopback interface that adds the key.

Whoever finds it without its password is turned away; with it, two paths of Anthropic's API can be called and nothing
else. It belongs to one turn and closes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from worker_core.basics.tasks import TaskKeeper
from worker_core.claude.metering import UsageMeter
from worker_core.errors import KubiyaError
from worker_core.model.answer import Usage
from worker_core.model.gateway import STREAM_SILENCE_LIMIT_SECONDS, ModelGateway, redirected

log = logging.getLogger(__name__)

PATHS: Final = ("/v1/messages", "/v1/messages/count_tokens")
HEAD_LIMIT_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 30
BODY_LIMIT_BYTES: Final = 64 * 1024 * 1024
MOST_CONNECTIONS: Final = 32
_PASSED_ON: Final = ("content-type", "accept", "anthropic-version", "anthropic-beta")
_PASSED_BACK: Final = ("content-type", "retry-after", "request-id", "x-should-retry")


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ModelDoor:
    """Serves while it is entered.

    Args:
        gateway: whose address, key and trust it uses.
        before_request: awaited before each request goes out, e.g. while an execution is paused. What it raises, a
            `KubiyaError`, is the answer instead.
        after_request: awaited after each call of the model, with what it took and the model's name.
    """

    def __init__(
        self,
        gateway: ModelGateway,
        *,
        before_request: Callable[[], Awaitable[None]],
        after_request: Callable[[Usage, str], Awaitable[None]] | None = None,
    ) -> None:
        self._gateway = gateway
        self._before_request = before_request
        self._after_request = after_request
        self._server: asyncio.Server | None = None
        self._serving = TaskKeeper()
        self.password = secrets.token_urlsafe(32)
        self.failure = ""
        """What the gateway or the way to it said last, where that was an error."""

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._client = await asyncio.to_thread(self._gateway.make_http_client)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_LIMIT_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._serving.end(limit=timedelta(seconds=1))
        await self._client.aclose()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            if len(self._serving) > MOST_CONNECTIONS:
                return
            await self._answer(reader, writer)
        except _Refused as refusal:
            await _say(writer, refusal.status, str(refusal))
        except (ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _say(writer, 400, "This is no request to Anthropic's API.")
        except OSError as error:
            log.debug("A model call of Claude Code broke off: %s", error)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head[:-4].split("\r\n")
            method, target, _ = first.split(" ")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            path, _, query = target.removeprefix(f"http://{headers.get('host', '')}").partition("?")
            self._check(method, path, headers)
            body = await reader.readexactly(_length(headers))
        try:
            await self._before_request()
        except KubiyaError as error:
            self.failure = error.sentence
            raise _Refused(400, self.failure) from error  # a status that the program does not try again
        await self._relay(f"{path}?{query}" if query else path, headers, body, writer)

    def _check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.password.encode()):
            raise _Refused(401, "This door needs its password.")
        if method != "POST" or path not in PATHS:
            raise _Refused(404, "There is nothing here.")

    async def _relay(self, path: str, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        kept = {name: headers[name] for name in _PASSED_ON if name in headers}
        begun, meter = False, None
        try:
            async with self._client.stream(
                "POST", self._gateway.anthropic_base + path, content=body, headers=kept | self._gateway.authorization()
            ) as answer:
                if answer.is_redirect:
                    self.failure = redirected(
                        self._gateway.base_url, answer.status_code, answer.headers.get("location", "")
                    )
                    raise _Refused(400, self.failure)  # a status that the program does not try again
                known = [f"{name}: {answer.headers[name]}" for name in _PASSED_BACK if name in answer.headers]
                status = f"HTTP/1.1 {answer.status_code} {answer.reason_phrase or 'Status'}"
                writer.write("\r\n".join([status, *known, "Connection: close", "", ""]).encode("latin-1"))
                begun = True
                said = b""
                if path.partition("?")[0] == PATHS[0] and answer.status_code < 400:
                    meter = UsageMeter(answer.headers.get("content-type", ""))
                async for block in answer.aiter_bytes():
                    if meter is not None:
                        meter.feed(block)
                    writer.write(block)
                    await writer.drain()
                    if answer.status_code >= 400 and len(said) < HEAD_LIMIT_BYTES:
                        said += block
                self.failure = _sentence(answer.status_code, said) if answer.status_code >= 400 else ""
        except (OSError, _Refused):
            raise
        except Exception as error:
            self.failure = f"The LLM gateway cannot be reached ({type(error).__name__}): {error}".rstrip(": ") + "."
            if not begun:
                raise _Refused(502, self.failure) from error
            raise OSError(str(error)) from error
        finally:
            if meter is not None and self._after_request is not None:
                await self._after_request(meter.usage(), meter.model)


def _length(headers: Mapping[str, str]) -> int:
    length = int(headers.get("content-length", ""))
    if not 0 <= length <= BODY_LIMIT_BYTES:
        raise _Refused(413, "The request is too large.")
    return length


def _sentence(status: int, body: bytes) -> str:
    said = ""
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
        error = json.loads(body)["error"]
        said = str(error.get("message") or "")
    return f"The LLM gateway answered {status}: {said[:500]}" if said else f"The LLM gateway answered {status}."


async def _say(writer: asyncio.StreamWriter, status: int, sentence: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": "api_error", "message": sentence}}).encode()
    head = f"HTTP/1.1 {status} Error\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(head.encode("ascii") + b"Connection: close\r\n\r\n" + body)
        async with asyncio.timeout(STREAM_SILENCE_LIMIT_SECONDS):
            await writer.drain()
