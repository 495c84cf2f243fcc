"""Whether a tool call may run: the policy of this machine, the control plane's enforcer, and what its user answered."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from worker_core.agents.messages import ApprovalWanted, RunTool
from worker_core.agents.workflows.approvals import TIMED_OUT
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.errors import KubiyaError
from worker_core.events import ApprovalAnswered, ApprovalRequested
from worker_core.logs.redaction import masked_data
from worker_core.mcp.tool import McpTool
from worker_core.paths import Paths
from worker_core.policy.audit import AuditLog
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.file import PolicyFile
from worker_core.policy.patterns import slashed
from worker_core.policy.question_text import compose, left_out, shown, written
from worker_core.policy.questions import ApprovalBook, Asked, id_of
from worker_core.policy.rules import Action, Decision, Finding, Subject
from worker_core.policy.subjects import Reader, subjects_of
from worker_core.snapshot import QuestionPart
from worker_core.tools.arguments import WrongArguments
from worker_core.tools.base import Detailed, Tool
from worker_core.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from worker_core.engine.services import Services

log = logging.getLogger(__name__)


class Permissions:
    """What decides on this machine: one per engine."""

    def __init__(self, *, policy: PolicyFile, book: ApprovalBook, audit: AuditLog) -> None:
        self.policy = policy
        self.book = book
        self.audit = audit


def policy_file(paths: Paths) -> PolicyFile:
    """The policy file of an installation, over the built-in rules."""
    own = [slashed(str(folder.resolve())) for folder in (paths.config, paths.state, paths.runtime)]
    return PolicyFile(paths.policy_file, built_in=built_in_rules(own_folders=own))


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The sentence is for the model."""

    sentence: str


class NotRecorded(KubiyaError):
    """The audit log cannot be written: nothing runs that it would not know of."""


async def decide(
    services: Services, request: RunTool, tool: Tool, arguments: Mapping[str, Any]
) -> Denied | ApprovalWanted | None:
    """None: it may run. Nothing that is denied or asked has come to any effect.

    Args:
        services: of the queue.
        request: the call, as Temporal gave it. What it is called there decides nothing.
        tool: what would run.
        arguments: of the call.

    Raises:
        NotRecorded: the audit log cannot be written.

    """
    try:
        return await _Case(services, request, tool, arguments).decide()
    except OSError as error:
        raise NotRecorded(
            f"The call was not made: the decision about it cannot be written down ({error.strerror or error})."
        ) from error


async def further(services: Services, request: RunTool, tool: Tool, read: Callable[[Reader], Iterable[Subject]]) -> str:
    """Why a call that is under way may not touch what came up in it, as a sentence; empty where it may.

    Nobody can be asked in the middle of a call: what would have to be asked about is refused.
    """
    return await _Case(services, request, tool, {}).further(read)


