"""Questions as snapshots and events have them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from worker_core.snapshot import ApprovalView, QuestionPart


def parts(**texts: str) -> tuple[QuestionPart, ...]:
    """One part for each name."""
    return tuple(QuestionPart(name=name, text=text) for name, text in texts.items())


def view(approval_id: str, *, at: datetime, tool: str = "shell", left_out: int = 0, **texts: str) -> ApprovalView:
    """A question that waits for five minutes more."""
    facts: dict[str, Any] = {"asked_at": at, "expires_at": at + timedelta(minutes=5)}
    return ApprovalView(id=approval_id, execution_id="e1", tool=tool, parts=parts(**texts), left_out=left_out, **facts)
