"""Which proxy this process uses. Every library here reads the environment's variables, so that is where it is decided.

One place for all: the control plane's client, Temporal's, the model gateway's, remote MCP servers. This machine itself
is never reached through a proxy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from worker_core.basics.sentences import worded

SYSTEM: Final = "system"
"""What HTTPS_PROXY, NO_PROXY and their like say, else the system's settings."""

NONE: Final = "none"

_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_lock = Lock()
_found: Mapping[str, str] | None = None
"""The variables as they were before they were changed; None: they were not."""


def check_proxy(value: str) -> str:
    """A choice as it is kept.

    Raises:
        ValueError: it is none; the message goes on from "proxy is X; ".
    """
    text = value.strip()
    if text.lower() in {"", SYSTEM, NONE}:
        return text.lower() or SYSTEM
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme != "http" or parts.path.strip("/") or parts.query or any(map(str.isspace, text)):
        raise ValueError(worded("it must be `system`, `none`, or such as http://proxy.example:3128"))
    if parts.username is not None or parts.password is not None:
        raise ValueError(worded("it holds a user name or password; set HTTPS_PROXY in the environment instead"))
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port or 3128}"


def use_proxy(choice: str) -> None:
    """From now on, in this process and where its children are given its proxies: a checked `Settings.proxy`."""
    global _found
    with _lock:
        if choice == SYSTEM and _found is None:
            return  # nothing was changed
        if _found is None:
            _found = {name: os.environ[name] for name in _spellings() if name in os.environ}
        for name in _spellings():
            os.environ.pop(name, None)
        if choice == NONE:
            os.environ["NO_PROXY"] = "*"
            return
        os.environ.update(_found)
        if choice == SYSTEM:
            _found = None
            return
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            os.environ.pop(name, None)
            os.environ.pop(name.lower(), None)
        os.environ["HTTP_PROXY"] = os.environ["HTTPS_PROXY"] = choice


def _spellings() -> tuple[str, ...]:
    return (*_NAMES, *(name.lower() for name in _NAMES))
