"""What this machine has asked its user, and what was answered: on disk, so that it outlives the worker.

An answer counts because it stands here: only this machine's user writes it. What a workflow is told is a claim.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.clocks import steady
from worker_core.basics.files import write_private
from worker_core.basics.sentences import worded
from worker_core.basics.visible import visible
from worker_core.errors import KubiyaError
from worker_core.paths import is_private, private_directory
from worker_core.policy.form import content_of
from worker_core.policy.question_text import left_out, seal, shown
from worker_core.snapshot import NOTHING, ApprovalView, QuestionField, QuestionPart, Scope, WholeQuestion
from worker_core.workspaces.workspace import safe_name

_KEPT_AFTER = timedelta(days=2)
_GRANTS = "granted.json"

FORMAT = 2
"""Of what is kept. What a later version wrote may mean less than it says here, so it is asked anew: 2 has rules of the
user's own, for which an earlier one would write its own.
"""


class NoSuchApproval(KubiyaError):
    """Nothing with this id waits for an answer."""


class NotRead(KubiyaError):
    """A call was to be allowed that had not been shown whole."""


class NotLasting(KubiyaError):
    """A call was to be allowed for always that is another one each time."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question."""

    id: str
    execution_id: str
    call_id: str
    workflow_id: str
    queue_id: str
    tool: str
    digest: str
    """Of the tool and its arguments: an answer is about these alone."""

    parts: tuple[QuestionPart, ...]
    """What it asks, whole."""

    asked_at: datetime
    expires_at: datetime
    lasts: bool = True
    """It may be allowed for always."""

    rule: str = ""
    """What would be written to the policy then; empty in what an earlier version asked."""

    in_call: bool = False
    """Asked by a call that is under way, for its server."""

    fields: tuple[QuestionField, ...] = ()
    state: str = ""
    """What such a call needs to go on where this worker has forgotten it."""

    content: dict[str, Any] = msgspec.field(default_factory=dict)
    """What was filled in."""

    answer: Literal["", "allow", "deny"] = ""
    scope: Scope = "once"
    by: str = ""
    told: bool = False
    """The workflow knows of the answer."""

    workspace: str = ""
    """Of its execution, absolute, `/` between its parts; empty in what an earlier version asked."""

    own_rule: str = ""
    """What is written to the policy instead of `rule`, in an answer for always."""

    format: int = 1


def id_of(execution_id: str, call_id: str) -> str:
    """Short enough to type."""
    return hashlib.sha256(f"{execution_id}/{call_id}".encode("utf-8", "surrogatepass")).hexdigest()[:8]


