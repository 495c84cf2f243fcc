"""How the worker connects to Temporal: TLS, key, authorities, proxy; one client per namespace."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from temporalio.client import Client, HttpConnectProxyConfig, KeepAliveConfig, TLSConfig
from temporalio.runtime import (
    BufferedMetricUpdate,
    MetricBuffer,
    MetricBufferDurationFormat,
    Runtime,
    TelemetryConfig,
)

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError, ExitCode, KubiyaError
from worker_core.network.named_proxy import named_proxy
from worker_core.network.tls import uses_tls
from worker_core.secrets import Secret, read_key
from worker_core.settings import TlsMode
from worker_core.snapshot import SdkView
from worker_core.temporal.converter import data_converter
from worker_core.temporal.core_log import forwarded
from worker_core.temporal.telemetry import Telemetry

if TYPE_CHECKING:
    from worker_core.temporal.series import Metric, SdkSeries

log = logging.getLogger(__name__)

CONNECT_LIMIT = timedelta(seconds=10)
BUFFERED_UPDATES = 20_000
"""Updates of SDK metrics between two drains; each takes about 100 bytes, whether used or not."""


_Result = TypeVar("_Result")


class TemporalUnreachable(KubiyaError):
    """Temporal did not answer or refused the connection.

    Attributes:
        refuses_key: it answered, and does not take the key.
    """

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, sentence: str, *, refuses_key: bool = False) -> None:
        super().__init__(sentence)
        self.refuses_key = refuses_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, as the control plane said at registration. Equal targets share one client."""

    host: str
    namespace: str
    api_key: Secret
    tls: TlsMode = "auto"
    ca_file: Path | None = None

    @property
    def uses_tls(self) -> bool:
        return uses_tls(self.host, mode=self.tls, has_key=bool(self.api_key))

    def key(self) -> str | None:
        """For the SDK.

        Raises:
            TemporalUnreachable: the control plane gave what cannot be a key.
        """
        try:
            return (
                read_key(self.api_key.reveal(), name=worded("What the control plane gave for Temporal")).reveal()
                or None
            )
        except ConfigurationError as error:
            raise TemporalUnreachable(error.said) from error


class Metrics:
    """The SDK's metrics, read in process: no port is opened. Any thread may call.

    A runtime has one way to tell its metrics, and this one serves all who want them at once: the window, Prometheus and
    OpenTelemetry. The SDK allows one runtime a process to be the default, and its buffer must be emptied: `drain` does.
    A buffer that ran over cannot be read any more (the SDK panics on a metric whose definition was dropped); `broken`
    is then set.
    """

    def __init__(self) -> None:
        self._buffer = MetricBuffer(BUFFERED_UPDATES, duration_format=MetricBufferDurationFormat.SECONDS)
        self._lock = Lock()
        self._series: SdkSeries | None = None
        self.runtime = Runtime(telemetry=TelemetryConfig(metrics=self._buffer, logging=forwarded()))
        self.telemetry = Telemetry()
        self.broken = False

    def drain(self) -> None:
        """Take in what the SDK has counted."""
        with self._lock:
            for update in self._updates():
                self.telemetry.take(update.metric.name, update.value, update.attributes)
                if self._series is not None:
                    self._series.take(update)

    def keep_series(self) -> None:
        """From now on, every metric is kept, for `series`."""
        from worker_core.temporal.series import SdkSeries

        with self._lock:
            self._series = self._series or SdkSeries()

    def series(self, read: Callable[[Iterable[Metric]], _Result]) -> _Result:
        """What `read` makes of every metric, as of now; of none where they are not kept."""
        self.drain()
        with self._lock:
            return read(self._series.metrics.values() if self._series is not None else ())

    def view(self) -> SdkView:
        """Condensed, as far as drained."""
        with self._lock:
            return self.telemetry.view()

    def _updates(self) -> Sequence[BufferedMetricUpdate]:
        if self.broken:
            return ()
        try:
            return self._buffer.retrieve_updates()
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            self.broken = True
            log.warning("The Temporal SDK's own metrics are lost: more came than could be kept.")
            return ()

    def is_polling(self, task_queue: str) -> bool:
        """Whether the SDK reported a poller of this queue, as far as drained."""
        with self._lock:
            return self.telemetry.is_polling(task_queue)


_metrics: Metrics | None = None


def metrics() -> Metrics:
    """The process's one metrics buffer and runtime."""
    global _metrics
    if _metrics is None:
        _metrics = Metrics()
    return _metrics


async def connect(target: Target, *, identity: str, mask: Callable[[str], str]) -> Client:
    """A connected client.

    Args:
        target: where to.
        identity: shown by the server among the pollers of a queue.
        mask: applied to the texts of failures before they leave.

    Raises:
        TemporalUnreachable: with a sentence that names the host.

    """
    tls: TLSConfig | bool = False
    if target.uses_tls:
        authorities = target.ca_file.read_bytes() if target.ca_file is not None else None
        tls = TLSConfig(server_root_ca_cert=authorities)
    try:
        # The SDK's own limit is for the TCP connection alone: a server that then says nothing would be waited for.
        async with asyncio.timeout(CONNECT_LIMIT.total_seconds()):
            return await Client.connect(
                target.host,
                namespace=target.namespace,
                api_key=target.key(),
                tls=tls,
                identity=identity,
                data_converter=data_converter(mask),
                runtime=metrics().runtime,
                keep_alive_config=KeepAliveConfig(interval_millis=20_000, timeout_millis=10_000),
                http_connect_proxy_config=proxy_for(target.host),
                connect_timeout=CONNECT_LIMIT,
            )
    except (RuntimeError, TimeoutError) as error:
        manner = worded("with TLS") if target.uses_tls else worded("without TLS")
        raise TemporalUnreachable(
            worded(
                "Temporal at {host} (namespace {namespace}, {manner}) cannot be reached: {why}.",
                host=target.host,
                namespace=target.namespace,
                manner=manner,
                why=_cause(error),
            ),
            refuses_key=_REFUSED.search(str(error)) is not None,
        ) from error


def proxy_for(target_host: str) -> HttpConnectProxyConfig | None:
    """The CONNECT proxy that HTTPS_PROXY, NO_PROXY or the system name for this host; never for loopback."""
    named = named_proxy(f"https://{target_host}")
    if named is None or named.scheme != "http":
        return None  # the SDK speaks CONNECT in plain alone
    credentials = (named.user, named.password.reveal()) if named.user else None
    return HttpConnectProxyConfig(target_host=named.address, basic_auth=credentials)


_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)++)"')
_REFUSED = re.compile(r"code: (?:PermissionDenied|Unauthenticated)\b")
_QUOTED = re.compile(r'(?<!\\)"((?:[^"\\]|\\.)++)"')


def _cause(error: BaseException) -> str:
    """The innermost message of the SDK's nested errors, which it gives as one text."""
    if isinstance(error, TimeoutError):
        return worded("it did not answer within {n} s", n=CONNECT_LIMIT.total_seconds())
    text = " ".join(str(error).split())
    quoted = _MESSAGE.findall(text) or _QUOTED.findall(text)
    return (quoted[-1] if quoted else text.rpartition(": ")[2])[:200].rstrip(".")
