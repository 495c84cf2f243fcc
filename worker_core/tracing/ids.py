"""The ids of an execution's trace follow from its own, so that every worker that it comes to joins the same one."""

from __future__ import annotations

import hashlib


def trace_number(execution_id: str) -> int:
    """The id of an execution's trace: 128 bits, not 0."""
    return int.from_bytes(_digest("trace", execution_id)[:16], "big") or 1


def span_number(execution_id: str, turn: int) -> int:
    """The id of a turn's span: 64 bits, not 0."""
    return int.from_bytes(_digest(f"turn {turn}", execution_id)[:8], "big") or 1


def _digest(what: str, execution_id: str) -> bytes:
    return hashlib.sha256(f"kubiya {what}\0{execution_id}".encode("utf-8", "surrogatepass")).digest()