class ApprovalBook:
    """Belongs to one event loop. Writes are small, and on disk when a call returns."""

    def __init__(self, folder: Path, *, on_change: Callable[[], None] = lambda: None) -> None:
        """Reads what an earlier worker left. Never fails: what cannot be read is asked anew."""
        self._folder = folder
        self._on_change = on_change
        self._asked: dict[tuple[str, str], Asked] = {}
        self._granted: dict[str, set[str]] = {}
        self._views: dict[tuple[str, str], ApprovalView] = {}
        self._until: dict[tuple[str, str], float] = {}
        """Of what was asked by this process: when its time is over, by a clock that nobody sets."""

        for file in folder.glob("*/*.json") if folder.is_dir() else ():
            with contextlib.suppress(OSError, msgspec.DecodeError):
                if file.name == _GRANTS or not is_private(file):
                    continue
                asked = typed_json.decode(file.read_bytes(), Asked)
                if asked.format > FORMAT:
                    continue
                self._asked[asked.execution_id, asked.call_id] = asked

    def get(self, execution_id: str, call_id: str, *, digest: str) -> Asked | None:
        asked = self._asked.get((execution_id, call_id))
        return asked if asked is not None and asked.digest == digest else None

    def ask(self, asked: Asked) -> bool:
        """Note a question. False: it stands already.

        Raises:
            OSError: it cannot be written.

        """
        if self.get(asked.execution_id, asked.call_id, digest=asked.digest) is not None:
            return False
        self._write(asked)
        return True

    def put(self, asked: Asked) -> None:
        """Note a question in the place of what stands for its call.

        Raises:
            OSError: it cannot be written.
        """
        self._write(asked)

    def whole(self, approval_id: str) -> WholeQuestion:
        """Everything that is asked.

        Raises:
            NoSuchApproval: nothing of this id waits.
        """
        asked = self._one(approval_id)
        return WholeQuestion(id=asked.id, parts=asked.parts, seal=seal(asked.parts))

    def answer(
        self,
        approval_id: str,
        *,
        allow: bool,
        scope: Scope,
        by: str,
        seal_read: str = "",
        values: Mapping[str, Any] = NOTHING,
        own_rule: str = "",
    ) -> Asked:
        """Note an answer to what waits. The beginning of an id will do where it is the only one.

        Args:
            approval_id: of the question.
            allow: whether the call may run.
            scope: how far the answer reaches.
            by: who answered.
            seal_read: the seal of the whole question, where its view leaves something out.
            values: what was filled in, by the names of its fields.
            own_rule: what an answer for always writes instead of what its view shows; empty: just that.

        Raises:
            NoSuchApproval: nothing of this id waits.
            NotRead: it is to be allowed, and its view leaves out what nobody has read.
            NotLasting: it is to be allowed for always, and a rule could not name it.
            NotThatRule: `own_rule` is none that may be written for this call.
            WrongValues: something is filled in wrongly.
            OSError: it cannot be written.

        """
        asked = self._one(approval_id)
        if allow and (missing := self._view(asked).left_out):
            if seal_read != seal(asked.parts):
                raise NotRead(
                    worded(
                        "{n} characters of what this call would do were not shown. Read it whole, then allow it.",
                        n=missing,
                    )
                ).with_repair(f"`kubiya-worker approvals show {asked.id}` shows it.")
            if scope == "always":
                raise NotRead(worded("A call that is too long to be shown at once can be allowed, but not for always."))
        if allow and scope == "always" and not asked.lasts:
            raise NotLasting(
                worded(
                    "Parts of this call are only known when it runs, so no rule could name it. Allow it once, or for "
                    "this execution."
                )
            )
        own_rule = own_rule.strip() if allow and scope == "always" else ""
        if own_rule:
            self._check(own_rule, self._view(asked))
        content = content_of(asked.fields, values) if allow else {}
        # What was asked is not needed any more.
        answer = "allow" if allow else "deny"
        answered = msgspec.structs.replace(
            asked,
            answer=answer,
            scope="once" if asked.in_call else scope,
            by=by,
            parts=(),
            rule="",
            content=content,
            own_rule=own_rule,
            format=FORMAT if own_rule else asked.format,
        )
        self._write(answered)
        return answered

    def _check(self, own_rule: str, view: ApprovalView) -> None:
        from worker_core.policy.own_rule import NotThatRule, read_rules  # with the first rule that was changed

        if not view.workspace:
            raise NotThatRule(
                worded(
                    "The rule of this answer cannot be changed here. Answer it once, and write a rule into the policy."
                ),
                fault="other",
            )
        read_rules(own_rule, proposed=view.rule, tool=view.tool, workspace=view.workspace)

    def _one(self, approval_id: str) -> Asked:
        waiting = [asked for asked in self._waiting() if approval_id and asked.id.startswith(approval_id)]
        if len(waiting) != 1:
            named = repr(approval_id[:40])
            raise NoSuchApproval(
                worded("Several approvals begin with the id {id}.", id=named)
                if waiting
                else worded("No approval waits with the id {id}.", id=named)
            ).with_repair("`kubiya-worker approvals` lists them.")
        return waiting[0]

    def is_waiting(self, execution_id: str, call_id: str) -> bool:
        """Whether the question about a call stands, and nobody has answered."""
        asked = self._asked.get((execution_id, call_id))
        return asked is not None and not asked.answer

    def untold(self) -> list[Asked]:
        """Answers of which their workflows may not know."""
        return [asked for asked in self._asked.values() if asked.answer and not asked.told]

    def told(self, asked: Asked) -> None:
        if (now := self._asked.get((asked.execution_id, asked.call_id))) is None or now.id != asked.id:
            return  # the call has gone on
        self._write(msgspec.structs.replace(asked, told=True))

    def expire(self, execution_id: str, call_id: str) -> None:
        """Nobody will be asked any more."""
        asked = self._asked.get((execution_id, call_id))
        if asked is not None and not asked.answer:
            self._let_go((execution_id, call_id))
            self._file(asked).unlink(missing_ok=True)
            self._on_change()

    def sweep(self, now: datetime) -> None:
        """Let go of what nobody was told about for long. `now`: what time it is at the least."""
        over = [one for one in self._asked.values() if one.expires_at + _KEPT_AFTER < now and not one.answer]
        for asked in over:
            with contextlib.suppress(OSError):  # it is tried again the next day
                self.drop(asked)

    def in_call(self, execution_id: str, call_id: str, *, digest: str) -> Asked | None:
        """The question that a call under way has asked last, answered or not."""
        asked = self.get(execution_id, call_id, digest=digest)
        return asked if asked is not None and asked.in_call else None

    def drop(self, asked: Asked) -> None:
        """The call has its answer and goes on: neither question nor answer is kept."""
        self._let_go((asked.execution_id, asked.call_id))
        self._file(asked).unlink(missing_ok=True)
        self._on_change()

    def of_execution(self, execution_id: str) -> list[Asked]:
        """What was asked of an execution and is not over, answered or not."""
        return [asked for key, asked in self._asked.items() if key[0] == execution_id]

    def unanswered(self) -> list[Asked]:
        """What waits, oldest first."""
        return self._waiting()

    def granted(self, execution_id: str) -> frozenset[str]:
        """Subjects (their keys) that were allowed for the whole execution."""
        if execution_id not in self._granted:
            known: set[str] = set()
            file = self._of(execution_id) / _GRANTS
            with contextlib.suppress(OSError, msgspec.DecodeError):
                if is_private(file):
                    known.update(typed_json.decode(file.read_bytes(), list[str]))
            self._granted[execution_id] = known
        return frozenset(self._granted[execution_id])

    def grant(self, execution_id: str, keys: frozenset[str]) -> None:
        """Allow subjects for the whole execution.

        Raises:
            OSError: it cannot be written.

        """
        known = self.granted(execution_id) | keys
        _put(self._of(execution_id) / _GRANTS, msgspec.json.encode(sorted(known)))
        self._granted[execution_id] = set(known)

    def forget(self, execution_id: str) -> None:
        """The execution has ended."""
        self._granted.pop(execution_id, None)
        gone = [key for key in self._asked if key[0] == execution_id]
        for key in gone:
            self._let_go(key)
        shutil.rmtree(self._of(execution_id), ignore_errors=True)
        if gone:
            self._on_change()

    def views(self) -> tuple[ApprovalView, ...]:
        """What waits for an answer, oldest first."""
        return tuple(map(self._view, self._waiting()))

    def _view(self, asked: Asked) -> ApprovalView:
        key = (asked.execution_id, asked.call_id)
        if key not in self._views:
            parts, rule = shown(asked.parts), visible(asked.rule)
            self._views[key] = ApprovalView(
                id=asked.id,
                execution_id=asked.execution_id,
                tool=asked.tool,
                parts=parts,
                left_out=left_out(parts),
                asked_at=asked.asked_at,
                expires_at=asked.expires_at,
                lasts=asked.lasts,
                rule=rule,
                workspace=asked.workspace if rule == asked.rule else "",
                in_call=asked.in_call,
                fields=asked.fields,
            )
        return self._views[key]

    def _waiting(self) -> list[Asked]:
        waiting = [asked for asked in self._asked.values() if not asked.answer and self._has_time(asked)]
        return sorted(waiting, key=lambda asked: asked.asked_at)

    def _has_time(self, asked: Asked) -> bool:
        """By either clock: setting one takes nobody's time to answer. Whoever waits says when it is over."""
        until = self._until.get((asked.execution_id, asked.call_id), float("-inf"))
        return asked.expires_at > _now() or until > steady()

    def _let_go(self, key: tuple[str, str]) -> None:
        for known in (self._asked, self._views, self._until):
            known.pop(key, None)

    def _write(self, asked: Asked) -> None:
        earlier = self._asked.get((asked.execution_id, asked.call_id))
        if earlier is not None and earlier.id != asked.id:
            self._file(earlier).unlink(missing_ok=True)
        _put(self._file(asked), msgspec.json.encode(asked))
        key = (asked.execution_id, asked.call_id)
        self._asked[key] = asked
        self._views.pop(key, None)
        if earlier is None or earlier.id != asked.id:
            self._until[key] = steady() + (asked.expires_at - asked.asked_at).total_seconds()
        self._on_change()

    def _of(self, execution_id: str) -> Path:
        return self._folder / safe_name(execution_id)

    def _file(self, asked: Asked) -> Path:
        return self._of(asked.execution_id) / f"{asked.id}.json"


def _now() -> datetime:
    return datetime.now(UTC)


def _put(file: Path, content: bytes) -> None:
    private_directory(file.parent)
    write_private(file, content, durable=True)
