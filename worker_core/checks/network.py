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
from worker_core.basics.sentences import Worded, worded
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
_CHECK_ID: Final = "Check the id: kubiya-worker queues"
SKEW_WARN: Final = timedelta(seconds=30)
SKEW_FAIL: Final = timedelta(minutes=5)
"""TLS and tokens of limited life begin to fail about there."""

CERTIFICATE_WARN: Final = timedelta(days=14)


async def proxy(settings: Settings) -> Check:
    """Whether the proxy that the control plane is reached through answers, if there is one."""
    named = usable_proxy(settings.control_plane_url)
    if named is None:
        return ok("proxy", worded("None is used for the control plane."))
    try:
        async with asyncio.timeout(CONNECT_LIMIT_SECONDS):
            _, writer = await asyncio.open_connection(named.host, named.port)
        writer.transport.abort()
    except (OSError, TimeoutError) as error:
        return fail(
            "proxy",
            worded("{address} does not answer ({why}).", address=named.address, why=_why(error)),
            worded("Check the setting `proxy`, or HTTPS_PROXY."),
        )
    return ok("proxy", worded("{address} is used for the control plane, and answers.", address=named.address))


async def dns(settings: Settings) -> Check:
    host = urlsplit(settings.control_plane_url).hostname or ""
    if proxy_of(settings.control_plane_url):
        return skip("DNS", worded("The proxy looks up {host}.", host=host))
    try:
        async with asyncio.timeout(LOOK_UP_LIMIT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        said = worded("{host} cannot be resolved ({why}).", host=host, why=_why(error))
        return fail("DNS", said, worded("Check the network, DNS, and the spelling."))
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ok("DNS", worded("{host} is {addresses}.", host=host, addresses=", ".join(addresses[:3])))


async def tls(settings: Settings) -> Check:
    parts = urlsplit(settings.control_plane_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "http":
        if is_loopback(host):
            return ok("TLS", worded("Not used: the control plane is on this machine."))
        if settings.allow_http:
            return warn("TLS", worded("Not used: your key travels to {host} in plain text.", host=host), _use_https())
        return fail("TLS", worded("Not used: no key goes to {host} in plain text.", host=host), _use_https())
    try:
        context = tls_context(settings.control_plane_url, ca_file=settings.ca_file)
        certificate = await _certificate(host, port, context)
    except ProxyRefused as error:
        said = worded("No connection to {host}: {why}.", host=f"{host}:{port}", why=_why(error))
        return fail("TLS", said, worded("Check the proxy's own rules."))
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message or str(error)
        return fail(
            "TLS",
            worded("The certificate of {host} cannot be trusted ({why}).", host=host, why=why),
            "Name your authority's PEM in --ca-file.",
            in_window=worded("Name a PEM file that has your authority in “{setting}”.", setting=_authorities()),
        )
    except (ssl.SSLError, OSError, TimeoutError) as error:
        said = worded("No TLS connection to {host} ({why}).", host=f"{host}:{port}", why=_why(error))
        return fail("TLS", said, worded("Check firewalls and the port."))
    left = _left(certificate)
    if left is not None and left < CERTIFICATE_WARN:
        said = worded("The certificate of {host} ends in {n} days.", host=host, n=max(left.days, 0))
        return warn("TLS", said, worded("Tell who runs it."))
    issuer = _issuer(certificate)
    return ok(
        "TLS",
        worded("The certificate of {host} is trusted, issued by {issuer}.", host=host, issuer=issuer)
        if issuer
        else worded("The certificate of {host} is trusted.", host=host),
    )


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
                    worded(
                        "{server} answered its health check with {status}.", server=server, status=str(answer.status)
                    ),
                    worded("Check the URL; if it is right, try again later."),
                ),
                "",
            )
        return ok("control plane", worded("{server} is healthy.", server=server)), await _named_temporal(connections)
    except ControlPlaneError as error:
        return fail(
            "control plane",
            error,
            worded("Check the URL and what stands above; nothing works without it."),
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
        return [fail("API key", error, _use_https())]
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
        in_window = worded("Enter a valid key above.")
        return fail("API key", error, "Get a valid key, then: kubiya-worker login", in_window=in_window)
    except ControlPlaneError as error:
        return skip("API key", worded("It could not be checked: {why}", why=error.said))
    named = one_line(str(who.get("name") or who.get("slug") or who.get("id") or ""), 100)
    organization = named or worded("an organization")
    said = worded("It is from {source}, and is valid for {organization}.", source=source, organization=organization)
    return ok("API key", said)


async def _queue(client: ControlPlaneClient, queue_id: str) -> Check:
    name = "queue"
    try:
        queue = await client.queue(queue_id)
    except NotFound:
        said = worded("There is no worker queue {id}.", id=queue_id)
        return fail(name, said, _CHECK_ID, in_window=worded("Choose another queue."))
    except ControlPlaneError as error:
        return fail(name, error, _CHECK_ID, in_window=worded("Choose another queue."))
    shown = f"{one_line(queue.name, 60)} ({queue_id})"
    if queue.status and queue.status != "active":
        said = worded("{queue} is {status}.", queue=shown, status=one_line(queue.status, 40))
        return fail(name, said, worded("Activate it on the control plane."))
    count = queue.active_workers
    workers = worded("1 active worker") if count == 1 else worded("{n} active workers", n=count)
    if queue.max_workers is not None and count >= queue.max_workers:
        said = worded("{queue} has {workers}, its limit.", queue=shown, workers=workers)
        return warn(name, said, worded("Raise the limit on the control plane."))
    return ok(name, worded("{queue} is active, with {workers}.", queue=shown, workers=workers))


def _clock(skew: timedelta | None) -> Check:
    if skew is None:
        return skip("clock", worded("It could not be compared: the control plane did not say its time."))
    seconds = abs(skew.total_seconds())
    if seconds < 2:
        return ok("clock", worded("It agrees with the control plane's to the second."))
    said = (
        worded("It is {n} s behind the control plane's.", n=round(seconds))
        if skew > timedelta(0)
        else worded("It is {n} s ahead of the control plane's.", n=round(seconds))
    )
    repair = "Let the system keep its time: `timedatectl set-ntp true`, or the date settings."
    in_window = worded("Let the system keep its time, in its date settings.")
    if seconds >= SKEW_FAIL.total_seconds():
        return fail("clock", said, repair, in_window=in_window)
    return (
        warn("clock", said, repair, in_window=in_window) if seconds >= SKEW_WARN.total_seconds() else ok("clock", said)
    )


async def temporal(settings: Settings, address: str) -> Check:
    """Whether Temporal's port answers, with TLS where it is used."""
    if not address:
        return skip(
            "Temporal",
            worded("Its address is told at registration alone. Name it with --temporal-host to have it checked."),
        )
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname or "", parts.port or 7233
    except ValueError:
        return fail("Temporal", worded("{address} is no address.", address=address), worded("Give it as HOST:PORT."))
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
        worded(
            "{address} answers, but not with TLS, which the worker uses there if the control plane gives it a key.",
            address=address,
        ),
        "If TLS is right, check the port and --ca-file; if not, say so: --temporal-tls off.",
        in_window=worded(
            "If TLS is right, check the port and “{setting}”; if not, switch “{tls}” off.",
            setting=_authorities(),
            tls=worded("TLS to Temporal"),
        ),
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
            worded("{address} cannot be reached with TLS ({why}).", address=address, why=_why(error))
            if with_tls
            else worded("{address} cannot be reached without TLS ({why}).", address=address, why=_why(error)),
            "Let outgoing connections to it through the firewall; check --temporal-tls and --ca-file.",
            in_window=worded(
                "Let outgoing connections to it through the firewall; check “{tls}” and “{setting}”.",
                tls=worded("TLS to Temporal"),
                setting=_authorities(),
            ),
        )
    return ok(
        "Temporal",
        worded("{address} answers with TLS.", address=address)
        if with_tls
        else worded("{address} answers.", address=address),
    )


