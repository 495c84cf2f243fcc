"""How this program speaks HTTP: limits, TLS, proxies, clients of httpx2, and what failures mean.

httpx2 is loaded when its first client is made: control plane and model gateway are called without (`pool.py`).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core import __version__
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.network.named_proxy import named_proxy, usable_proxy

if TYPE_CHECKING:
    import httpx2

USER_AGENT = f"kubiya-worker/{__version__}"

CONNECT_LIMIT_SECONDS = 5.0
TOTAL_LIMIT_SECONDS = 10.0
"""Default limit of one call, from the first byte out to the last byte in."""

IDLE_LIMIT_SECONDS = 55.0
"""Idle connections are dropped before the usual load balancer (60 s) drops them."""


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
                worded(
                    "The certificate file {file} cannot be used ({why}); ca_file must name a PEM file.",
                    file=str(ca_file),
                    why=str(error),
                )
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
    import httpx2

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
    import httpx2

    named = usable_proxy(url)
    if named is None:
        return None
    credentials = (named.user, named.password.reveal()) if named.user else None
    return httpx2.Proxy(f"{named.scheme}://{named.address}", auth=credentials)


class NoHttpAnswer(Exception):
    """A call over a pool has no answer that could be read; the cause is a `TransportError`, or a `DecodingError`."""


class DecodingError(Exception):
    """A body is packed, which was not asked for."""


def refuse_compressed(headers: Mapping[str, str]) -> None:
    """Look at an answer's headers, by lower-case name.

    Raises:
        DecodingError: its body is packed.
    """
    if headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise DecodingError("it is compressed, which was not asked for")


async def _refuse_compressed(response: httpx2.Response) -> None:
    import httpx2

    try:
        refuse_compressed(response.headers)
    except DecodingError as error:
        raise httpx2.DecodingError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call had no answer that could be read, as a sentence for people."""

    sentence: str
    unreadable: bool = False
    """Something came, and it was no HTTP of ours; otherwise nothing came, or it broke off."""


def explain(error: Exception, *, action: str, server: str, proxy: str, limit_seconds: float, called: str) -> Failure:
    """What a failure below HTTP means: where it happened and what to look at.

    Args:
        error: a `NoHttpAnswer`, or of httpx2, whose errors have the names of our own (`faults.py`).
        action: what was wanted, for people.
        server: its host and port.
        proxy: between, or an empty text.
        limit_seconds: of the call.
        called: what the server is for people.
    """
    causes = tuple(_causes(error))
    if isinstance(error, NoHttpAnswer) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    kinds = {kind.__name__ for kind in type(error).__mro__}
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or str(cause)
            return Failure(
                worded(
                    "The certificate of the {called} {server} cannot be trusted ({why}). If your organization has "
                    "its own certificate authority, name its PEM file in the ca_file setting (KUBIYA_WORKER_CA_FILE).",
                    called=called,
                    server=server,
                    why=why,
                )
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            return Failure(
                worded(
                    "TLS with the {called} {server} failed ({why}). Check the port, and whether the URL must begin "
                    "with http:// instead.",
                    called=called,
                    server=server,
                    why=str(cause.reason or cause),
                )
            )
    if "ProxyError" in kinds or (proxy and kinds & {"ConnectError", "ConnectTimeout"}):
        return Failure(
            worded(
                "The proxy {proxy} did not let us through to the {called} {server} ({why}). Check HTTPS_PROXY and "
                "NO_PROXY, and the proxy's own rules.",
                proxy=proxy,
                called=called,
                server=server,
                why=_innermost(causes),
            )
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Failure(
            worded(
                "The name of the {called} {server} cannot be resolved. Check the network, DNS, and the URL's spelling.",
                called=called,
                server=server,
            )
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Failure(
            worded("The {called} {server} refused the connection: nothing listens there.", called=called, server=server)
        )
    if "ConnectTimeout" in kinds:
        return Failure(
            worded(
                "No connection to the {called} {server} came about within {n} s. Check the network, firewalls, and "
                "the URL's scheme and port.",
                called=called,
                server=server,
                n=CONNECT_LIMIT_SECONDS,
            )
        )
    if kinds & {"TimeoutException", "TimeoutError"}:
        return Failure(
            worded(
                "The {called} {server} did not answer {action} within {n} s.",
                called=called,
                server=server,
                action=action,
                n=limit_seconds,
            )
        )
    if "ConnectError" in kinds:
        return Failure(
            worded(
                "The {called} {server} cannot be reached ({why}).",
                called=called,
                server=server,
                why=_innermost(causes),
            )
        )
    if "RemoteProtocolError" in kinds and not _broken_off(error):
        return Failure(
            worded(
                "{server} does not speak HTTP as a {called} does ({why}). Check the URL.",
                server=server,
                called=called,
                why=str(error),
            ),
            unreadable=True,
        )
    if kinds & {"DecodingError", "InvalidURL", "UnsupportedProtocol", "LocalProtocolError"}:
        return Failure(
            worded(
                "The answer of {server} to {action} cannot be read ({why}).",
                server=server,
                action=action,
                why=str(error),
            ),
            unreadable=True,
        )
    return Failure(
        worded(
            "The {called} {server} broke off the connection during {action}.",
            called=called,
            server=server,
            action=action,
        )
    )


def _broken_off(error: Exception) -> bool:
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
