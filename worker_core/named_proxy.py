"""The proxy that this process's environment, or the system, names for one address: read in one way for everybody."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from worker_core.secrets import Secret
from worker_core.settings import is_loopback

DEFAULT_PORT = 80
"""Of a proxy whose variable names none: httpx2, which speaks to the control plane and the gateway, takes this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProxy:
    """`password` is shown by nobody; both it and `user` are decoded."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret

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

    A variable that is no address counts as none: httpx2, which reads it as well, says what is wrong with it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not proxy or is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
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
    )
