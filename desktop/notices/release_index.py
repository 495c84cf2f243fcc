"""The signed list of releases: what it looks like, and when it is believed (`docs/releases.md`).

Two kinds of keys. The program knows root keys, which are kept offline and sign one thing: which keys sign lists, at
present. So a list's key is replaced without a new program, and one that was stolen counts no more once a later
generation of keys was seen. A list with a lower number than one seen before, and one that is past its end, are not
believed: whoever stands in between can hold a release back for as long as a list lasts, and bring no old one back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError

LARGEST_BYTES: Final = 1_000_000
FORMAT: Final = 1
VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", re.ASCII)
_KEYS: Final = b"kubiya-worker release keys 1\0"
_INDEX: Final = b"kubiya-worker release index 1\0"
_LONGEST_REASON: Final = 200

Payload = TypeVar("Payload")


class NotBelieved(KubiyaError):
    """The list is not signed as it must be, is older than one that was seen, or is past its end."""


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes, and who signs them: base64, by the id of the key."""

    payload: str
    signatures: dict[str, str]


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is served."""

    keys: Signed
    index: Signed


class SigningKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Signed by a root key: which keys sign lists until `expires`. A later generation replaces an earlier one."""

    format: int
    generation: int
    expires: datetime
    keys: list[str]
    """Raw Ed25519 public keys, in base64."""


class PackageFile(msgspec.Struct, frozen=True, kw_only=True):
    """For people and mirrors that compare; the program downloads none."""

    name: str
    size: int
    sha256: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    released: datetime
    withdrawn: str = ""
    """Why nobody should run it; empty: nobody has said so."""

    files: list[PackageFile] = []


class ReleaseIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Signed by a key of `SigningKeys`. `sequence` rises with each list."""

    format: int
    sequence: int
    issued: datetime
    expires: datetime
    releases: list[Release]

    @property
    def newest(self) -> str:
        """Of those that nobody withdrew; empty: there is none."""
        offered = [numbers for one in self.releases if not one.withdrawn and (numbers := numbers_of(one.version))]
        return ".".join(map(str, max(offered))) if offered else ""

    def withdrawn(self, version: str) -> str:
        """Why nobody should run this version; empty: nobody has said so."""
        reasons = (one.withdrawn for one in self.releases if numbers_of(one.version) == numbers_of(version))
        return " ".join(next(reasons, "").split())[:_LONGEST_REASON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The highest of what was believed so far; nothing below it is believed any more."""

    generation: int = 0
    sequence: int = 0


def numbers_of(version: str) -> tuple[int, ...]:
    """Of a release, such as `1.2.3`; empty where it is none."""
    found = VERSION.fullmatch(version)
    return tuple(map(int, found.groups())) if found else ()


def key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def keys_message(payload: bytes) -> bytes:
    """What a root key signs: never what another kind of key could have signed."""
    return _KEYS + payload


def index_message(payload: bytes) -> bytes:
    """What a list's key signs."""
    return _INDEX + payload


def believed(content: bytes, *, roots: Iterable[bytes], seen: Seen, now: datetime) -> tuple[ReleaseIndex, Seen]:
    """The list in a file, and what nothing may be below from now on.

    Args:
        content: the file, whatever it is.
        roots: raw Ed25519 public keys of this program; the signature of one will do.
        seen: what was believed so far.
        now: with a time zone.

    Raises:
        NotBelieved: with the reason.
    """
    if len(content) > LARGEST_BYTES:
        raise NotBelieved(worded("The list of releases is larger than {n} bytes.", n=LARGEST_BYTES))
    envelope = _decoded(content, Envelope)
    keys = _signed_by(envelope.keys, {key_id(one): one for one in roots}, _KEYS, SigningKeys, worded("the root keys"))
    if keys.generation < seen.generation:
        raise NotBelieved(
            worded(
                "The list of releases is signed with keys that were replaced (generation {found}, and {seen} was "
                "seen). Somebody brings back an old one.",
                found=str(keys.generation),
                seen=str(seen.generation),
            )
        )
    _refuse_past(worded("The keys that sign the list of releases"), keys.expires, now)
    public = [_bytes(one) for one in keys.keys]
    index = _signed_by(
        envelope.index, {key_id(one): one for one in public}, _INDEX, ReleaseIndex, worded("its present keys")
    )
    # Numbers begin anew with new keys: whoever has stolen one cannot take the highest number away for ever.
    if keys.generation == seen.generation and index.sequence < seen.sequence:
        raise NotBelieved(
            worded(
                "The list of releases is older than one that was seen (number {found}, and {seen} was seen). Somebody "
                "brings back an old one.",
                found=str(index.sequence),
                seen=str(seen.sequence),
            )
        )
    _refuse_past(worded("The list of releases"), index.expires, now)
    return index, Seen(generation=keys.generation, sequence=index.sequence)


def _signed_by(signed: Signed, keys: Mapping[str, bytes], before: bytes, kind: type[Payload], whose: str) -> Payload:
    """What was signed, once one of these keys has signed it. Nothing in it is looked at before."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    payload = _bytes(signed.payload)
    for name, signature in signed.signatures.items():
        if (public := keys.get(name)) is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(_bytes(signature), before + payload)
        except (InvalidSignature, ValueError):
            continue
        found = _decoded(payload, kind)
        if (number := getattr(found, "format", FORMAT)) != FORMAT:
            raise NotBelieved(
                worded(
                    "The list of releases has format {number}, and this version knows {known}.",
                    number=str(number),
                    known=str(FORMAT),
                )
            )
        return found
    raise NotBelieved(worded("The list of releases is not signed by {whose}.", whose=whose))


def _refuse_past(what: str, end: datetime, now: datetime) -> None:
    if end.tzinfo is None:
        raise NotBelieved(worded("{what} must end at a time with a time zone.", what=what))
    if end <= now:
        raise NotBelieved(
            worded(
                "{what} ended on {day}, and there is no newer one: somebody holds it back, nobody has renewed it, or "
                "this machine's clock is wrong.",
                what=what,
                day=f"{end:%Y-%m-%d}",
            )
        )


def _decoded(content: bytes, kind: type[Payload]) -> Payload:
    try:
        return typed_json.decode(content, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotBelieved(worded("What was answered is no list of releases.")) from error


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotBelieved(worded("What was answered is no list of releases.")) from error
