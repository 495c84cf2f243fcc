"""What a tool call may use up, for one queue or one skill: `WHOSE.WHAT=AMOUNT`, or a line below `[tool_limits]`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final, Literal, get_args

from worker_core.basics.durations import duration_as_typed, read_duration
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

CallLimitKind = Literal["memory_mb", "processes", "cpu_time", "time"]
"""`cpu_time` is processor time of all its processes, `time` how long it may take; both in seconds."""

KINDS: Final[tuple[CallLimitKind, ...]] = get_args(CallLimitKind)
_TIMES: Final[frozenset[CallLimitKind]] = frozenset({"cpu_time", "time"})
_LARGEST: Final = 1_000_000_000

SKILLS: Final = (
    "shell", "python", "file_system", "sleep", "docker", "file_generation", "data_visualization", "workflow_executor",
    "slack", "contextual_awareness", "knowledge_api", "cognitive_memory", "web_fetch",
)  # fmt: skip
"""The types of skills that a worker has. A test holds them against `tools/registry.py`, which is above this room."""

_NEAR: Final = 0.65
"""As `difflib` measures."""

_QUEUE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimit:
    """One limit; its text is what `read_call_limit` takes."""

    whose: str
    """The id of a queue, or the type or name of a skill (`SKILLS`)."""

    kind: CallLimitKind
    amount: float

    def __str__(self) -> str:
        return f"{self.whose}.{self.kind}={self._amount_as_typed}"

    @property
    def _amount_as_typed(self) -> str:
        if self.kind in _TIMES:
            return duration_as_typed(timedelta(seconds=self.amount))
        return str(int(self.amount))


def read_call_limit(text: str) -> CallLimit:
    """`WHOSE.WHAT=AMOUNT`.

    Raises:
        ValueError: it is not that; the message goes on from "X is Y; ".
    """
    name, equals, amount = (part.strip() for part in text.rpartition("="))
    whose, dot, kind = (part.strip() for part in name.rpartition("."))
    if not (equals and dot and whose) or kind not in KINDS:
        raise ValueError(
            worded(
                "each limit is WHOSE.WHAT=AMOUNT: the id of a queue or the type of a skill, a dot, and {kinds} (such "
                "as python.memory_mb=65536, or shell.time=6h)",
                kinds=", ".join(KINDS),
            )
        )
    found = next(one for one in KINDS if one == kind)
    return CallLimit(whose=whose, kind=found, amount=_amount(found, amount))


def _amount(kind: CallLimitKind, text: str) -> float:
    if kind in _TIMES:
        amount = read_duration(text).total_seconds()
    else:
        plain = text.replace("_", "")
        amount = float(plain) if plain.isascii() and plain.isdecimal() and len(plain) <= 12 else -1.0
    if not 0 < amount <= _LARGEST:
        if kind in _TIMES:
            raise ValueError(worded("{kind} must be a time, and more than 0", kind=kind))
        raise ValueError(worded("{kind} must be a whole number, and more than 0", kind=kind))
    return amount


def limits_for(limits: Iterable[CallLimit], whose: Iterable[str]) -> Mapping[CallLimitKind, float]:
    """What is said for a queue and a skill, whose names these are: of two for the same thing the smaller."""
    names = frozenset(whose)
    found: dict[CallLimitKind, float] = {}
    for one in limits:
        if one.whose in names:
            found[one.kind] = min(one.amount, found.get(one.kind, one.amount))
    return found


def unknown(limits: Iterable[CallLimit], *, queues: Collection[str]) -> Iterator[tuple[CallLimit, str]]:
    """Limits that are for no type of skill and no queue. That is no fault: a skill's own name may stand there.

    Args:
        limits: of the settings.
        queues: ids that the settings name.

    Returns:
        Each with the type that was probably meant; empty: it is like none.
    """
    known = {*SKILLS, *queues}
    for one in limits:
        if one.whose not in known and not _QUEUE_ID.fullmatch(one.whose):
            import difflib  # where something is unknown alone

            written = one.whose.lower().replace("-", "_").replace(" ", "_")
            yield one, next(iter(difflib.get_close_matches(written, SKILLS, n=1, cutoff=_NEAR)), "")
