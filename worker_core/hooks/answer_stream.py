"""Reads lines from a web address of the owner's for as long as somebody waits for them, within bounds.

The address is asked as ntfy's JSON stream is (docs.ntfy.sh/subscribe/api): a GET whose answer has a line for each
message and stays open, or ends when all were sent. `since` says how old a message may be, by the server's own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from worker_core.errors import KubiyaError
from worker_core.hooks.replies import LONGEST_BYTES

LINE_LIMIT: Final = timedelta(seconds=100)
"""From one line to the next: ntfy sends one each 45 seconds, if only to say that it is there."""

MOST_BYTES: Final = 2_000_000
"""Of one connection."""


class StreamFailed(KubiyaError):
    """It could not be read, or sent what no such address sends."""


async def lines(url: str, *, since: timedelta, ca_file: Path | None) -> AsyncGenerator[bytes, None]:
    """Each line as it comes, without its end.

    Args:
        url: of the stream.
        since: how old what is sent may be.
        ca_file: further authorities.

    Raises:
        StreamFailed: the sentence does not hold the address.
    """
    import httpx2

    from worker_core.network.http import CONNECT_LIMIT_SECONDS, new_client

    asked = with_since(url, since)
    parts = urlsplit(asked)
    seconds = LINE_LIMIT.total_seconds()
    try:
        async with new_client(base_url=f"{parts.scheme}://{parts.netloc}", ca_file=ca_file) as client:
            timeout = httpx2.Timeout(seconds, connect=CONNECT_LIMIT_SECONDS)
            async with client.stream("GET", asked, timeout=timeout) as answer:
                if answer.status_code != 200:
                    raise StreamFailed(f"it answered {answer.status_code}")
                async for line in _lines(answer.aiter_raw(), seconds):
                    yield line
    except TimeoutError:
        raise StreamFailed(f"no line came for {seconds:g} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise StreamFailed(type(error).__name__) from error


async def _lines(pieces: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    kept, total = bytearray(), 0
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(until):
                piece = await anext(pieces)
        except StopAsyncIteration:
            yield bytes(kept)
            return
        total += len(piece)
        if total > MOST_BYTES:
            raise StreamFailed(f"it sent more than {MOST_BYTES:,} bytes")
        *whole, rest = (bytes(kept) + piece).split(b"\n")
        if any(len(line) > LONGEST_BYTES for line in (*whole, rest)):
            raise StreamFailed(f"it sent a line of more than {LONGEST_BYTES:,} bytes")
        kept[:] = rest
        for line in whole:
            yield line
        if whole:
            until = loop.time() + seconds


def with_since(url: str, since: timedelta) -> str:
    """The address, asking for what is no older; one that names a time itself is left as it is."""
    parts = urlsplit(url)
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if "since" in names:
        return url
    asked = urlencode({"since": f"{int(since.total_seconds())}s"})
    return urlunsplit(parts._replace(query=f"{parts.query}&{asked}" if parts.query else asked))
