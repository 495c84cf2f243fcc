"""Whether Temporal is spoken to with TLS: one rule for the worker and for what looks at its connections."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

from worker_core.network.hosts import is_loopback

CLOUD_HOST_PARTS: Final = ("tmprl.cloud", "api.temporal.io")
"""Hosts for which the server's own client uses TLS (protocol, section 7.1)."""


def uses_tls(address: str, *, mode: Literal["auto", "on", "off"], has_key: bool) -> bool:
    """With `auto`: for cloud hosts, and for a key on any host but loopback. `address` is HOST or HOST:PORT."""
    if mode != "auto":
        return mode == "on"
    if any(part in address for part in CLOUD_HOST_PARTS):
        return True
    return has_key and not is_loopback(urlsplit(f"//{address}").hostname or address)
