"""Which release is the newest: one question to the page of releases. No program is downloaded.

A program that knows root keys asks for the signed list (`release_index.py`) and believes nothing else. One that was
built without them, as out of a checkout, is told a number by where the page's `/latest` leads. Either way the page that
a person is led to is the one that is named here or in the environment, never one out of the answer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from desktop.notices.release_index import LARGEST_BYTES, NotBelieved, Seen, believed
from desktop.notices.release_roots import ROOT_KEYS
from worker_core import __version__
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.network.urls import is_encrypted

if TYPE_CHECKING:
    import httpx2

RELEASES_URL: Final = "https://github.com/kubiyabot/kubiya-worker/releases"
"""Its `/latest` redirects to `/tag/vX.Y.Z`."""

VARIABLE: Final = "KUBIYA_WORKER_RELEASES_URL"
"""Names another page that behaves so, for organizations that mirror releases."""

INDEX: Final = "latest/download/release-index.json"
"""Below the page; as GitHub serves a file of the newest release."""

LIMIT_SECONDS: Final = 15.0
_MOST_REDIRECTS: Final = 3
_VERSION: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})", re.ASCII)


def releases_url(environ: Mapping[str, str]) -> str:
    """The page of releases.

    Raises:
        ConfigurationError: the environment names one without TLS, or none at all.
    """
    url = (environ.get(VARIABLE) or RELEASES_URL).rstrip("/")
    if not is_encrypted(url):
        raise ConfigurationError(
            worded("{name} is {value}; it must begin with https:// and name a host.", name=VARIABLE, value=repr(url))
        )
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAnswer:
    """`version` is the newest release; empty: there is none yet. `withdrawn` says why nobody should run this one."""

    version: str
    withdrawn: str = ""
    seen: Seen | None = None
    """Nothing below it is believed from now on; None: the answer was not signed."""


def root_keys() -> tuple[bytes, ...]:
    """Those of this program."""
    return tuple(base64.b64decode(one, validate=True) for one in ROOT_KEYS)


async def ask(
    url: str,
    *,
    roots: Sequence[bytes],
    seen: Seen,
    ca_file: Path | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ReleaseAnswer:
    """Which release is the newest.

    Args:
        url: of the page of releases.
        roots: keys that the answer must go back to; without one, a number is asked for.
        seen: what was believed so far.
        ca_file: additional certificate authorities.
        now: tells the time.

    Raises:
        NotBelieved: the list is not to be believed.
        KubiyaError: nobody answers within 15 s, or with something else.
    """
    if not roots:
        return ReleaseAnswer(version=await newest_release(url, ca_file=ca_file))
    content = await _index(url, ca_file=ca_file)
    index, seen = believed(content, roots=roots, seen=seen, now=now())
    return ReleaseAnswer(version=index.newest, withdrawn=index.withdrawn(__version__), seen=seen)


async def _index(url: str, *, ca_file: Path | None) -> bytes:
    """The signed list, from wherever the page leads: who serves it does not matter."""
    import asyncio

    import httpx2

    from worker_core.network.http import new_client

    host = urlsplit(url).hostname or url
    where = f"{url}/{INDEX}"
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            for _ in range(_MOST_REDIRECTS + 1):
                async with (
                    new_client(base_url=where, ca_file=ca_file, headers={"User-Agent": "kubiya-worker"}) as client,
                    client.stream("GET", where) as answer,
                ):
                    if answer.is_redirect:
                        where = str(answer.url.join(answer.headers.get("location", "")))
                        if not is_encrypted(where):
                            raise KubiyaError(
                                worded(
                                    "{host} leads to a place without TLS for its list of releases; it was not asked.",
                                    host=host,
                                )
                            )
                        continue
                    if answer.status_code != 200:
                        break
                    return await _body(answer)
            raise KubiyaError(
                worded(
                    "{host} has no list of releases (it answered {status}).", host=host, status=str(answer.status_code)
                )
            )
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
        raise KubiyaError(worded("{host} does not answer ({kind}).", host=host, kind=type(error).__name__)) from error


async def _body(answer: httpx2.Response) -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > LARGEST_BYTES:
            raise NotBelieved(worded("The list of releases is larger than {n} bytes.", n=LARGEST_BYTES))
    return bytes(content)


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
        raise KubiyaError(worded("{host} does not answer ({kind}).", host=host, kind=type(error).__name__)) from error
    found = _VERSION.fullmatch(where.rpartition("/")[2])
    if found is None:
        raise KubiyaError(
            worded(
                "{host} does not say which release is the newest (it answered {status}).", host=host, status=str(status)
            )
        )
    return ".".join(found.groups())


def is_newer(release: str, than: str) -> bool:
    """Whether a release is newer than a version. One with more to it (`0.9.0.dev1`) counts by its numbers."""
    found, ours = _VERSION.match(release), _VERSION.match(than)
    if found is None or ours is None:
        return False
    return tuple(map(int, found.groups())) > tuple(map(int, ours.groups()))
