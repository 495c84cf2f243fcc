"""Which values of variables are secrets: by the variable's name, and by what they look like.

The control plane gives an agent its secrets as variables under names of the user's own choosing, so a name alone does
not tell them all (protocol, 8.9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from worker_core.logs.forms import SHORTEST

LONGEST_LOOKED_THROUGH: Final = 65_536
"""Characters of one value."""

_SECRET_NAME: Final = re.compile(
    "PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|CONNECTION_?STRING|API_?KEY|AUTHORIZATION|SIGNATURE|COOKIE"
    "|(?:ACCESS|PRIVATE|SSH|SIGNING|ENCRYPTION|DECRYPTION|MASTER|ACCOUNT|STORAGE|SHARED|LICENSE|DEPLOY|HMAC|GPG|PGP"
    "|SESSION|WEBHOOK|JWT|ADMIN|SERVICE|SUBSCRIPTION|APP|APPLICATION|CLIENT|AUTH|AES|RSA|HOST|TLS|SSL)_?KEY"
    "|(?:^|_)(?:PASS|PWD|PW|PAT|DSN|JWT|JWKS?|SAS|SALT|PSK|BEARER|AUTH|MNEMONIC|PGPASS|NETRC|HTPASSWD)(?:_|$)"
    "|(?:DATABASE|DB|REDIS|MONGO(?:DB)?|POSTGRES(?:QL)?|PG|MYSQL|MARIADB|MSSQL|SQLSERVER|SQLALCHEMY|AMQP|RABBITMQ"
    "|BROKER|CELERY|CACHE|SMTP|MAIL|ELASTICSEARCH|CLICKHOUSE|NATS|KAFKA|SENTRY|LDAP|WEBHOOK)_UR[IL]$"
)
_ABOUT_A_SECRET: Final = re.compile(
    "_(?:ENDPOINT|HOST|PORT|FILE|PATH|DIR|NAME|USER|USERNAME|ENABLED|TTL|EXPIRY|EXPIRES|EXPIRATION|LIMIT|COUNT|SIZE"
    "|LENGTH|TYPE|VERSION|REGION|ARN|ALGORITHM|HEADER|TIMEOUT|INTERVAL|METHOD|MODE|SOCK)$|TOKENS(?:_|$)|^(?:OLD_?)?PWD$"
)
"""`SECRET_NAME`, `MAX_TOKENS`: what they hold is looked at as any other value."""

_IDENTITY: Final = re.compile(
    "(?:^|_)(?:IDS?|UUID|GUID|SHA|SHA1|SHA256|COMMIT|REV|REVISION|DIGEST|CHECKSUM|HASH|ETAG|FINGERPRINT)(?:_|$)"
)
_SWITCHES: Final = frozenset({"enabled", "disabled", "required", "optional", "default", "bearer", "basic"})
_NO_LETTER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_USER_INFO: Final = re.compile(r"://([^\s/?#\"']{1,512})@")

_LONG: Final = 16
_LONG_PART: Final = 12
_MOST_IN_A_ROW: Final = 3.5
_BORDERS: Final = re.compile(r"[\s\"'`,;:{}()\[\]<>|&?@#\\]+|=(?![=\s]|\Z)")
_BORDERS_IN_URL: Final = re.compile(r"[\s\"'`,;:{}()\[\]<>|&?@#\\/=]+")
_PATH: Final = re.compile(r"(?:~|\.{0,2})/|[A-Za-z]:\\")
_DIGEST: Final = re.compile(r"sha\d{1,3}[:-][A-Za-z0-9+/=]+")
_PARTS: Final = re.compile("[A-Za-z0-9]+")
_RUNS: Final = re.compile("[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_HEXADECIMAL: Final = re.compile("[0-9a-f]{32,}|[0-9A-F]{32,}")


def names_a_secret(variable: str) -> bool:
    """Whether the name of a variable or a header says that its value is to be masked, whatever it looks like."""
    name = _upper(variable)
    return _SECRET_NAME.search(name) is not None and _ABOUT_A_SECRET.search(name) is None


def is_secret(variable: str, value: str) -> bool:
    """Whether the value as a whole is one by its variable's name. An address without credentials is none."""
    if not names_a_secret(variable) or value.strip().lower() in _SWITCHES:
        return False
    return _URL.match(value.strip()) is None or _USER_INFO.search(value) is not None


def secrets_in(variables: Mapping[str, str]) -> set[str]:
    """What is to be masked: values by their names, credentials in addresses, and what is long and no words."""
    return {
        secret for name, value in variables.items() for secret in _secrets_of(name, value) if len(secret) >= SHORTEST
    }


def _secrets_of(name: str, value: str) -> Iterator[str]:
    if is_secret(name, value):
        yield value
    text = value[:LONGEST_LOOKED_THROUGH]
    for match in _USER_INFO.finditer(text):
        user, _, password = match.group(1).partition(":")
        for part in (password, user if not password else ""):
            yield from (part, unquote(part))
    if not _IDENTITY.search(_upper(name)) and not _PATH.match(text):
        borders = _BORDERS_IN_URL if _URL.search(text) else _BORDERS
        yield from filter(_is_opaque, borders.split(_DIGEST.sub(" ", text)))


def _is_opaque(word: str) -> bool:
    """Long and no words: its letters and digits change places more often than in any name."""
    if len(word) < _LONG or _PATH.match(word):
        return False
    parts = _PARTS.findall(word)
    if any(_HEXADECIMAL.fullmatch(part) for part in parts):
        return True
    mixed = [part for part in parts if len(part) > 4 and len(part) / len(_RUNS.findall(part)) < _MOST_IN_A_ROW]
    return any(len(part) >= _LONG_PART for part in mixed) or sum(map(len, mixed)) >= _LONG


def _upper(name: str) -> str:
    return _NO_LETTER.sub("_", name).upper()
