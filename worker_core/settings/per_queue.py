"""A number for one queue: `ID=NUMBER`, in the lists of settings that differ by queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

_LARGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PerQueue:
    """What a setting is for one queue."""

    queue_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.queue_id}={self.number}"


def read_limit(text: str) -> PerQueue:
    """`ID=NUMBER`, the number 1 or more.

    Raises:
        ValueError: it is not that; the message goes on from "X is Y; ".
    """
    made = read_number(text)
    if made.number < 1:
        raise ValueError(worded("the number must be 1 or more"))
    return made


def read_number(text: str) -> PerQueue:
    """`ID=NUMBER`.

    Raises:
        ValueError: it is not that; the message goes on from "X is Y; ".
    """
    queue_id, equals, number = (part.strip() for part in text.rpartition("="))
    if not equals or not queue_id:
        raise ValueError(worded("each must be ID=NUMBER"))
    digits = number.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9 and int(digits) <= _LARGEST):
        raise ValueError(worded("each must be ID=NUMBER, with a whole number"))
    return PerQueue(queue_id=queue_id, number=int(number))


def of_queue(values: Iterable[PerQueue], queue_id: str) -> int | None:
    """What a setting is for a queue: what was said last; None where nothing was."""
    return {value.queue_id: value.number for value in values}.get(queue_id)
