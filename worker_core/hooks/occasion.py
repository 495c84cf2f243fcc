"""When a hook runs, and what it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ExitCode, KubiyaError

Occasion = Literal["start", "drain", "before_execution", "after_execution", "waiting", "failed", "quiet_over", "test"]

LONGEST: Final = 500
"""Characters of one value: ids and names come from servers."""

LONGEST_QUESTION: Final = 8_000
"""Characters of a question that is shown."""

MOST_CALLS: Final = 20
"""Of those that are told at once, named one by one; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What happened. Empty where it does not apply. No prompt, no answer, no error text; arguments of a tool in
    `question` alone.
    """

    occasion: Occasion
    host_id: str
    execution_id: str = ""
    queue_id: str = ""
    agent_id: str = ""
    workspace: str = ""
    outcome: str = ""
    """Of an execution: `completed`, `failed` or `cancelled`; `worker`: the worker itself failed."""

    approval_id: str = ""
    tool: str = ""
    """What waits: the id of the question, and the tool that asks for it."""

    at: str = ""
    """When it happened (ISO 8601), where that is not now."""

    calls: tuple[Told, ...] = ()
    """What was kept back in quiet hours, where it was more than one."""

    question: str = ""
    """What the call would do, its secrets masked, where the owner wants that told (`notify_details`)."""

    code: str = ""
    """Whoever answers says it. Empty: nobody can answer from there."""

    answers: tuple[Literal["allow", "deny"], ...] = ()
    """Which ones count from there."""

    def count(self, occasion: Occasion) -> int:
        """How many of `calls` there are of one kind."""
        return sum(one.occasion == occasion for one in self.calls)

    def environment(self) -> dict[str, str]:
        """For a program."""
        named = {
            "KUBIYA_HOOK": self.occasion,
            "KUBIYA_HOST_ID": self.host_id,
            "KUBIYA_EXECUTION_ID": self.execution_id,
            "KUBIYA_QUEUE_ID": self.queue_id,
            "KUBIYA_AGENT_ID": self.agent_id,
            "KUBIYA_WORKSPACE": self.workspace,
            "KUBIYA_OUTCOME": self.outcome,
            "KUBIYA_APPROVAL_ID": self.approval_id,
            "KUBIYA_TOOL": self.tool,
        }
        if self.calls:
            named |= {"KUBIYA_WAITING": str(self.count("waiting")), "KUBIYA_FAILED": str(self.count("failed"))}
        if self.code:
            named |= {"KUBIYA_ANSWER_CODE": self.code, "KUBIYA_ANSWERS": " ".join(self.answers)}
        said = {name: one_line(value, LONGEST) for name, value in named.items() if value}
        return said | ({"KUBIYA_QUESTION": self.question[:LONGEST_QUESTION]} if self.question else {})

    def message(self) -> dict[str, Any]:
        """For a webhook."""
        named = {
            "event": self.occasion,
            "host_id": self.host_id,
            "execution_id": self.execution_id,
            "queue_id": self.queue_id,
            "agent_id": self.agent_id,
            "outcome": self.outcome,
            "approval_id": self.approval_id,
            "tool": self.tool,
            "at": self.at or now(),
        }
        said: dict[str, Any] = {name: one_line(value, LONGEST) for name, value in named.items() if value}
        if self.question:
            said["question"] = self.question[:LONGEST_QUESTION]
        if self.code:
            said |= {"code": self.code, "answers": list(self.answers)}
        if self.calls:
            said |= {"waiting": self.count("waiting"), "failed": self.count("failed")}
            said["calls"] = [one.message() for one in self.calls[:MOST_CALLS]]
        return said


def now() -> str:
    """In UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class HookFailed(KubiyaError):
    """A hook could not be started, ended with an error, or took too long."""

    exit_code = ExitCode.NOT_CONFIGURED
