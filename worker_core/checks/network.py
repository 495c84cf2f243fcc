"""What is asked of the network. Nothing here registers a worker or changes anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from worker_core.basics import foreign_json
from worker_core.basics.plain import one_line
from worker_core.checks.check import Check, fail, ok, skip, timed, warn
from worker_core.checks.reach import CONNECT_LIMIT_SECONDS, ProxyRefused, opened
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.connections import Connections
from worker_core.control_plane.errors import ControlPlaneError, CredentialsRefused, NotFound
from worker_core.errors import ConfigurationError
from worker_core.network.hosts import is_loopback
from worker_core.network.http import proxy_of, tls_context
from worker_core.network.named_proxy import usable_proxy
from worker_core.network.tls import uses_tls
from worker_core.network.urls import check_private
from worker_core.secrets import Secret
from worker_core.settings import Settings

LOOK_UP_LIMIT_SECONDS: Final = 5.0
MOST_HOSTS: Final = 20
SKEW_WARN: Final = timedelta(seconds=30)
SKEW_FAIL: Final = timedelta(minutes=5)
"""TLS and tokens of limited life begin to fail about there."""

CERTIFICATE_WARN: Final = timedelta(days=14)


async def proxy(settings: Settings) -> Check:
    """Whether the proxy that the control plane is reached through answers, if there is one."""
    named = usable_proxy(settings.control_plane_url)
    if named is None:
        return ok("proxy", "None is used for the control plane.")
    try:
        async with asyncio.timeout(CONNECT_LIMIT_SECONDS):
            _, writer = await asyncio.open_connection(named.host, named.port)
        writer.transport.abort()
    except (OSError, TimeoutError) as error:
        return fail(
            "proxy", f"{named.address} does not answer ({_why(error)}).", "Check the setting `proxy`, or HTTPS_PROXY."
        )
    return ok("proxy", f"{named.address} is used for the control plane, and answers.")


async def dns(settings: Settings) -> Check:
    host = urlsplit(settings.control_plane_url).hostname or ""
    if proxy_of(settings.control_plane_url):
        return skip("DNS", f"The proxy looks up {host}.")
    try:
        async with asyncio.timeout(LOOK_UP_LIMIT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        return fail("DNS", f"{host} cannot be resolved ({_why(error)}).", "Check the network, DNS, and the spelling.")
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ok("DNS", f"{host} is {', '.join(addresses[:3])}.")


async def tls(settings: Settings) -> Check:
    parts = urlsplit(settings.control_plane_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "http":
        if is_loopback(host):
            return ok("TLS", "Not used: the control plane is on this machine.")
        if settings.allow_http:
            return warn("TLS", f"Not used: your key travels to {host} in plain text.", "Use an https:// URL.")
        return fail("TLS", f"Not used: no key goes to {host} in plain text.", "Use an https:// URL.")
    try:
        context = tls_context(settings.control_plane_url, ca_file=settings.ca_file)
        certificate = await _certificate(host, port, context)
    except ProxyRefused as error:
        return fail("TLS", f"No connection to {host}:{port}: {error}.", "Check the proxy's own rules.")
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message or str(error)
        return fail(
            "TLS", f"The certificate of {host} cannot be trusted ({why}).", "Name your authority's PEM in --ca-file."
        )
    except (ssl.SSLError, OSError, TimeoutError) as error:
        return fail("TLS", f"No TLS connection to {host}:{port} ({_why(error)}).", "Check firewalls and the port.")
    left = _left(certificate)
    if left is not None and left < CERTIFICATE_WARN:
        return warn("TLS", f"The certificate of {host} ends in {max(left.days, 0)} days.", "Tell who runs it.")
    issuer = _issuer(certificate)
    by = f", issued by {issuer}" if issuer else ""
    return ok("TLS", f"The certificate of {host} is trusted{by}.")


async def health(settings: Settings) -> tuple[Check, str]:
    """Whether the control plane answers, and the Temporal address that it names (a playground does)."""
    connections = Connections(base_url=settings.control_plane_url, headers=dict, ca_file=settings.ca_file)
    server = connections.server
    try:
        answer = await connections.request("GET", "/api/health", action="the health check", limit_seconds=10.0)
        if answer.status != 200:
            return (
                fail(
                    "control plane",
                    f"{server} answered its health check with {answer.status}.",
                    "Check the URL; if it is right, try again later.",
                ),
                "",
            )
        return ok("control plane", f"{server} is healthy."), await _named_temporal(connections)
    except ControlPlaneError as error:
        return fail(
            "control plane",
            error.sentence,
            "Check the URL and what stands above; nothing works without it.",
        ), ""
    finally:
        await connections.aclose()


async def _named_temporal(connections: Connections) -> str:
    with contextlib.suppress(ControlPlaneError, ValueError):
        answer = await connections.request("GET", "/api/ready", action="the readiness check", limit_seconds=5.0)
        raw = foreign_json.loads(answer.content)
        if answer.status == 200 and isinstance(raw, dict) and isinstance(raw.get("temporal_host"), str):
            return str(raw["temporal_host"])
    return ""


async def key_and_clock(settings: Settings, key: Secret, *, source: str, queues: Sequence[str]) -> list[Check]:
    """The API key, the queues, and this machine's clock."""
    try:
        client = ControlPlaneClient.of(settings, key)
    except ConfigurationError as error:
        return [fail("API key", error.sentence, "Use an https:// URL.")]
    try:
        checks = [await timed(_key(client, source))]
        if checks[0].verdict == "ok":
            checks += await asyncio.gather(*(timed(_queue(client, queue_id)) for queue_id in queues))
        checks.append(_clock(client.clock_skew))
        return checks
    finally:
        await client.aclose()


