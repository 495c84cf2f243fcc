"""What would become of a call, by the policy as it is typed; `policy check` says it in a terminal. Nothing is run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Literal

from desktop.look.language import fact, retold, tr, translated
from desktop.look.wording import short
from desktop.settings.store import SettingsStore
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Worded, english
from worker_core.basics.visible import visible_line
from worker_core.errors import KubiyaError
from worker_core.settings import SETTINGS, Settings
from worker_core.snapshot import EngineSnapshot

if TYPE_CHECKING:
    from worker_core.policy.rules import Finding
    from worker_core.policy.trial import Trial

TrialKind = Literal["command", "path", "host", "tool"]
Outcome = Literal["allow", "ask", "deny"]

USUAL_TOOLS: Final[dict[TrialKind, str]] = {"command": "shell", "path": "read_file", "host": "web_fetch", "tool": ""}
"""Tried where none is named."""

LONGEST_VALUE: Final = 300
"""Characters of a command, a path or a rule that are shown."""

_NO_SANDBOX_YET: Final = frozenset({"", "asked", "refused"})
"""Names of a snapshot's sandbox that do not say what one would enforce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWish:
    """A call that somebody wants to know about."""

    kind: TrialKind
    text: str
    """Of a tool: its name."""

    tool: str = ""
    """Empty: the usual one."""

    ids: tuple[str, ...] = ()
    """Of the execution's queue, agent or team."""

    policy: str = ""
    """The policy's text, saved or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReason:
    """One thing that the call touches, and the rule that decides about it."""

    what: str
    rule: str
    line: int = 0
    """On which the rule stands; 0: it is built in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What would happen. `outcome` is None where that cannot be told, and the sentence says why."""

    outcome: Outcome | None
    sentence: str
    reasons: tuple[TrialReason, ...] = ()
    notes: tuple[str, ...] = ()


class PolicyTrial:
    """Of this machine, with its settings and its sandbox."""

    def __init__(self, *, settings: SettingsStore, snapshot: Callable[[], EngineSnapshot]) -> None:
        self._settings, self._snapshot = settings, snapshot
        self._looked: tuple[Settings, Collection[str]] | None = None

    async def judge(self, wish: TrialWish) -> Outlook:
        """In a thread: it looks at paths, and starts a sandbox where no worker has looked for one."""
        sandbox = self._snapshot().sandbox
        enforces = None if sandbox.name in _NO_SANDBOX_YET else sandbox.enforces
        return await asyncio.to_thread(self._judge, wish, enforces)

    def usual_id(self) -> str:
        """Whose calls are tried where nobody is named: the queue of the settings, where there is one alone."""
        try:
            ids = self._settings.settings().queue_ids
        except KubiyaError:
            return ""
        return ids[0] if len(ids) == 1 else ""

    def _judge(self, wish: TrialWish, enforces: Collection[str] | None) -> Outlook:
        from worker_core.policy.builtin import built_in_of  # what reads lines of a shell: with the first wish
        from worker_core.policy.file import BrokenPolicy, parse
        from worker_core.policy.rules import Policy
        from worker_core.policy.trial import TriedCall, try_call

        paths = self._settings.paths
        try:
            rules = parse(wish.policy, file=paths.policy_file.name)
        except BrokenPolicy:
            return Outlook(outcome=None, sentence=tr("The policy below cannot be read, so nothing can be tried."))
        call = TriedCall(
            line=wish.text if wish.kind == "command" else "",
            path=wish.text if wish.kind == "path" else "",
            host=wish.text if wish.kind == "host" else "",
            tool=wish.text if wish.kind == "tool" else wish.tool,
            ids=wish.ids,
        )
        try:
            settings = self._settings.settings()
            found = try_call(
                call,
                policy=Policy(rules=rules, built_in=built_in_of(paths)),
                settings=settings,
                paths=paths,
                enforces=self._enforces(settings) if enforces is None else enforces,
            )
        except KubiyaError as error:
            return Outlook(outcome=None, sentence=fact(error))
        except OSError as error:
            why = error.strerror or type(error).__name__
            return Outlook(outcome=None, sentence=tr("What it names cannot be looked at: {why}.", why=why))
        return _outlook(found, approvals=settings.approvals)

    def _enforces(self, settings: Settings) -> Collection[str]:
        """What the sandbox would, which is looked for once per settings."""
        from worker_core.policy.trial import enforced

        if self._looked is None or self._looked[0] != settings:
            self._looked = (settings, enforced(settings, self._settings.paths))
        return self._looked[1]


def _outlook(found: Trial, *, approvals: str) -> Outlook:
    decision = found.decision
    deciding = decision.asking if decision.action.word == "ask" else (decision.finding,)
    outcome, sentence = _happens(decision.action.word, approvals)
    notes = [retold(one) for one in found.notes]
    return Outlook(outcome=outcome, sentence=sentence, reasons=tuple(map(_reason, deciding)), notes=tuple(notes))


def _happens(decided: str, approvals: str) -> tuple[Outcome, str]:
    setting = translated(SETTINGS["approvals"].title)
    match decided, approvals:
        case "deny", _:
            return "deny", tr("It does not run.")
        case "allow", _:
            return "allow", tr("It runs, and nobody is asked.")
        case _, "deny":
            return "deny", tr("Nobody is asked here, so it does not run: “{setting}” says so.", setting=setting)
        case _, "allow":
            return "allow", tr("Nobody is asked here, so it runs: “{setting}” says so.", setting=setting)
    return "ask", tr("You are asked first.")


def _reason(finding: Finding) -> TrialReason:
    from worker_core.policy.rules import BUILT_IN, named

    subject, rule = finding.subject, finding.rule
    what, why = _seen(named(subject)), _seen(subject.unclear or rule.why)
    said = tr("{what}: {why}", what=what, why=why) if why else what
    line = 0 if rule.file == BUILT_IN else rule.line
    return TrialReason(what=said[:1].upper() + said[1:], rule=_seen(finding.rule_text), line=line)


def _seen(text: str) -> str:
    """In the user's language, with what a call or a rule says in it made fit to be seen."""
    from worker_core.policy.question_text import shown_values

    def show(value: str) -> str:
        return short(visible_line(value), LONGEST_VALUE)

    if not isinstance(text, Worded):
        return show(text)
    said = shown_values(text.said, show)
    return retold(english(said), said)
