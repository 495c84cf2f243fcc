"""What programs ask a name server, and what they are answered (RFC 1035, section 4)."""

from __future__ import annotations

import enum
import struct
from ipaddress import IPv4Address
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

ADDRESS: Final = 1
"""A. The only kind that is answered with something."""

NOTHING_THERE: Final = frozenset({28, 64, 65, 255})
"""AAAA, SVCB, HTTPS, ANY: a name has none of these, and whoever asked goes on with A."""

MOST_BYTES: Final = 512

_TTL_SECONDS: Final = 60
_HEADER: Final = struct.Struct(">6H")
_IS_ANSWER, _OPERATION, _WANTS_RECURSION, _HAS_RECURSION = 0x8000, 0x7800, 0x0100, 0x0080
_INTERNET: Final = 1
_LABEL_BYTES, _NAME_BYTES = 63, 255


class Code(enum.IntEnum):
    """How a question ended."""

    FOUND = 0
    FAILED = 2
    NO_SUCH_NAME = 3
    NOT_IMPLEMENTED = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question (a query is what RFC 1034 calls it)."""

    number: int
    """The asker's own, which it knows the answer by."""

    name: str
    """As it was spelt, without the final dot."""

    kind: int
    recursion: bool
    section: bytes
    """The question as it came: it is repeated in the answer."""


def read_query(datagram: bytes) -> Query:
    """What a program asks.

    Raises:
        ValueError: it is no question, or not one alone.

    """
    if len(datagram) < _HEADER.size:
        raise ValueError("no header")
    number, flags, questions, answers, _, _ = _HEADER.unpack_from(datagram)
    if flags & (_IS_ANSWER | _OPERATION) or questions != 1 or answers:
        raise ValueError("no plain question")
    labels, at = [], _HEADER.size
    while length := datagram[at] if at < len(datagram) else -1:
        label = datagram[at + 1 : at + 1 + length]
        # A pointer (RFC 1035, 4.1.4) has nothing to point to in a question.
        if not 0 < length <= _LABEL_BYTES or len(label) < length or b"." in label or not label.isascii():
            raise ValueError("no name")
        labels.append(label.decode("ascii"))
        at += 1 + length
    end = at + 1 + 4
    if end > len(datagram) or end - 4 - _HEADER.size > _NAME_BYTES:
        raise ValueError("no whole question")
    kind, network = struct.unpack_from(">2H", datagram, at + 1)
    if network != _INTERNET:
        raise ValueError("another network")
    return Query(
        number=number,
        name=".".join(labels),
        kind=kind,
        recursion=bool(flags & _WANTS_RECURSION),
        section=datagram[_HEADER.size : end],
    )


def answer(question: Query, *, code: Code = Code.FOUND, address: IPv4Address | None = None) -> bytes:
    """The datagram that answers a question. Without an address: there is nothing of what was asked for."""
    flags = _IS_ANSWER | _HAS_RECURSION | (_WANTS_RECURSION if question.recursion else 0) | code
    said = _HEADER.pack(question.number, flags, 1, 0 if address is None else 1, 0, 0) + question.section
    if address is not None:
        name_as_asked = 0xC000 | _HEADER.size
        said += struct.pack(">HHHIH4s", name_as_asked, ADDRESS, _INTERNET, _TTL_SECONDS, 4, address.packed)
    return said
