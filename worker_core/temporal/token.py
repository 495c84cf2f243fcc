"""When a Temporal key expires, where it says so itself."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

import msgspec


class _Claims(msgspec.Struct):
    exp: float | None = None


def expiry_of(key: str) -> datetime | None:
    """The `exp` claim of a key that is a JWT (Temporal Cloud's are); None for any other key.

    The signature is not checked: the claim only decides when to ask for a new key.
    """
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(payload, type=_Claims)
        return None if claims.exp is None else datetime.fromtimestamp(claims.exp, UTC)
    except (binascii.Error, ValueError, OverflowError, OSError):
        return None
