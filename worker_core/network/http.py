"""The one place that knows httpx2: clients, TLS, proxies, pooled connections, and what their failures mean."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from worker_core import __version__
from worker_core.control_plane.errors import AnswerTooLong, ControlPlaneError, ServerTrouble, Unreachable
from worker_core.errors import ConfigurationError
from worker_core.network.named_proxy import named_proxy, usable_proxy

USER_AGENT = f"kubiya-worker/{__version__}"

CONNECT_LIMIT_SECONDS = 5.0
TOTAL_LIMIT_SECONDS = 10.0
"""Default limit of one call, from the first byte out to the last byte in."""

IDLE_LIMIT_SECONDS = 55.0
"""Idle connections are dropped before the usual load balancer (60 s) drops them."""

ANSWER_LIMIT_BYTES = 32 << 20
"""Of one answer. The largest are stored conversations: ours never pass 2 MB, other workers' may."""

REFUSAL_LIMIT_BYTES = 256 << 10
"""What is read of an answer that is a refusal: its words stand at the beginning."""

AGE_LIMIT_SECONDS = 15 * 60.0
"""Connections are renewed after this, busy or not, so that DNS and balancer changes are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP response, read to its end. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def tls_context(url: str, *, ca_file: Path | None = None) -> ssl.SSLContext:
    """The system's trust store plus `ca_file`. For http:// an empty context, since loading authorities costs 20-50 ms.

    Raises:
        ConfigurationError: `ca_file` cannot be read or is not PEM.
    """
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"The certificate file {ca_file} cannot be used ({error}); ca_file must name a PEM file."
            ) from error
    return context


def proxy_of(url: str) -> str:
    """`host:port` of the proxy that the environment or the system names for `url`, or an empty text."""
    named = named_proxy(url)
    return named.address if named is not None else ""


def new_client(
    *,
    base_url: str,
    ca_file: Path | None = None,
    context: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
    max_connections: int = 50,
    proxies: bool = True,
    takes_compressed: bool = False,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """An httpx2 client with this program's limits, TLS, proxies and User-Agent. The caller closes it, and bounds what
    it reads.

    Args:
        base_url: scheme and host, with or without a path; decides about TLS and proxies (none for loopback).
        ca_file: PEM file of additional authorities; unused where `context` is given.
        context: a TLS context to share between clients.
        headers: sent with every request.
        max_connections: at the same time.
        proxies: use those of the environment.
        takes_compressed: the caller unpacks, within bounds. Otherwise nothing compressed is asked for, and what is
            compressed all the same counts as unreadable: a few bytes could become a memory full.
        transport: for tests.

    Raises:
        ConfigurationError: `ca_file` cannot be used, or the proxy.
    """
    return httpx2.AsyncClient(
        base_url=base_url,
        verify=context or tls_context(base_url, ca_file=ca_file),
        timeout=httpx2.Timeout(TOTAL_LIMIT_SECONDS, connect=CONNECT_LIMIT_SECONDS),
        limits=httpx2.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=IDLE_LIMIT_SECONDS,
        ),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})},
        event_hooks={"response": [] if takes_compressed else [_refuse_compressed]},
        proxy=_through(base_url) if proxies else None,
        trust_env=False,  # which proxy is used is decided in one way for everybody
        follow_redirects=False,
        transport=transport,
    )


def _through(url: str) -> httpx2.Proxy | None:
    named = usable_proxy(url)
    if named is None:
        return None
    credentials = (named.user, named.password.reveal()) if named.user else None
    return httpx2.Proxy(f"{named.scheme}://{named.address}", auth=credentials)


async def _refuse_compressed(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise httpx2.DecodingError("it is compressed, which was not asked for", request=response.request)


async def read_body(response: httpx2.Response, *, limit_bytes: int) -> bytes:
    """The body of an answer, or as much of its beginning as shows that it is longer than `limit_bytes`."""
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > limit_bytes:
            break
    return bytes(content)


class Connections:
    """A pool of connections to one server that can be dropped as a whole at any moment.

    The pool is made at the first call. A dropped pool ends when its last call has ended.
    """

    def __init__(
        self,
        *,
        base_url: str,
        headers: Callable[[], Mapping[str, str]],
        ca_file: Path | None = None,
        max_connections: int = 50,
        called: str = "control plane",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`called` is what the server is for people.

        Raises:
            ConfigurationError: the proxy that is named for it cannot be used.
        """
        usable_proxy(base_url)
        self._called = called
        self._base_url = base_url
        self._headers = headers
        self._ca_file = ca_file
        self._max_connections = max_connections
        self._clock = clock
        self._current: _Pool | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.server = urlsplit(base_url).netloc

    async def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
        limit_seconds: float = TOTAL_LIMIT_SECONDS,
    ) -> Answer:
        """One call.

        Raises:
            Unreachable: no answer came.
            AnswerTooLong: it is longer than any may be.
            ServerTrouble: what came is no HTTP.
        """
        headers = dict(self._headers())
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._lease() as client:
                async with (
                    asyncio.timeout(limit_seconds),
                    client.stream(
                        method,
                        path,
                        content=content,
                        params=query,
                        headers=headers,
                        timeout=httpx2.Timeout(limit_seconds, connect=min(CONNECT_LIMIT_SECONDS, limit_seconds)),
                    ) as response,
                ):
                    status = response.status_code
                    limit = REFUSAL_LIMIT_BYTES if status >= 400 else ANSWER_LIMIT_BYTES
                    body = await read_body(response, limit_bytes=limit)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._explain(error, action=action, limit_seconds=limit_seconds) from error
        if len(body) > limit and status < 400:
            raise AnswerTooLong(
                f"The answer of {self.server} to {action} is longer than {limit >> 20} MB; it was not read to its end."
            )
        return Answer(status=status, headers=response.headers, content=body)

    @asynccontextmanager
    async def stream(
        self, path: str, *, action: str, headers: Mapping[str, str], query: Mapping[str, str], silence_seconds: float
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """A GET whose body is read as it comes; the Answer's content is filled only for statuses from 400 up.

        Raises:
            Unreachable: no answer came, or it broke off, or nothing came for `silence_seconds`.
            ServerTrouble: what came is no HTTP.
        """
        timeout = httpx2.Timeout(silence_seconds, connect=CONNECT_LIMIT_SECONDS)
        all_headers = {**self._headers(), **headers}
        try:
            with self._lease() as client:
                async with client.stream("GET", path, params=query, headers=all_headers, timeout=timeout) as response:
                    refused = response.status_code >= 400
                    content = await read_body(response, limit_bytes=REFUSAL_LIMIT_BYTES) if refused else b""
                    answer = Answer(status=response.status_code, headers=response.headers, content=content)
                    yield answer, response.aiter_bytes()
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise self._explain(error, action=action, limit_seconds=silence_seconds) from error

    def reset(self) -> None:
        """Let the next call begin on a new connection; calls under way end on their old ones."""
        pool, self._current = self._current, None
        if pool is not None:
            pool.retired = True
            if pool.users == 0:
                self._end(pool)

    async def aclose(self) -> None:
        self.reset()
        if self._ending:
            await asyncio.gather(*self._ending)

    @contextmanager
    def _lease(self) -> Iterator[httpx2.AsyncClient]:
        pool = self._current
        if pool is not None and self._clock() - pool.born_at > AGE_LIMIT_SECONDS:
            self.reset()
            pool = None
        if pool is None:
            client = new_client(base_url=self._base_url, ca_file=self._ca_file, max_connections=self._max_connections)
            pool = self._current = _Pool(client=client, born_at=self._clock())
        pool.users += 1
        try:
            yield pool.client
        finally:
            pool.users -= 1
            if pool.retired and pool.users == 0:
                self._end(pool)

    def _end(self, pool: _Pool) -> None:
        task = asyncio.get_running_loop().create_task(pool.client.aclose())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _explain(self, error: Exception, *, action: str, limit_seconds: float) -> ControlPlaneError:
        return explain(
            error,
            action=action,
            server=self.server,
            proxy=proxy_of(self._base_url),
            limit_seconds=limit_seconds,
            called=self._called,
        )


@dataclass(slots=True, kw_only=True)
class _Pool:
    client: httpx2.AsyncClient
    born_at: float
    users: int = 0
    retired: bool = False


def explain(
    error: Exception, *, action: str, server: str, proxy: str, limit_seconds: float, called: str
) -> ControlPlaneError:
    """The sentence for a failure below HTTP: where it happened and what to look at."""
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or str(cause)
            return Unreachable(
                f"The certificate of the {called} {server} cannot be trusted ({why}). If your organization has "
                "its own certificate authority, name its PEM file in the ca_file setting (KUBIYA_WORKER_CA_FILE)."
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            return Unreachable(
                f"TLS with the {called} {server} failed ({cause.reason or cause}). Check the port, and whether "
                "the URL must begin with http:// instead."
            )
    if isinstance(error, httpx2.ProxyError) or (
        proxy and isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
    ):
        return Unreachable(
            f"The proxy {proxy} did not let us through to the {called} {server} ({_innermost(causes)}). "
            "Check HTTPS_PROXY and NO_PROXY, and the proxy's own rules."
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unreachable(
            f"The name of the {called} {server} cannot be resolved. Check the network, DNS, and the URL's spelling."
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable(f"The {called} {server} refused the connection: nothing listens there.")
    match error:
        case httpx2.ConnectTimeout():
            return Unreachable(
                f"No connection to the {called} {server} came about within {CONNECT_LIMIT_SECONDS:g} s. "
                "Check the network, firewalls, and the URL's scheme and port."
            )
        case httpx2.TimeoutException() | TimeoutError():
            return Unreachable(f"The {called} {server} did not answer {action} within {limit_seconds:g} s.")
        case httpx2.ConnectError():
            return Unreachable(f"The {called} {server} cannot be reached ({_innermost(causes)}).")
        case httpx2.RemoteProtocolError() if not _broken_off(error):
            return ServerTrouble(f"{server} does not speak HTTP as a {called} does ({error}). Check the URL.")
        case httpx2.DecodingError() | httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError():
            return ServerTrouble(f"The answer of {server} to {action} cannot be read ({error}).")
        case _:
            return Unreachable(f"The {called} {server} broke off the connection during {action}.")


def _broken_off(error: httpx2.RemoteProtocolError) -> bool:
    text = str(error).lower()
    return "disconnected" in text or "closed" in text


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it, groups included."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        waiting.extend(cause for cause in (one.__cause__, one.__context__) if cause is not None)


def _innermost(causes: tuple[BaseException, ...]) -> str:
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(causes[0]) or type(causes[0]).__name__