async def _key(client: ControlPlaneClient, source: str) -> Check:
    try:
        who = await client.validate_key()
    except CredentialsRefused as error:
        return fail("API key", error.sentence, "Get a valid key, then: kubiya-worker login")
    except ControlPlaneError as error:
        return skip("API key", f"It could not be checked: {error.sentence}")
    organization = one_line(str(who.get("name") or who.get("slug") or who.get("id") or "an organization"), 100)
    return ok("API key", f"It is from {source}, and is valid for {organization}.")


async def _queue(client: ControlPlaneClient, queue_id: str) -> Check:
    name = "queue"
    try:
        queue = await client.queue(queue_id)
    except NotFound:
        return fail(name, f"There is no worker queue {queue_id}.", "Check the id: kubiya-worker queues")
    except ControlPlaneError as error:
        return fail(name, error.sentence, "Check the id: kubiya-worker queues")
    shown = f"{one_line(queue.name, 60)} ({queue_id})"
    if queue.status and queue.status != "active":
        return fail(name, f"{shown} is {one_line(queue.status, 40)}.", "Activate it on the control plane.")
    workers = f"{queue.active_workers} active worker{'' if queue.active_workers == 1 else 's'}"
    if queue.max_workers is not None and queue.active_workers >= queue.max_workers:
        return warn(name, f"{shown} has {workers}, its limit.", "Raise the limit on the control plane.")
    return ok(name, f"{shown} is active, with {workers}.")


def _clock(skew: timedelta | None) -> Check:
    if skew is None:
        return skip("clock", "It could not be compared: the control plane did not say its time.")
    seconds = abs(skew.total_seconds())
    direction = "behind" if skew > timedelta(0) else "ahead of"
    if seconds < 2:
        return ok("clock", "It agrees with the control plane's to the second.")
    said = f"It is {seconds:.0f} s {direction} the control plane's."
    repair = "Let the system keep its time: `timedatectl set-ntp true`, or the date settings."
    if seconds >= SKEW_FAIL.total_seconds():
        return fail("clock", said, repair)
    return warn("clock", said, repair) if seconds >= SKEW_WARN.total_seconds() else ok("clock", said)


async def temporal(settings: Settings, address: str) -> Check:
    """Whether Temporal's port answers, with TLS where it is used."""
    if not address:
        return skip(
            "Temporal",
            "Its address is told at registration alone. Name it with --temporal-host to have it checked.",
        )
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname or "", parts.port or 7233
    except ValueError:
        return fail("Temporal", f"{address} is no address.", "Give it as HOST:PORT.")
    surely = uses_tls(address, mode=settings.temporal_tls, has_key=False)
    if not surely and not uses_tls(address, mode=settings.temporal_tls, has_key=True):
        return await _reached(settings, host, port, with_tls=False)
    encrypted = await _reached(settings, host, port, with_tls=True)
    if surely or encrypted.verdict == "ok":
        return encrypted
    # Whether the control plane gives a key for it is told at registration alone; with one, the worker uses TLS.
    plain = await _reached(settings, host, port, with_tls=False)
    if plain.verdict != "ok":
        return encrypted
    return warn(
        "Temporal",
        f"{address} answers, but not with TLS, which the worker uses there if the control plane gives it a key.",
        "If TLS is right, check the port and --ca-file; if not, say so: --temporal-tls off.",
    )


