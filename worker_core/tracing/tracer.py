"""What records spans, as its users see it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final, Literal, Protocol

Attribute = str | int | float | bool | list[str]
SpanKind = Literal["internal", "client"]

ROOT: Final = 0
"""The turn of what belongs to the execution as a whole."""


class Span(Protocol):
    """One that has begun."""

    def set(self, attributes: Mapping[str, Attribute]) -> None: ...

    def failed(self, kind: str, sentence: str = "") -> None:
        """`kind`: a word of ours; `sentence`: without anything that a prompt or a tool said."""
        ...


class Tracer(Protocol):
    """What records spans."""

    def span(
        self, name: str, *, execution_id: str, turn: int, kind: SpanKind, attributes: Mapping[str, Attribute]
    ) -> AbstractContextManager[Span]: ...

    def record(
        self,
        name: str,
        *,
        execution_id: str,
        turn: int,
        began_at: datetime,
        ended_at: datetime,
        attributes: Mapping[str, Attribute],
        error: str,
    ) -> None: ...

    def headers(self) -> dict[str, str]: ...

    def flush(self, *, limit_seconds: float) -> None: ...
