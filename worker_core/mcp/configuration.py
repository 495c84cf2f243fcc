"""MCP servers as the control plane describes them (protocol, section 9.3), with their templates filled in."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.logs.declared import names_a_secret, secrets_in
from worker_core.network.hosts import is_loopback

Transport = Literal["stdio", "http", "sse"]

MOST_SERVERS = 32
"""Per agent; further ones are left out, with a sentence."""

LONGEST_CALL = timedelta(hours=2)

_TEMPLATE = re.compile(r"\{\{\s*(\.?[A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}")
_VALUES = re.compile(r"""=[ "']{0,2}([^\s"',;=]+)""")
"""Of the pairs in a header: cookies, and parameters of a scheme."""

_SECRET_PREFIX, _VARIABLE_PREFIX = ".secret.", ".env."
_CARRIES_A_SECRET = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature|\bpat\b", re.IGNORECASE)
_TRANSPORTS: Mapping[str, Transport] = {
    "stdio": "stdio",
    "http": "http",
    "https": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "streamablehttp": "http",
    "sse": "sse",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """OAuth without a person: what a remote server's authorization server knows this client by."""

    client_id: str
    client_secret: str = field(repr=False)
    issuer: str
    """The authorization server that they belong to. They are sent to no other, whatever the MCP server says."""

    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One server, ready to be started or connected to. What may hold secrets is not in its `repr`."""

    alias: str
    transport: Transport
    command: tuple[str, ...] = field(default=(), repr=False)
    """Program and arguments, for stdio."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    oauth: ClientCredentials | None = None
    call_timeout: timedelta | None = None
    """Upper limit of one call. None: the worker's own for tools."""

    connect_timeout: timedelta | None = None
    """Upper limit for start, handshake and list of tools. None: the worker's own."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that are to be masked from now on."""

    @property
    def identity(self) -> str:
        """The same for the same configuration; says nothing about what is in it."""
        content = msgspec.json.encode(self, order="sorted")
        return hashlib.sha256(content).hexdigest()

    @property
    def where(self) -> str:
        """For sentences: the program, or the host. Neither arguments nor queries."""
        if self.transport == "stdio":
            return f"the program {self.command[0][:100]!r}"
        try:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{(parts.netloc.rpartition('@')[2])[:100]}"
        except ValueError:
            return "its address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """`left_out` holds a sentence for every server that cannot be used, by alias."""

    usable: Mapping[str, ServerConfig]
    left_out: Mapping[str, str]


def read_servers(
    *raw: Mapping[str, Any],
    variables: Mapping[str, str],
    is_secret: Callable[[str, str], bool] = lambda _name, _value: False,
    withheld: frozenset[str] = frozenset(),
) -> Servers:
    """Read alias -> configuration; of the same alias, the later one wins.

    Args:
        raw: as resolved by the server, then as given with the execution.
        variables: fill `{{NAME}}`, `{{.env.NAME}}` and `{{.secret.NAME}}`. A filled-in value is not searched again.
        is_secret: whether a variable is one, by its name and value. It is masked, and may not stand in a command line.
        withheld: values of the worker's own, which no server gets.
    """
    fill = _Fill(variables=variables, is_secret=is_secret, withheld=withheld)
    merged: dict[str, Any] = {}
    for one in raw:
        merged |= {str(alias): value for alias, value in one.items() if value is not None}
    usable: dict[str, ServerConfig] = {}
    left_out: dict[str, str] = {}
    for number, (alias, value) in enumerate(merged.items()):
        if isinstance(value, Mapping) and (value.get("enabled") is False or value.get("disabled") is True):
            continue
        if number >= MOST_SERVERS:
            left_out[alias] = _sentence(alias, f"an agent may have {MOST_SERVERS}, and this is one more")
            continue
        try:
            usable[alias] = _read(alias, value, replace(fill, secrets=set()))
        except _Unusable as error:
            left_out[alias] = _sentence(alias, str(error))
    return Servers(usable=usable, left_out=left_out)


class _Unusable(Exception):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fill:
    """Puts values in the place of templates."""

    variables: Mapping[str, str]
    is_secret: Callable[[str, str], bool]
    withheld: frozenset[str]
    secrets: set[str] = field(default_factory=set)
    """What was put in that is to be masked."""

    def __call__(self, value: object, what: str, *, seen_by_all: bool = False) -> str:
        if isinstance(value, bool):
            value = str(value).lower()
        if value is None:
            value = ""
        if not isinstance(value, str | int | float):
            raise _Unusable(f"its {what} holds something that is not a text")

        def replaced(match: re.Match[str]) -> str:
            written = match.group(1)
            name = written.removeprefix(_SECRET_PREFIX).removeprefix(_VARIABLE_PREFIX)
            if name not in self.variables:
                raise _Unusable(f"its {what} needs the variable {name[:100]}, which this execution does not have")
            if written.startswith(_SECRET_PREFIX) or self.is_secret(name, self.variables[name]):
                if seen_by_all:
                    raise _Unusable(
                        f"its {what} would show the secret {name[:100]} to every program of this machine; give it in "
                        "the server's env instead"
                    )
                self.secrets.add(self.variables[name])
            return self.variables[name]

        filled = _TEMPLATE.sub(replaced, str(value))
        if any(own in filled for own in self.withheld if own):
            raise _Unusable(f"its {what} holds a key of the worker's own, which no server gets")
        return filled


def _sentence(alias: str, why: str) -> str:
    return f"The MCP server {alias[:100]!r} is left out: {why}."


def _read(alias: str, raw: object, fill: _Fill) -> ServerConfig:
    if not isinstance(raw, Mapping):
        raise _Unusable("its configuration is not an object")
    secrets = fill.secrets
    transport = _transport(raw)
    call_timeout = _limit(raw, "timeout", "timeout_seconds", "read_timeout_seconds")
    connect_timeout = _limit(raw, "connect_timeout", "startup_timeout", "init_timeout")
    if transport == "stdio":
        environment = _texts(raw, "env", fill)
        secrets |= {value for name, value in environment.items() if _CARRIES_A_SECRET.search(name)}
        secrets |= secrets_in(environment)
        command = _command(raw, fill)
        secrets |= _in_command(command)
        return ServerConfig(
            alias=alias,
            transport=transport,
            command=command,
            environment=environment,
            secrets=tuple(filter(None, secrets)),
            call_timeout=call_timeout,
            connect_timeout=connect_timeout,
        )
    headers = _texts(raw, "headers", fill)
    url = _url(fill(raw.get("url"), "url"))
    secrets |= _in_url(url)
    for name, value in headers.items():
        if any(ord(character) < 32 or ord(character) == 127 for character in name + value) or not name.isascii():
            raise _Unusable(f"its header {name[:50]!r} holds a character that HTTP does not allow")
        if _CARRIES_A_SECRET.search(name):
            secrets |= _in_header(value)
    secrets |= secrets_in(headers)
    if (oauth := _oauth(raw, fill)) is not None:
        secrets.add(oauth.client_secret)
        if any(name.lower() == "authorization" for name in headers):
            raise _Unusable("it has both `oauth` and a header Authorization; one of them is enough")
    return ServerConfig(
        alias=alias,
        transport=transport,
        url=url,
        headers=headers,
        oauth=oauth,
        secrets=tuple(filter(None, secrets)),
        call_timeout=call_timeout,
        connect_timeout=connect_timeout,
    )


def _transport(raw: Mapping[str, Any]) -> Transport:
    said = next((raw[key] for key in ("type", "transport_type", "transport") if isinstance(raw.get(key), str)), "")
    if said:
        found = _TRANSPORTS.get(said.strip().lower())
        if found is None:
            raise _Unusable(f"its type {said[:50]!r} is not known; stdio, http and sse are")
        return found
    if raw.get("command"):
        return "stdio"
    if raw.get("url"):
        return "http"
    raise _Unusable("it has neither a command nor a url")


def _command(raw: Mapping[str, Any], fill: _Fill) -> tuple[str, ...]:
    program = fill(raw.get("command"), "command", seen_by_all=True).strip()
    if not program:
        raise _Unusable("it has no command")
    args = raw.get("args")
    if args is not None and not isinstance(args, list | tuple):
        raise _Unusable("its args are not a list")
    given = tuple(fill(arg, "args", seen_by_all=True) for arg in args or ())
    if not given and " " in program and not program.startswith(("/", '"')) and ":" not in program:
        try:
            return tuple(shlex.split(program))  # the whole line in one field, as some screens store it
        except ValueError as error:
            raise _Unusable(f"its command cannot be read ({error})") from error
    if any("\0" in part for part in (program, *given)):
        raise _Unusable("its command holds a NUL")
    return (program, *given)


def _url(url: str, what: str = "url") -> str:
    try:
        parts = urlsplit(url.strip())
        if parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0):
            return url.strip()
    except ValueError:
        pass
    raise _Unusable(f"its {what} is not an http:// or https:// address")


def _oauth(raw: Mapping[str, Any], fill: _Fill) -> ClientCredentials | None:
    given = raw.get("oauth")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise _Unusable("its oauth is not an object")
    found = {key: fill(given.get(key), f"oauth {key}") for key in ("client_id", "client_secret", "issuer", "scope")}
    for key in ("client_id", "client_secret", "issuer"):
        if not found[key]:
            raise _Unusable(
                f"its oauth has no {key}; client credentials need client_id, client_secret and issuer, the address "
                "of the authorization server that they belong to"
            )
    issuer = urlsplit(_url(found["issuer"], "oauth issuer"))
    if issuer.scheme != "https" and not is_loopback(issuer.hostname or ""):
        raise _Unusable("its oauth issuer is not an https:// address, so the secret would travel unprotected")
    return ClientCredentials(**found)


def _in_url(url: str) -> set[str]:
    parts = urlsplit(url)
    by_name = {value for name, value in parse_qsl(parts.query) if _CARRIES_A_SECRET.search(name)}
    return by_name | secrets_in({"": url})


def _in_header(value: str) -> set[str]:
    """Of a header that carries a secret: what follows its scheme, the values in it, and a password that is encoded."""
    scheme, _, credentials = value.strip().partition(" ")
    found = {value.rpartition(" ")[2], credentials, *_VALUES.findall(value)}
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(credentials.strip(), validate=True).decode()
        except ValueError:
            return found
        found |= {pair, pair.partition(":")[2]}
    return found


def _in_command(command: tuple[str, ...]) -> set[str]:
    """Whatever stands in a command line for a secret, by its option or by what it looks like."""
    found = secrets_in({f"word {number}": word for number, word in enumerate(command[1:])})
    for word, after in pairwise((*command, "")):
        option, equals, value = word.partition("=")
        if option.startswith("-") and names_a_secret(option):
            found.add(value if equals else after)
    return found


def _texts(raw: Mapping[str, Any], key: str, fill: _Fill) -> dict[str, str]:
    value = raw.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Unusable(f"its {key} is not an object")
    return {fill(name, key): fill(content, key) for name, content in value.items() if content is not None}


def _limit(raw: Mapping[str, Any], *keys: str) -> timedelta | None:
    """Seconds; anything that is not a sensible number of them means the worker's own limit."""
    for key in keys:
        value = raw.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
            return min(timedelta(seconds=min(value, 1e6)), LONGEST_CALL)
    return None