async def _reached(settings: Settings, host: str, port: int, *, with_tls: bool) -> Check:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        context = tls_context(f"https://{host}", ca_file=settings.ca_file) if with_tls else None
        if context is not None:
            context.set_alpn_protocols(["h2"])
        async with opened(host, port, context=context):
            pass
    except (OSError, TimeoutError) as error:
        return fail(
            "Temporal",
            f"{address} cannot be reached {'with' if with_tls else 'without'} TLS ({_why(error)}).",
            "Let outgoing connections to it through the firewall; check --temporal-tls and --ca-file.",
        )
    return ok("Temporal", f"{address} answers{' with TLS' if with_tls else ''}.")


async def gateway(settings: Settings) -> Check:
    """Whether the model gateway answers, and takes the key where this machine has one of its own."""
    name, url, key = "model gateway", settings.llm_base_url, settings.llm_api_key
    if not url:
        return skip(name, "Its address is told at registration alone. Name it in `llm_base_url` to have it checked.")
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    connections = Connections(base_url=url, headers=lambda: headers, ca_file=settings.ca_file, called="model gateway")
    try:
        if key:
            check_private(url, whose=name, allow_http=settings.allow_http)
        answer = await connections.request("GET", "/models", action="the list of models", limit_seconds=10.0)
    except (ControlPlaneError, ConfigurationError) as error:
        return fail(name, error.sentence, "Check LITELLM_API_BASE, or leave it empty.")
    finally:
        await connections.aclose()
    if key and answer.status in {401, 403}:
        return fail(name, f"{connections.server} refused the key.", "Check LITELLM_API_KEY.")
    if answer.status >= 500:
        return warn(name, f"{connections.server} answered with {answer.status}.", "Try again later.")
    if key and answer.status == 200:
        return ok(name, f"{connections.server} answers, and takes the key of LITELLM_API_KEY.")
    return ok(name, f"{connections.server} answers.")


async def mcp_hosts(settings: Settings) -> Check:
    """Whether a connection to each host of `mcp_hosts` can be opened; patterns name no host."""
    name = "MCP hosts"
    hosts = [one for one in settings.mcp_hosts if "*" not in one][:MOST_HOSTS]
    if not hosts:
        return skip(name, "No server of your own is named: what agents bring is looked at when they begin.")
    silent = [one for one in await asyncio.gather(*map(_silent, hosts)) if one]
    if silent:
        repair = "Start it, or correct `mcp_hosts`. Agents without it go on without its tools."
        return warn(name, f"{'; '.join(silent)}.", repair)
    return ok(name, f"{', '.join(hosts)} {'answers' if len(hosts) == 1 else 'answer'}.")


async def _silent(host: str) -> str:
    parts = urlsplit(f"//{host}")
    try:
        async with opened(parts.hostname or "", parts.port or 443):
            return ""
    except (OSError, TimeoutError, ValueError) as error:
        return f"{host} does not answer ({_why(error)})"


async def _certificate(host: str, port: int, context: ssl.SSLContext) -> dict[str, Any]:
    async with opened(host, port, context=context) as writer:
        return dict(writer.get_extra_info("peercert") or {})


def _left(certificate: dict[str, Any]) -> timedelta | None:
    try:
        ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    except (KeyError, ValueError):
        return None
    return datetime.fromtimestamp(ends, UTC) - datetime.now(UTC)


def _issuer(certificate: dict[str, Any]) -> str:
    for part in certificate.get("issuer", ()):
        for name, value in part:
            if name == "organizationName":
                return one_line(str(value), 60)
    return ""


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS failed"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text names the address once more
    return one_line(getattr(error, "strerror", None) or str(error), 120) or type(error).__name__