class _Case:
    """One call that is to be decided."""

    def __init__(self, services: Services, request: RunTool, tool: Tool, arguments: Mapping[str, Any]) -> None:
        self._services = services
        self._tool = tool
        self._request = request
        self._name = tool.spec.name
        self._arguments = arguments
        self._permissions = services.permissions
        self._book = services.permissions.book
        self._execution_id = request.execution_id
        self._call_id = request.call.call_id
        what = tool.identity if isinstance(tool, McpTool) else request.skills
        self._digest = hashlib.sha256(
            json.dumps([self._name, what, arguments], sort_keys=True, default=str).encode()
        ).hexdigest()

    async def decide(self) -> Denied | ApprovalWanted | None:
        try:
            decision = await asyncio.to_thread(self._decision, partial(self._tool.subjects, self._arguments))
        except (WrongArguments, KubiyaError) as error:  # nothing to decide about: it could not run
            return Denied(sentence=str(error))
        if decision.action is Action.DENY:
            return await self._deny(f"by the policy of this machine: {decision.sentence}", decision)
        if (refused := await self._by_enforcer()) is not None:
            return await self._deny(refused, decision)
        if decision.action is Action.ALLOW:
            await self._record("allow", decision)
            return None
        granted = self._book.granted(self._execution_id)
        asking = tuple(one for one in decision.asking if one.subject.key not in granted)
        if not asking:
            await self._record("allow", decision, by="an earlier answer for this execution")
            return None
        match self._services.settings.approvals:
            case "deny":
                return await self._deny(f"since nobody can be asked: {decision.sentence}", decision)
            case "allow":
                await self._record("allow", decision, by="the setting `approvals`")
                return None
        return await self._answered(decision, asking)

    def _decision(self, read: Callable[[Reader], Iterable[Subject]]) -> Decision:
        workspace = Workspace.open(self._services.workspaces, self._execution_id).path
        policy = self._permissions.policy.current()
        here = slashed(str(workspace))
        reader = Reader(workspace, denied=policy.denied_words(here))
        return policy.decide(subjects_of(self._name, read(reader)), tool=self._name, workspace=here)

    async def further(self, read: Callable[[Reader], Iterable[Subject]]) -> str:
        decision = await asyncio.to_thread(self._decision, read)
        granted = self._book.granted(self._execution_id)
        asking = [one for one in decision.asking if one.subject.key not in granted]
        if decision.action is Action.ALLOW or (
            decision.action is Action.ASK and (not asking or self._services.settings.approvals == "allow")
        ):
            return ""
        why = "" if decision.action is Action.DENY else " Nobody can be asked in the middle of a call."
        await self._record("deny", decision, why=f"in the middle of the call: {decision.sentence}")
        return f"{decision.sentence}.{why}"

    async def _by_enforcer(self) -> str | None:
        """Why the control plane refuses; None where it does not, or is not asked."""
        services = self._services
        if not services.settings.enforcer:
            return None
        try:
            verdict = await services.client.enforce(
                {
                    "action": "tool_execution",
                    "tool": {
                        "name": self._name,
                        "arguments": masked_data(self._arguments, services.redactor.mask),
                        "source": "agent",
                        "category": "tool",
                        "risk_level": "medium",
                    },
                    "execution": {
                        "execution_id": self._execution_id,
                        "agent_id": self._request.entity_id,
                        "environment": "",
                        "timestamp": datetime.now(UTC).isoformat(),
                    },
                    "metadata": {},
                }
            )
        except (ControlPlaneError, ValueError) as error:
            if services.settings.enforcer_required:
                return f"since the control plane's enforcer did not answer, and the settings require it ({error})"
            log.warning("The control plane's enforcer did not answer; the call is decided without it. %s", error)
            return None
        if verdict.allow:
            return None
        names = ", ".join(str(one)[:80] for one in verdict.policies[:5])
        return f"by the control plane's enforcer{f' (policies: {names})' if names else ''}"

    # --- answers ------------------------------------------------------------------------------------------

    async def _answered(self, decision: Decision, asking: tuple[Finding, ...]) -> Denied | ApprovalWanted | None:
        local = self._book.get(self._execution_id, self._call_id, digest=self._digest)
        claimed = self._request.answer
        if local is not None and local.answer:
            return await self._take(decision, asking, local)
        if claimed == TIMED_OUT:
            self._book.expire(self._execution_id, self._call_id)
            seconds = self._services.settings.approval_timeout.total_seconds()
            await self._tell("timeout", decision, by="time-out")
            return Denied(
                sentence=f"This call was denied by time-out: its user was asked, and did not answer in {seconds:g} s."
            )
        if claimed == "deny":
            self._book.expire(self._execution_id, self._call_id)
            await self._tell("deny", decision, by="the control plane")
            return Denied(sentence="This call was denied by somebody on the control plane.")
        if claimed.startswith("allow"):
            if self._services.settings.remote_approvals and await self._was_shown_whole(asking):
                self._book.expire(self._execution_id, self._call_id)
                if claimed == "allow execution":
                    self._book.grant(self._execution_id, frozenset(one.subject.key for one in asking))
                await self._tell("allow", decision, by="the control plane")
                return None
            log.warning(
                "The control plane allowed a call of %s, which does not count here (%s). It waits for this machine's "
                "user.",
                self._name,
                "it was not shown all of it"
                if self._services.settings.remote_approvals
                else "`remote_approvals` is off",
            )
        return await self._ask(decision, asking)

    async def _take(self, decision: Decision, asking: tuple[Finding, ...], local: Asked) -> Denied | None:
        if local.answer == "deny":
            await self._tell("deny", decision, by=local.by)
            return Denied(sentence=f"This call was denied by {local.by}.")
        if local.scope != "once":
            self._book.grant(self._execution_id, frozenset(one.subject.key for one in asking))
        if local.scope == "always" and all(one.subject.is_lasting for one in asking):
            note = f"Answered on {datetime.now(UTC):%Y-%m-%d}."
            try:
                await asyncio.to_thread(self._permissions.policy.allow_always, asking, tool=self._name, note=note)
            except (KubiyaError, OSError) as error:
                log.error("The rule could not be written; the answer holds for this execution. %s", error)
        await self._tell("allow", decision, by=local.by, scope=local.scope)
        return None

    async def _ask(self, decision: Decision, asking: tuple[Finding, ...]) -> ApprovalWanted:
        services = self._services
        now = datetime.now(UTC)
        parts = await asyncio.to_thread(self._question, asking)
        asked = Asked(
            id=id_of(self._execution_id, self._call_id),
            execution_id=self._execution_id,
            call_id=self._call_id,
            workflow_id=_workflow_id(),
            queue_id=services.queue_id,
            tool=self._name,
            digest=self._digest,
            parts=parts,
            asked_at=now,
            expires_at=now + services.settings.approval_timeout,
            lasts=all(one.subject.is_lasting for one in asking),
        )
        known = self._book.get(self._execution_id, self._call_id, digest=self._digest)
        if self._book.ask(asked):
            await self._record("ask", decision, approval=asked.id, subjects=[one.subject.text for one in asking])
            seen = shown(parts)
            services.outbox.lane(self._execution_id).publish(
                "approval_requested",
                {
                    "approval_id": asked.id,
                    "tool_name": asked.tool,
                    "tool_execution_id": self._call_id,
                    "summary": "\n".join(written(seen)),
                    "parts": msgspec.to_builtins(seen),
                    "left_out": left_out(seen),
                    "expires_at": asked.expires_at.isoformat(),
                    "message": f"{asked.tool} waits for an approval",
                },
            )
            services.bus.publish(
                ApprovalRequested(
                    approval_id=asked.id,
                    execution_id=self._execution_id,
                    tool_name=asked.tool,
                )
            )
            log.warning("%s waits for an approval (%s): %s", asked.tool, asked.id, seen[-1].text.replace("\n", "; "))
        return ApprovalWanted(id=asked.id, expires_at=(known or asked).expires_at.isoformat())

    def _question(self, asking: tuple[Finding, ...] = ()) -> tuple[QuestionPart, ...]:
        """In a thread: arguments may be long."""
        workspace = str(Workspace.open(self._services.workspaces, self._execution_id).path)
        return compose(
            self._arguments,
            asking=asking,
            workspace=workspace,
            also=self._tool.details(self._arguments) if isinstance(self._tool, Detailed) else (),
            redactor=self._services.redactor,
        )

    async def _was_shown_whole(self, asking: tuple[Finding, ...]) -> bool:
        return not left_out(shown(await asyncio.to_thread(self._question, asking)))

    # --- records ------------------------------------------------------------------------------------------

    async def _deny(self, sentence: str, decision: Decision) -> Denied:
        await self._record("deny", decision, why=sentence)
        return Denied(sentence=f"This call was denied {sentence}.")

    async def _tell(self, answer: str, decision: Decision, *, by: str, scope: str = "once") -> None:
        await self._record("answer", decision, answer=answer, by=by, scope=scope)
        services = self._services
        services.outbox.lane(self._execution_id).publish(
            "approval_answered",
            {
                "approval_id": id_of(self._execution_id, self._call_id),
                "tool_name": self._name,
                "tool_execution_id": self._call_id,
                "answer": answer,
                "scope": scope,
                "by": by,
                "message": f"{self._name}: {answer} ({by})",
            },
        )
        services.bus.publish(
            ApprovalAnswered(
                approval_id=id_of(self._execution_id, self._call_id),
                execution_id=self._execution_id,
                answer=answer,
                by=by,
            )
        )

    async def _record(self, kind: str, decision: Decision, **facts: Any) -> None:
        about: dict[str, Any] = {
            "execution": self._execution_id,
            "call": self._call_id,
            "tool": self._name,
        }
        about["rule"] = f"{decision.finding.rule_text} [{decision.rule.place}]"

        def record() -> None:
            if kind != "allow":
                about["arguments"] = "\n".join(written(shown(self._question())))
                about["decision"] = decision.sentence
            self._permissions.audit.record(kind, **about, **facts)

        await asyncio.to_thread(record)


def _workflow_id() -> str:
    from temporalio import activity

    return activity.info().workflow_id or ""
