"""Which release is the newest: one question to the page of releases, whose answer is only a number.

Nothing is downloaded. What a hostile answer can do is to lie about that number: the page that a person is led to is
always the one that is named here or in the environment, never one out of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.network.hosts import is_loopback

RELEASES_URL: Final = "https://github.com/kubiyabot/kubiya-worker/releases"
"""Its `/latest` redirects to `/tag/vX.Y.Z`."""

VARIABLE: Final = "KUBIYA_WORKER_RELEASES_URL"
"""Names another page that behaves so, for organizations that mirror releases."""

LIMIT_SECONDS: Final = 15.0
_VERSION: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})", re.ASCII)


def releases_url(environ: Mapping[str, str]) -> str:
    """The page of releases.

    Raises:
        ConfigurationError: the environment names one without TLS, or none at all.
    """
    url = (environ.get(VARIABLE) or RELEASES_URL).rstrip("/")
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise ConfigurationError(f"{VARIABLE} is {url!r}; it must begin with https:// and name a host.")
    return url


async def newest_release(url: str, *, ca_file: Path | None = None) -> str:
    """The version of the newest release, such as `1.2.3`.

    Args:
        url: of the page of releases.
        ca_file: additional certificate authorities.

    Raises:
        KubiyaError: it does not answer within 15 s, or with something else.
    """
    import asyncio

    import httpx2

    from worker_core.network.http import new_client

    host = urlsplit(url).hostname or url
    try:
        async with (
            asyncio.timeout(LIMIT_SECONDS),
            new_client(base_url=url, ca_file=ca_file, headers={"User-Agent": "kubiya-worker"}) as client,
            client.stream("GET", f"{url}/latest") as answer,  # the body is not read
        ):
            where = answer.headers.get("location", "")
            status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
        raise KubiyaError(f"{host} does not answer ({type(error).__name__}).") from error
    found = _VERSION.fullmatch(where.rpartition("/")[2])
    if found is None:
        raise KubiyaError(f"{host} does not say which release is the newest (it answered {status}).")
    return ".".join(found.groups())


def is_newer(release: str, than: str) -> bool:
    """Whether a release is newer than a version. One with more to it (`0.9.0.dev1`) counts by its numbers."""
    found, ours = _VERSION.match(release), _VERSION.match(than)
    if found is None or ours is None:
        return False
    return tuple(map(int, found.groups())) > tuple(map(int, ours.groups()))
