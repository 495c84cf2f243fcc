"""The proxy that this process's environment, or the system, names for one address: read in one way for everybody."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.network.hosts import is_loopback
from worker_core.secrets import Secret

_PORTS = {"http": 80, "https": 443}
_WITH_PORT = re.compile(r"(\[[^\]]{1,100}\]|[^:]{1,300}):(\d{1,5})")

DEFAULT_PORT = 80
"""Of a proxy whose variable names none: what httpx2 takes, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProxy:
    """`password` is shown by nobody; both it and `user` are decoded."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret
    variable: str
    """Which one names it; empty: the system's settings do."""

    @property
    def speaks_http(self) -> bool:
        """Whether it is of the kind that this program uses. SOCKS is none."""
        return self.scheme in {"http", "https"}

    @property
    def address(self) -> str:
        """`host:port`, for people and for connecting."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def authorization(self) -> str:
        """The value of Proxy-Authorization, or an empty text. It is a secret."""
        if not self.user:
            return ""
        pair = f"{self.user}:{self.password.reveal()}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def named_proxy(url: str) -> NamedProxy | None:
    """The proxy for `url`, by its scheme, else the one for all schemes. None for this machine itself, or without one.

    A variable that is no address counts as none.
    """
    found = _found_for(url)
    return None if found is None else _read(*found)


def usable_proxy(url: str) -> NamedProxy | None:
    """The same, for who has to go through it.

    Raises:
        ConfigurationError: it is no address, or of a kind that this program does not speak.
    """
    found = _found_for(url)
    if found is None:
        return None
    named, variable = _read(*found), found[1] or worded("The system")
    if named is not None and named.speaks_http:
        return named
    if named is None:
        what = worded("something that is no address")
    elif named.scheme.startswith("socks"):
        what = worded("a SOCKS proxy ({address}), which this worker does not speak", address=named.address)
    else:
        what = worded("a proxy of the kind {kind}, which this worker does not speak", kind=repr(named.scheme[:20]))
    raise ConfigurationError(
        worded(
            "{variable} names {what}. Name an HTTP proxy in HTTPS_PROXY or in the setting `proxy`; or, where {host} is "
            "reached without one, name it in NO_PROXY or set `proxy` to none.",
            variable=variable,
            what=what,
            host=str(urlsplit(url).hostname),
        )
    )


def _found_for(url: str) -> tuple[str, str] | None:
    """What is named for it, and by which variable (empty: by the system)."""
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # nothing else names one there, and the module that reads them is a megabyte
    import urllib.request

    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind) or ""
    if not proxy or is_loopback(host) or _needs_none(host, parts.port or _PORTS.get(parts.scheme, 0), proxies):
        return None
    variable = next((name for name in (f"{kind}_proxy", f"{kind}_proxy".upper()) if os.environ.get(name)), "")
    return proxy, variable


def _read(proxy: str, variable: str) -> NamedProxy | None:
    try:
        named = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        name, port = named.hostname or "", named.port
    except ValueError:
        return None
    if not name:
        return None
    return NamedProxy(
        scheme=named.scheme,
        host=name,
        port=port or (443 if named.scheme == "https" else DEFAULT_PORT),
        user=unquote(named.username or ""),
        password=Secret(unquote(named.password or "")),
        variable=variable,
    )


def _needs_none(host: str, port: int, proxies: Mapping[str, str]) -> bool:
    """Whether NO_PROXY names the host: by its name or a part of it, an address, or a network in CIDR form; with or
    without a port. What is none of these is skipped.
    """
    import urllib.request

    if "no" not in proxies:
        return bool(urllib.request.proxy_bypass(host))  # the system's own exceptions
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in proxies["no"].split(","))


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        try:
            return ipaddress.ip_address(host.partition("%")[0]) in network
        except ValueError:
            return False
    if (found := _WITH_PORT.fullmatch(entry)) is not None:
        return int(found.group(2)) == port and _names(found.group(1).strip("[]"), host, port)
    name = entry.lstrip("*").lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
