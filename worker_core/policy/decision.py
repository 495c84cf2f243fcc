"""Whether a tool call may run: the policy of this machine, the control plane's enforcer, and what its user answered."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import in_english
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.errors import KubiyaError
from worker_core.events import ApprovalAnswered, ApprovalRequested, EventBus
from worker_core.logs.redaction import Redactor
from worker_core.paths import Paths
from worker_core.policy.audit import AuditLog
from worker_core.policy.builtin import built_in_of
from worker_core.policy.enforcer import Enforcer
from worker_core.policy.file import PolicyFile, rules_for
from worker_core.policy.patterns import slashed
from worker_core.policy.question_text import compose, left_out, shown, written
from worker_core.policy.questions import ApprovalBook, Asked, id_of
from worker_core.policy.rules import Action, Decision, Finding, Subject
from worker_core.sandbox.launcher import WORKSPACE_ALONE, WorkPlace
from worker_core.settings import Settings, SettingsInForce
from worker_core.snapshot import QuestionPart
from worker_core.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from worker_core.policy.subjects import OwnPlaces, Reader

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that is to be decided about."""

    tool: str
    """Its name."""

    bound_to: object
    """What an answer is bound to besides name and arguments, as JSON can hold it: the tool's configuration, or the
    server's whose it is."""

    arguments: Mapping[str, Any]
    subjects: Callable[[Reader], Iterable[Subject]]
    """What it touches beside the tool itself. Raises KubiyaError where it could not run at all."""

    own: OwnPlaces
    """What processes that it starts have for themselves: nothing there needs a question."""

    details: Callable[[], Sequence[tuple[str, str]]] = tuple
    """What whoever is asked is shown besides the arguments. Never fails."""

    execution_id: str
    call_id: str
    entity_id: str
    """Of the agent or team."""

    workflow_id: str
    queue_id: str
    """Where the answer is told."""

    place: WorkPlace = WORKSPACE_ALONE
    """Where the execution works, as far as this tool comes there."""

    claim: str = ""
    """What the workflow heard as the answer: `allow`, `allow execution`, `deny`, `timeout`; empty: nothing. It is
    judged here.
    """


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The sentence is for the model."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """It has come to no effect, and its user must be asked. The question stands in the book."""

    id: str
    expires_at: datetime


Ruling = Allowed | Denied | Ask


class NotRecorded(KubiyaError):
    """The audit log cannot be written: nothing runs that it would not know of."""


def policy_file(paths: Paths) -> PolicyFile:
    """The policy file of an installation, over the built-in rules."""
    return PolicyFile(paths.policy_file, built_in=built_in_of(paths))


class Permissions:
    """What decides on this machine: one per engine."""

    def __init__(
        self,
        *,
        policy: PolicyFile,
        book: ApprovalBook,
        audit: AuditLog,
        enforcer: Enforcer,
        settings: SettingsInForce,
        outbox: Outbox,
        bus: EventBus,
        redactor: Redactor,
        workspaces: Path,
    ) -> None:
        """Nothing is read or written before there is something to decide.

        Args:
            policy: the rules.
            book: what was asked and answered.
            audit: every decision is written there.
            enforcer: the control plane's, asked after the policy.
            settings: what becomes of questions.
            outbox: tells viewers of questions and answers.
            bus: tells this machine's.
            redactor: masks what is shown.
            workspaces: the folder of all executions' workspaces.
        """
        self.policy = policy
        self.book = book
        self.audit = audit
        self.enforcer = enforcer
        self._in_force = settings
        self.outbox = outbox
        self.bus = bus
        self.redactor = redactor
        self.workspaces = workspaces

    @property
    def settings(self) -> Settings:
        """What becomes of questions now."""
        return self._in_force.current

    async def decide(self, call: Call) -> Ruling:
        """Whether it may run. Nothing that is denied or asked has come to any effect.

        Raises:
            NotRecorded: the audit log cannot be written.

        """
        try:
            return await _Case(self, call).decide()
        except OSError as error:
            raise NotRecorded(
                f"The call was not made: the decision about it cannot be written down ({error.strerror or error})."
            ) from error

    async def further(self, call: Call, read: Callable[[Reader], Iterable[Subject]]) -> str:
        """Why a call that is under way may not touch what came up in it, as a sentence; empty where it may.

        Nobody can be asked in the middle of a call: what would have to be asked about is refused.
        """
        return await _Case(self, call).further(read)

    def tell_asked(self, asked: Asked) -> None:
        """Whoever looks on hears that a question stands in the book."""
        seen = shown(asked.parts)
        data = {
            "approval_id": asked.id,
            "tool_name": asked.tool,
            "tool_execution_id": asked.call_id,
            "summary": "\n".join(written(seen)),
            "parts": in_english(msgspec.to_builtins(seen)),
            "left_out": left_out(seen),
            "expires_at": asked.expires_at.isoformat(),
            "message": f"{asked.tool} {'asks its user' if asked.in_call else 'waits for an approval'}",
        }
        if asked.in_call:
            data |= {"in_call": True, "fields": in_english(msgspec.to_builtins(asked.fields))}
        self.outbox.lane(asked.execution_id).publish("approval_requested", data)
        self.bus.publish(ApprovalRequested(approval_id=asked.id, execution_id=asked.execution_id, tool_name=asked.tool))

    def tell_answered(self, call: Call, approval_id: str, answer: str, *, by: str, scope: str = "once") -> None:
        """Whoever looks on hears what became of a question."""
        self._told(call.execution_id, call.call_id, call.tool, approval_id, answer, by=by, scope=scope)

    def tell_answer(self, asked: Asked, answer: str, *, by: str) -> None:
        """The same, of a question that is about no call of a tool."""
        self._told(asked.execution_id, asked.call_id, asked.tool, asked.id, answer, by=by, scope="once")

    def _told(
        self, execution_id: str, call_id: str, tool: str, approval_id: str, answer: str, *, by: str, scope: str
    ) -> None:
        self.outbox.lane(execution_id).publish(
            "approval_answered",
            {
                "approval_id": approval_id,
                "tool_name": tool,
                "tool_execution_id": call_id,
                "answer": answer,
                "scope": scope,
                "by": by,
                "message": f"{tool}: {answer} ({by})",
            },
        )
        self.bus.publish(ApprovalAnswered(approval_id=approval_id, execution_id=execution_id, answer=answer, by=by))

    def record(self, call: Call, kind: str, **facts: Any) -> None:
        """Write into the audit log what is decided about a call. Blocks.

        Raises:
            OSError: it cannot be written.
        """
        self.audit.record(kind, execution=call.execution_id, call=call.call_id, tool=call.tool, **facts)


def digest_of(call: Call) -> str:
    """What an answer is bound to."""
    content = json.dumps([call.tool, call.bound_to, call.arguments], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


class _Case:
    """One call that is to be decided."""

    def __init__(self, permissions: Permissions, call: Call) -> None:
        self._permissions = permissions
        self._call = call
        self._book = permissions.book
        self._settings = permissions.settings
        self._execution_id = call.execution_id
        self._digest = digest_of(call)

    async def decide(self) -> Ruling:
        try:
            decision = await asyncio.to_thread(self._decision, self._call.subjects)
        except KubiyaError as error:  # nothing to decide about: it could not run
            return Denied(sentence=str(error))
        if decision.action is Action.DENY:
            return await self._deny(f"by the policy of this machine: {decision.sentence}", decision)
        if refused := await self._permissions.enforcer.refusal(
            tool=self._call.tool,
            arguments=self._call.arguments,
            execution_id=self._execution_id,
            entity_id=self._call.entity_id,
        ):
            return await self._deny(refused, decision)
        if decision.action is Action.ALLOW:
            await self._record("allow", decision)
            return Allowed()
        granted = self._book.granted(self._execution_id)
        asking = tuple(one for one in decision.asking if one.subject.key not in granted)
        if not asking:
            await self._record("allow", decision, by="an earlier answer for this execution")
            return Allowed()
        match self._settings.approvals:
            case "deny":
                return await self._deny(f"since nobody can be asked: {decision.sentence}", decision)
            case "allow":
                await self._record("allow", decision, by="the setting `approvals`")
                return Allowed()
        return await self._answered(decision, asking)

    def _decision(self, read: Callable[[Reader], Iterable[Subject]]) -> Decision:
        from worker_core.policy.subjects import Reader, subjects_of  # what reads lines of a shell: with the first call

        workspace = Workspace.open(self._permissions.workspaces, self._execution_id).path
        policy = self._permissions.policy.current()
        here = slashed(str(workspace))
        try:
            reader = Reader(workspace, denied=policy.denied_words(here), own=self._call.own, place=self._call.place)
            return policy.decide(subjects_of(self._call.tool, read(reader)), tool=self._call.tool, workspace=here)
        except OSError as error:  # a device, or a drive that does not answer: it says nothing of the audit log
            where = f": {str(error.filename)[:200]}" if error.filename else ""
            raise KubiyaError(
                f"This call was denied: what it names cannot be looked at ({error.strerror or error}{where})."
            ) from error

    def _here(self) -> str:
        return slashed(str(Workspace.open(self._permissions.workspaces, self._execution_id).path))

    async def further(self, read: Callable[[Reader], Iterable[Subject]]) -> str:
        try:
            decision = await asyncio.to_thread(self._decision, read)
        except KubiyaError as error:
            return error.sentence
        granted = self._book.granted(self._execution_id)
        asking = [one for one in decision.asking if one.subject.key not in granted]
        if decision.action is Action.ALLOW or (
            decision.action is Action.ASK and (not asking or self._settings.approvals == "allow")
        ):
            return ""
        why = "" if decision.action is Action.DENY else " Nobody can be asked in the middle of a call."
        await self._record("deny", decision, why=f"in the middle of the call: {decision.sentence}")
        return f"{decision.sentence}.{why}"

    # --- answers ------------------------------------------------------------------------------------------

    async def _answered(self, decision: Decision, asking: tuple[Finding, ...]) -> Ruling:
        local = self._book.get(self._execution_id, self._call.call_id, digest=self._digest)
        claimed = self._call.claim
        if local is not None and local.answer:
            return await self._take(decision, asking, local)
        if claimed == "timeout":
            self._book.expire(self._execution_id, self._call.call_id)
            seconds = self._settings.approval_timeout.total_seconds()
            await self._tell("timeout", decision, by="time-out")
            return Denied(
                sentence=f"This call was denied by time-out: its user was asked, and did not answer in {seconds:g} s."
            )
        if claimed == "deny":
            self._book.expire(self._execution_id, self._call.call_id)
            await self._tell("deny", decision, by="the control plane")
            return Denied(sentence="This call was denied by somebody on the control plane.")
        if claimed.startswith("allow"):
            if self._settings.remote_approvals and await self._was_shown_whole(asking):
                self._book.expire(self._execution_id, self._call.call_id)
                if claimed == "allow execution":
                    self._book.grant(self._execution_id, frozenset(one.subject.key for one in asking))
                await self._tell("allow", decision, by="the control plane")
                return Allowed()
            log.warning(
                "The control plane allowed a call of %s, which does not count here (%s). It waits for this machine's "
                "user.",
                self._call.tool,
                "it was not shown all of it" if self._settings.remote_approvals else "`remote_approvals` is off",
            )
        return await self._ask(decision, asking)

    async def _take(self, decision: Decision, asking: tuple[Finding, ...], local: Asked) -> Allowed | Denied:
        if local.answer == "deny":
            await self._tell("deny", decision, by=local.by)
            return Denied(sentence=f"This call was denied by {local.by}.")
        if local.scope != "once":
            self._book.grant(self._execution_id, frozenset(one.subject.key for one in asking))
        if local.scope == "always" and all(one.subject.is_lasting for one in asking):
            note = f"Answered on {datetime.now(UTC):%Y-%m-%d}."
            try:
                await asyncio.to_thread(
                    self._permissions.policy.allow_always,
                    asking,
                    tool=self._call.tool,
                    note=note,
                    own_rule=local.own_rule,
                    workspace=self._here(),
                )
            except (KubiyaError, OSError) as error:
                log.error("The rule could not be written; the answer holds for this execution. %s", error)
        await self._tell("allow", decision, by=local.by, scope=local.scope)
        return Allowed()

    async def _ask(self, decision: Decision, asking: tuple[Finding, ...]) -> Ask:
        now = datetime.now(UTC)
        parts = await asyncio.to_thread(self._question, asking)
        here = await asyncio.to_thread(self._here)
        lasts = all(one.subject.is_lasting for one in asking)
        rule = rules_for(asking, tool=self._call.tool).strip() if lasts else ""
        asked = Asked(
            id=id_of(self._execution_id, self._call.call_id),
            execution_id=self._execution_id,
            call_id=self._call.call_id,
            workflow_id=self._call.workflow_id,
            queue_id=self._call.queue_id,
            tool=self._call.tool,
            digest=self._digest,
            parts=parts,
            asked_at=now,
            expires_at=now + self._settings.approval_timeout,
            lasts=lasts,
            rule=self._permissions.redactor.mask(rule),
            workspace=here if rule else "",
        )
        known = self._book.get(self._execution_id, self._call.call_id, digest=self._digest)
        if self._book.ask(asked):
            await self._record("ask", decision, approval=asked.id, subjects=[one.subject.text for one in asking])
            self._permissions.tell_asked(asked)
            last = shown(parts)[-1].text.replace("\n", "; ")
            log.warning("%s waits for an approval (%s): %s", asked.tool, asked.id, last)
        return Ask(id=asked.id, expires_at=(known or asked).expires_at)

    def _question(self, asking: tuple[Finding, ...] = ()) -> tuple[QuestionPart, ...]:
        """In a thread: arguments may be long."""
        workspace = Workspace.open(self._permissions.workspaces, self._execution_id).path
        return compose(
            self._call.arguments,
            asking=asking,
            workspace=str(self._call.place.start or workspace),
            also=self._call.details(),
            redactor=self._permissions.redactor,
        )

    async def _was_shown_whole(self, asking: tuple[Finding, ...]) -> bool:
        return not left_out(shown(await asyncio.to_thread(self._question, asking)))

    # --- records ------------------------------------------------------------------------------------------

    async def _deny(self, sentence: str, decision: Decision) -> Denied:
        await self._record("deny", decision, why=sentence)
        return Denied(sentence=f"This call was denied {sentence}.")

    async def _tell(self, answer: str, decision: Decision, *, by: str, scope: str = "once") -> None:
        await self._record("answer", decision, answer=answer, by=by, scope=scope)
        asked = id_of(self._execution_id, self._call.call_id)
        self._permissions.tell_answered(self._call, asked, answer, by=by, scope=scope)

    async def _record(self, kind: str, decision: Decision, **facts: Any) -> None:
        def record() -> None:
            about = {"rule": f"{decision.finding.rule_text} [{decision.rule.place}]"}
            if kind != "allow":
                about["arguments"] = "\n".join(written(shown(self._question())))
                about["decision"] = decision.sentence
            self._permissions.record(self._call, kind, **about, **facts)

        await asyncio.to_thread(record)