async def gateway(settings: Settings) -> Check:
    """Whether the model gateway answers, and takes the key where this machine has one of its own."""
    name, url, key = "model gateway", settings.llm_base_url, settings.llm_api_key
    if not url:
        return skip(
            name, worded("Its address is told at registration alone. Name it in `llm_base_url` to have it checked.")
        )
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    connections = Connections(base_url=url, headers=lambda: headers, ca_file=settings.ca_file, called="model gateway")
    server = connections.server
    try:
        if key:
            check_private(url, whose=name, allow_http=settings.allow_http)
        answer = await connections.request("GET", "/models", action="the list of models", limit_seconds=10.0)
    except (ControlPlaneError, ConfigurationError) as error:
        return fail(name, error, worded("Check LITELLM_API_BASE, or leave it empty."))
    finally:
        await connections.aclose()
    if key and answer.status in {401, 403}:
        return fail(name, worded("{server} refused the key.", server=server), worded("Check LITELLM_API_KEY."))
    if answer.status >= 500:
        said = worded("{server} answered with {status}.", server=server, status=str(answer.status))
        return warn(name, said, worded("Try again later."))
    if key and answer.status == 200:
        return ok(name, worded("{server} answers, and takes the key of LITELLM_API_KEY.", server=server))
    return ok(name, worded("{address} answers.", address=server))


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


def _authorities() -> str:
    """As the setting is called in a window."""
    return worded("Certificate authorities")


def _use_https() -> str:
    return worded("Use an https:// URL.")


def _why(error: BaseException) -> str:
    if error.args and isinstance(error.args[0], Worded):
        return error.args[0]
    if isinstance(error, TimeoutError):
        return worded("no answer in time")
    if isinstance(error, ssl.SSLError):
        return error.reason or worded("TLS failed")
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text names the address once more
    return one_line(getattr(error, "strerror", None) or str(error), 120) or type(error).__name__
