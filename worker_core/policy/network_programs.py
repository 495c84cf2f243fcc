"""Hosts that a command names without a URL: of programs whose words are hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from worker_core.network.hosts import host_name, read_url
from worker_core.policy.programs import listed
from worker_core.policy.words import Word

_URLS: Final = listed(
    """ab aria2c axel curl fetch ffmpeg h2load hey http https httpie links lynx siege w3m wget wget2 wrk xh xhs yt-dlp
    youtube-dl"""
)
"""Each of their words may be a URL without its scheme."""

_HOSTS: Final = listed(
    """dig drill ftp host lftp mosh mtr nc ncat netcat nmap nslookup ping ping6 rdesktop rlogin rsh sftp ssh ssh-copy-id
    ssh-keyscan telnet tftp tracepath traceroute vncviewer whois xfreerdp"""
)
"""Their first word is a host; `dig` has the server behind `@`."""

_COPIES: Final = listed("git rclone rsync scp sftp unison")
"""`host:path` is a path on that host."""

_CLIENTS: Final = listed(
    """clickhouse-client influx mariadb mongo mongosh mysql mysqladmin mysqldump openssl pg_dump pg_restore pgcli psql
    redis-cli smbclient"""
)
_HOST_OPTIONS: Final = frozenset({"-h", "--host", "--hostname", "--server", "-connect", "-S"})
_VALUES: Final = {
    "ab": "nctbpTuvxyzCHAPgeXkmrsfZ", "curl": "AbcCdDeEFHKmoPQrtTuUwxXyYz", "dig": "bcfkpqtxy",
    "hey": "nqczmtHTaxDhAo", "lftp": "efcupQ", "mtr": "cimsaufPQBGZ", "nc": "iIpPsqTVwxXmO", "ncat": "cegGimopqsw",
    "netcat": "iIpPsqTVwxX", "nmap": "psDSegoiT", "ping": "cIiLlMmpQsSTtWw", "ping6": "cIiLlMmpQsSTtWw",
    "sftp": "BbcDFiJloPRSs", "siege": "crdlfiAHTR", "ssh": "BbcDEeFIiJLlmOoPpQRSWw", "ssh-keyscan": "fpTtO",
    "telnet": "bklnSX", "traceroute": "fgimNpqstUwz", "wget": "aoiBtTwQPUlAIDRX", "whois": "hp", "wrk": "cdtsH",
}  # fmt: skip
"""Letters of options with a value."""

_WITH_A_USER = re.compile(r"[\w.+-]{1,256}@([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(?:[:/]|$)")
_REMOTE = re.compile(r"(?:[\w.+-]{1,256}@)?([A-Za-z0-9._-]{2,253}|\[[0-9A-Fa-f:.]+\]):(?!//)")
_TELLING = re.compile(r"((?:\d{1,3}\.){3}\d{1,3}|localhost|metadata\.[\w.-]{1,253}|\[[0-9a-fA-F:.]+\])(?::|/|$)")
_SOCKET = re.compile(r"/dev/(?:tcp|udp)/([^/]{1,253})/")
_SOCAT = re.compile(
    r"(?:TCP|UDP|SCTP|OPENSSL|SSL|PROXY|SOCKS)[0-9A-Z-]{0,12}:(\[[0-9A-Fa-f:.]{1,60}\]|[^:,]{1,253})", re.IGNORECASE
)


def hosts_of(program: str, words: Sequence[Word]) -> Iterator[str]:
    """Of a command's words, without the program: hosts in their one form, as far as they look like some."""
    for word in words:
        yield from in_any_word(word.text)
    if program in _URLS:
        for text in _operands(program, words):
            yield from _of_url(text)
    elif program in _HOSTS:
        first = next(iter(_operands(program, words)), "")
        if first:
            yield _bare(first)
        for word in words:
            if program in {"dig", "drill"} and word.text.startswith("@"):
                yield host_name(word.text[1:])
    elif program == "socat":
        for word in words:
            if (found := _SOCAT.search(word.text)) is not None:
                yield host_name(found[1])
    if program in _COPIES:
        for word in words:
            if (found := _REMOTE.match(word.text)) is not None:
                yield host_name(found[1])
    if program in _CLIENTS:
        yield from _of_options(words)


def in_any_word(text: str) -> Iterator[str]:
    """Hosts that a word names whatever its program is: `git@host:path`, an address, `/dev/tcp/host/port`."""
    for expression in (_WITH_A_USER, _TELLING):
        if (found := expression.match(text)) is not None:
            yield host_name(found[1])
    if (found := _SOCKET.search(text)) is not None:
        yield host_name(found[1])


def _operands(program: str, words: Sequence[Word]) -> Iterator[str]:
    """Words that are neither options nor, as far as that is known, their values."""
    values = _VALUES.get(program, "")
    at, after_long = 0, False
    while at < len(words):
        text = words[at].text
        at += 1
        if text.startswith("--"):
            _, equals, value = text.partition("=")
            if equals:
                yield value
            after_long = not equals and text != "--"
            continue
        if text.startswith("-") and len(text) > 1:
            letter = next((place for place, one in enumerate(text[1:], 1) if one in values), 0)
            if letter:
                if letter == len(text) - 1:
                    at += 1
                if text[letter] == "x" and program == "curl":  # its proxy
                    yield words[at - 1].text if letter == len(text) - 1 and at <= len(words) else text[letter + 1 :]
            after_long = False
            continue
        if not (after_long and text.isdecimal()):
            yield text
        after_long = False


def _of_url(text: str) -> Iterator[str]:
    if "://" in text or not text or text[0] in "@{[<&?=/.+%":
        return
    url = read_url(text)
    if url is not None and re.fullmatch(r"[a-z0-9_.:-]{1,253}", url.host):
        yield url.host


def _bare(text: str) -> str:
    url = read_url(text)
    return url.host if url is not None and url.host else host_name(text.rpartition("@")[2])


def _of_options(words: Sequence[Word]) -> Iterator[str]:
    for at, word in enumerate(words):
        name, equals, value = word.text.partition("=")
        if name in _HOST_OPTIONS:
            named = value if equals else words[at + 1].text if at + 1 < len(words) else ""
            if named:
                yield _bare(named)
        elif word.text.startswith("-h") and len(word.text) > 2:
            yield _bare(word.text[2:])
        elif word.text.startswith("//"):
            yield host_name(word.text[2:].partition("/")[0])
