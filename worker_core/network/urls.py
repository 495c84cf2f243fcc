"""Parts of URLs, and what may go to them."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.network.hosts import is_loopback


def segment(text: str) -> str:
    """`text` as one path segment, whatever it holds."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" and quoted else quoted or "%20"


def check_private(url: str, *, whose: str, allow_http: bool) -> None:
    """Whether a key may go there: by https, to this machine itself, or where the setting `allow_http` permits it.

    Args:
        url: with a scheme and a host.
        whose: key it is, for the sentence, such as `control plane`.
        allow_http: the setting.

    Raises:
        ConfigurationError: everybody on the way could read it.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or allow_http or is_loopback(parts.hostname or ""):
        return
    raise ConfigurationError(
        worded(
            "The {whose}'s key does not go to {host}: {scheme}:// is not encrypted, and everybody on the way could "
            "read it. Use https://, or set allow_http = true where you trust the network.",
            whose=whose,
            host=str(parts.hostname),
            scheme=parts.scheme,
        )
    )


def is_encrypted(url: str) -> bool:
    """Whether nobody on the way reads what goes there: https to a host, or http to this machine itself. Never fails."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def base_url(text: str) -> str:
    """The base of a service, without a final slash.

    Raises:
        ValueError: it is no http(s) URL with a host and without credentials in it; the message goes on from "X is Y; ".
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        if "@" in text:  # the error may quote a password
            raise ValueError(worded("it is not a valid URL")) from None
        raise ValueError(worded("it is not a valid URL: {why}", why=str(error))) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(worded("it must begin with https:// or http:// and name a host"))
    if parts.username or parts.password:
        raise ValueError(worded("it holds a user name or password; keep secrets out of URLs"))
    return text.rstrip("/")


def webhook_url(text: str) -> str:
    """An address that may be told.

    Raises:
        ValueError: it may not; the message goes on from "X is Y; " and repeats nothing.
    """
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        raise ValueError(worded("it is not a valid URL")) from None
    if parts.username or parts.password:
        raise ValueError(worded("it holds a user name or password; sign with notify_webhook_secret_file instead"))
    if not is_encrypted(text.strip()):
        raise ValueError(worded("it must begin with https://, or with http:// and name this machine"))
    return text.strip()
