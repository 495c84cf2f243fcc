"""When a hook runs, and what it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ExitCode, KubiyaError

Occasion = Literal["start", "drain", "before_execution", "after_execution", "waiting", "failed"]

LONGEST: Final = 500
"""Characters of one value: ids and names come from servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What happened. Empty where it does not apply. No prompt, no argument of a tool, no answer, no error text."""

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
        return {name: one_line(value, LONGEST) for name, value in named.items() if value}

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
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return {name: one_line(value, LONGEST) for name, value in named.items() if value}


class HookFailed(KubiyaError):
    """A hook could not be started, ended with an error, or took too long."""

    exit_code = ExitCode.NOT_CONFIGURED
