"""Parts of URLs, and what may go to them."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

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
        f"The {whose}'s key does not go to {parts.hostname}: {parts.scheme}:// is not encrypted, and everybody on the "
        "way could read it. Use https://, or set allow_http = true where you trust the network."
    )


def check_url(name: str, url: str) -> None:
    """Raise ConfigurationError unless `url` is http(s) with a host and without credentials in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        said = "" if "@" in url else f": {error}"  # which may quote a password
        raise ConfigurationError(f"{name} is not a valid URL{said}.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            f"{name} is {without_credentials(url)!r}; it must begin with https:// or http:// and name a host."
        )
    if parts.username or parts.password:
        raise ConfigurationError(f"{name} holds a user name or password; keep secrets out of URLs.")


def without_credentials(value: object) -> object:
    """A value for a sentence: what may be a user name and password is starred."""
    if not isinstance(value, str) or "@" not in value:
        return value
    before, _, rest = value.rpartition("@")
    scheme, slashes, _ = before.partition("//")
    return f"{scheme}//***@{rest}" if slashes else f"***@{rest}"
