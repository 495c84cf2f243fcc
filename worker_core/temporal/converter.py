"""The data converter: plain JSON on the wire, as the server expects, read and written by msgspec.

Conversations travel in a payload type of their own, compressed. It is a *type*, not a codec: workflow results, the
`get_state` answer and signals stay plain JSON, which the server decodes itself (protocol, section 7.1).

Workflow code reads and writes payloads, and what it raises is tried again for ever. So no data makes it raise: text
that is no UTF-8 and values nested too deep are repaired on both ways, and what cannot be read at all is a failure,
which ends the execution.
"""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    BinaryNullPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    EncodingPayloadConverter,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError, FailureError

from worker_core.basics import foreign_json, typed_json
from worker_core.basics.whole_text import whole

PACKED_ENCODING = "binary/kubiya-zlib-json"

UNREADABLE = "UnreadablePayload"
"""Error type of a payload that is not what this program understands."""

_COMPRESSION_LEVEL = 3
_UNPACKED_LIMIT_BYTES = 32 * 1024 * 1024
"""The largest that is packed here is a conversation, which is kept below 1.2 MB."""


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
        return Payload(metadata={"encoding": self.encoding.encode()}, data=foreign_json.encode(value))

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
        data = zlib.compress(foreign_json.encode(value), _COMPRESSION_LEVEL)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        inflater = zlib.decompressobj()
        data = inflater.decompress(payload.data, _UNPACKED_LIMIT_BYTES)
        if inflater.unconsumed_tail:
            raise ValueError(f"A packed payload is larger than {_UNPACKED_LIMIT_BYTES} bytes.")
        return _decode(data, type_hint)


def _decode(data: bytes, type_hint: type | None) -> Any:
    hint = Any if type_hint is None else type_hint
    try:
        value: Any = typed_json.decode(data, hint)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = foreign_json.loads(foreign_json.shallow(data.decode("utf-8", "replace")))
        return typed_json.convert(value, hint, strict=False)
    # How deep Python itself can go depends on its stack, and a replay must read the same.
    return foreign_json.tamed(value) if foreign_json.is_too_deep(value) else value


class _PayloadConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), PackedPayloadConverter(), JsonPayloadConverter())

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            return super().from_payloads(payloads, type_hints)
        except FailureError:
            raise
        except Exception as error:  # whatever it is, another try reads the same
            raise ApplicationError(
                f"What Temporal keeps of this execution cannot be read ({whole(str(error))[:300]}).",
                type=UNREADABLE,
                non_retryable=True,
            ) from error


class _FailureConverter(DefaultFailureConverter):
    """Failures whose text is no UTF-8 are told too; the SDK's own would raise while it tells them."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        try:
            super().to_failure(exception, payload_converter, failure)
        except ValueError:
            failure.Clear()
            known = exception if isinstance(exception, ApplicationError) else None
            repaired = ApplicationError(
                whole(exception.message if isinstance(exception, FailureError) else str(exception)),
                *(known.details if known else ()),
                type=whole((known.type or "") if known else type(exception).__name__),
                non_retryable=known.non_retryable if known else False,
                next_retry_delay=known.next_retry_delay if known else None,
            )
            super().to_failure(repaired, payload_converter, failure)
            failure.stack_trace = whole("".join(traceback.format_tb(exception.__traceback__)))


DATA_CONVERTER = DataConverter(payload_converter_class=_PayloadConverter, failure_converter_class=_FailureConverter)
"""What `data_converter` adds masking to; for those that read."""


def data_converter(mask: Callable[[str], str]) -> DataConverter:
    """For a client and its workers. `mask` is applied to the texts of failures, causes and stack traces too."""

    class Masking(_FailureConverter):
        """Temporal's history is read by others, and an exception may quote what it was given."""

        def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
            super().to_failure(exception, payload_converter, failure)
            told = failure
            while True:
                told.message, told.stack_trace = mask(told.message), mask(told.stack_trace)
                if not told.HasField("cause"):
                    break
                told = told.cause

    return replace(DATA_CONVERTER, failure_converter_class=Masking)
