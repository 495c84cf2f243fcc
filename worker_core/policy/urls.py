"""Hosts, and the URLs that name them, as subjects of a call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from worker_core.basics.sentences import worded
from worker_core.network.hosts import host_name, read_url
from worker_core.policy.folders import Folder
from worker_core.policy.paths import PathReader
from worker_core.policy.rules import Subject

MOST: Final = 500
"""Different hosts, with users and ports, that one text may name."""

_URL = re.compile(r"(?<![a-zA-Z0-9+.])([a-zA-Z0-9+.]++)://([^\s'\"<>`]++)")
_AUTHORITY = re.compile(r"^[/\\]*+[^/\\?#]*+")
_LOOPBACK = re.compile(r"(?:.*\.)?localhost|127\.[0-9.]+|::1|0\.0\.0\.0|::")


def host_subject(host: str, *, own_loopback: bool = False) -> Subject:
    """A host in its one form. Where the call has a loopback of its own, what is there needs no question."""
    return Subject(kind="host", text=host, expected=own_loopback and _LOOPBACK.fullmatch(host) is not None)


def urls_of(
    text: str, paths: PathReader, folders: Sequence[Folder] | None, *, own_loopback: bool = False
) -> Iterator[Subject]:
    """What the URLs in a text name: hosts, and files where it is `file:`."""
    known: set[str] = set()
    seen: set[str] = set()
    for found in _URL.finditer(text):
        is_file = found[1].lower() == "file"
        where = found[2] if is_file else "".join(_AUTHORITY.findall(found[2])[:1])
        if where in seen:
            continue
        if len(seen) > MOST:
            yield Subject(kind="host", text=found[0][:200], too_much=worded("It names more hosts than are looked at."))
            return
        seen.add(where)
        if is_file:
            host, slash, path = found[2].partition("/")
            yield from paths.used(slash + path if host in {"", "localhost"} else path, folders or (None,))
            continue
        url = read_url(f"x://{found[2]}")
        host = url.host if url is not None else host_name(found[2].partition("/")[0])
        if host and host not in known:
            known.add(host)
            yield host_subject(host, own_loopback=own_loopback)
