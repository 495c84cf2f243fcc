"""What is asked of the network. Nothing here registers a worker or changes anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError, CredentialsRefused, NotFound
from worker_core.control_plane.http import Connections, proxy_of, tls_context
from worker_core.examination.checks import Check, fail, ok, skip, warn
from worker_core.logs.plain import one_line
from worker_core.secrets import Secret
from worker_core.settings import Settings, is_loopback

LOOK_UP_LIMIT_SECONDS: Final = 5.0
CONNECT_LIMIT_SECONDS: Final = 8.0
SKEW_WARN: Final = timedelta(seconds=30)
SKEW_FAIL: Final = timedelta(minutes=5)
"""TLS and tokens of limited life begin to fail about there."""

CERTIFICATE_WARN: Final = timedelta(days=14)
_CLOUD: Final = ("tmprl.cloud", "api.temporal.io")


async def proxy(settings: Settings) -> Check:
    named = proxy_of(settings.control_plane_url)
    if not named:
        return ok("proxy", "None is used for the control plane.")
    host, _, port = named.rpartition(":")
    try:
        await _open(host or named, int(port) if port.isdigit() else 3128)
    except (OSError, TimeoutError) as error:
        return fail("proxy", f"{named} does not answer ({_why(error)}).", "Check the setting `proxy`, or HTTPS_PROXY.")
    return ok("proxy", f"{named} is used for the control plane, and answers.")


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
        return warn("TLS", f"Not used: your key travels to {host} in plain text.", "Use an https:// URL.")
    if proxy_of(settings.control_plane_url):
        return skip("TLS", "The connection goes through the proxy; see `control plane`.")
    try:
        context = tls_context(settings.control_plane_url, ca_file=settings.ca_file)
        certificate = await _certificate(host, port, context)
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
    import msgspec

    with contextlib.suppress(ControlPlaneError, msgspec.DecodeError):
        answer = await connections.request("GET", "/api/ready", action="the readiness check", limit_seconds=5.0)
        raw = msgspec.json.decode(answer.content)
        if answer.status == 200 and isinstance(raw, dict) and isinstance(raw.get("temporal_host"), str):
            return str(raw["temporal_host"])
    return ""


async def key_and_clock(settings: Settings, key: Secret, *, source: str, queues: Sequence[str]) -> list[Check]:
    """The API key, the queues, and this machine's clock."""
    client = ControlPlaneClient(base_url=settings.control_plane_url, api_key=key, ca_file=settings.ca_file)
    try:
        checks = [await _key(client, source)]
        if checks[0].verdict == "ok":
            checks += await asyncio.gather(*(_queue(client, queue_id) for queue_id in queues))
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
    if not is_loopback(host) and proxy_of(f"https://{host}"):
        return skip("Temporal", f"{address} is reached through the proxy {proxy_of(f'https://{host}')}.")
    cloud = any(part in host for part in _CLOUD)
    with_tls = settings.temporal_tls == "on" or (settings.temporal_tls == "auto" and cloud)
    try:
        if with_tls:
            context = tls_context(f"https://{host}", ca_file=settings.ca_file)
            context.set_alpn_protocols(["h2"])
            await _certificate(host, port, context)
        else:
            await _open(host, port)
    except (OSError, TimeoutError) as error:
        return fail(
            "Temporal",
            f"{address} cannot be reached {'with' if with_tls else 'without'} TLS ({_why(error)}).",
            "Let outgoing connections to it through the firewall; check --temporal-tls and --ca-file.",
        )
    return ok("Temporal", f"{address} answers{' with TLS' if with_tls else ''}.")


async def _open(host: str, port: int) -> None:
    async with asyncio.timeout(CONNECT_LIMIT_SECONDS):
        _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _certificate(host: str, port: int, context: ssl.SSLContext) -> dict[str, Any]:
    async with asyncio.timeout(CONNECT_LIMIT_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    certificate = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    return dict(certificate)


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
    return one_line(getattr(error, "strerror", None) or str(error), 120) or type(error).__name__
