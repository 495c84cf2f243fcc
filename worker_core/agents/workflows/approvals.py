"""Workflow code: answers to what must be asked, and the durable wait for them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from temporalio import workflow

from worker_core.agents.messages import APPROVAL_TIMED_OUT, BudgetAnswer
from worker_core.basics.quick_dataclass import dataclass

_KEPT = 200
"""Answers that nobody has asked for yet; more than these are dropped, the oldest first."""

_LARGEST_CONTENT = 100_000
"""Characters, as JSON, of what is filled in."""


@dataclass(slots=True)
class Approvals:
    """What was answered, by call. An answer here is a claim: the home machine decides whether it counts."""

    answers: dict[str, str] = field(default_factory=dict)
    contents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was filled in, where a call asks for something."""

    def take(self, raw: object) -> None:
        """A signal: `{call_id, answer: allow|deny, scope: once|execution|always, by, content: {name: value}}`."""
        if not isinstance(raw, Mapping):
            return
        call_id, answer, scope = raw.get("call_id"), raw.get("answer"), raw.get("scope")
        if isinstance(call_id, str) and call_id and answer in {"allow", "deny"}:
            wide = answer == "allow" and scope in {"execution", "always"}
            self.answers[call_id] = "allow execution" if wide else str(answer)
            content = raw.get("content")
            self.contents.pop(call_id, None)
            if isinstance(content, Mapping) and len(json.dumps(content, default=str)) <= _LARGEST_CONTENT:
                self.contents[call_id] = {str(name): value for name, value in content.items()}
            while len(self.answers) > _KEPT:
                oldest = next(iter(self.answers))
                del self.answers[oldest]
                self.contents.pop(oldest, None)

    async def wait(self, call_id: str, *, until: datetime) -> str:
        """`allow`, `allow execution`, `deny` or `timeout`. The timer and the wait outlive any worker."""
        left = until - workflow.now()
        if left.total_seconds() > 0:
            try:
                await workflow.wait_condition(lambda: call_id in self.answers, timeout=left)
            except TimeoutError:
                return APPROVAL_TIMED_OUT
        answer: Any = self.answers.pop(call_id, APPROVAL_TIMED_OUT)
        return str(answer)

    def content(self, call_id: str) -> dict[str, Any] | None:
        """What came with the answer that was waited for."""
        return self.contents.pop(call_id, None)

    async def heard(self, call_id: str, *, until: datetime) -> BudgetAnswer:
        """The same about a question that several wait for: the answer stays, for all of them."""
        left = until - workflow.now()
        if left.total_seconds() > 0:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: call_id in self.answers, timeout=left)
        answer = self.answers.get(call_id, APPROVAL_TIMED_OUT)
        return BudgetAnswer(call_id=call_id, answer=answer, content=self.contents.get(call_id))
