"""The data converter: plain JSON on the wire, as the server expects, read and written by msgspec.

Conversations travel in a payload type of their own, compressed. It is a *type*, not a codec: workflow results, the
`get_state` answer and signals stay plain JSON, which the server decodes itself (protocol, section 7.1).
"""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    BinaryNullPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
)

PACKED_ENCODING = "binary/kubiya-zlib-json"

_COMPRESSION_LEVEL = 3
_UNPACKED_LIMIT_BYTES = 256 * 1024 * 1024


class Packed:
    """Base of dataclasses that are compressed when they become a payload."""

    __slots__ = ()
    packed: ClassVar[bool] = True


class JsonPayloadConverter(EncodingPayloadConverter):
    """`json/plain` through msgspec: dataclasses by their type hints, everything else as plain values."""

    @property
    def encoding(self) -> str:
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        return Payload(metadata={"encoding": self.encoding.encode()}, data=msgspec.json.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return _decode(payload.data, type_hint)


class PackedPayloadConverter(EncodingPayloadConverter):
    """JSON compressed by zlib, for values derived from `Packed`."""

    @property
    def encoding(self) -> str:
        return PACKED_ENCODING

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, Packed):
            return None
        data = zlib.compress(msgspec.json.encode(value), _COMPRESSION_LEVEL)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        inflater = zlib.decompressobj()
        data = inflater.decompress(payload.data, _UNPACKED_LIMIT_BYTES)
        if inflater.unconsumed_tail:
            raise ValueError(f"A packed payload is larger than {_UNPACKED_LIMIT_BYTES} bytes.")
        return _decode(data, type_hint)


def _decode(data: bytes, type_hint: type | None) -> Any:
    if type_hint is None:
        return msgspec.json.decode(data)
    return msgspec.json.decode(data, type=type_hint)


class _PayloadConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), PackedPayloadConverter(), JsonPayloadConverter())


DATA_CONVERTER = DataConverter(payload_converter_class=_PayloadConverter)
"""For every client and worker of this program."""
