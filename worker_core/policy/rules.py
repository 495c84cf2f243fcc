"""Rules, and how they decide. Pure: no file, no clock, no network.

A call has subjects: the tool, each simple command, each path, each host. Each subject is decided by itself, and the
strictest answer is the call's. For one subject the order is:

1. a `deny` of the user's file;
2. a built-in `deny`, unless a rule of the file that fits says `override = true`;
3. an `allow` of the file with `always = true` (the answer "always" writes those);
4. an `ask`, then an `allow`, of the file;
5. the built-in rules: `ask`, then `allow`.

So what a server says is no part of it: the control plane's enforcer is asked about what is not denied here, and can
only deny it (`decision`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Worded, worded
from worker_core.policy import patterns as patterns_of_this_system
from worker_core.policy.openness import may_fit, may_fit_path
from worker_core.policy.patterns import INSIDE, OUTSIDE, PLACES, PRIVATE, absolute, fixed_part, path_fits, text_pattern
from worker_core.policy.words import Pieces
from worker_core.settings.budget import Limit

SubjectKind = Literal["tool", "command", "path", "host"]
FIELDS: tuple[SubjectKind, ...] = ("tool", "command", "path", "host")
BUILT_IN = "built in"


class Action(enum.IntEnum):
    """From mild to strict."""

    ALLOW = 0
    ASK = 1
    DENY = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that a call touches."""

    kind: SubjectKind
    text: str
    """A tool's name, a command with its arguments, an absolute path, a host."""

    alternatives: tuple[str, ...] = ()
    """What a `deny` or an `ask` is held against as well: a command behind `sudo`, a path before links were followed."""

    suspected: tuple[str, ...] = ()
    """What it might run, since nobody here knows its program: a `deny` of the file counts, a built-in one asks."""

    open: tuple[Pieces, ...] = ()
    """Its texts in parts, where some are only known when it runs: a rule that could fit them asks."""

    inside: bool = False
    """Of a path: it is in the execution's workspace."""

    granted: bool = False
    """Of a path: it is in a folder of the owner's that was granted. No question for that, but denials hold."""

    expected: bool = False
    """No built-in question: it is private to the call, or what the tool is for."""

    unclear: str = ""
    """Why it cannot be told what it is; only a rule with exactly this text allows it."""

    exact: str = ""
    """The whole line that an answer is bound to, where the text does not say all: words that are computed, variables,
    a text that is its input."""

    too_much: str = ""
    """Why it was not looked at to its end. It is denied."""

    only_deny: bool = False
    """It is merely mentioned (in code, in a text): only a `deny` looks at it."""

    @property
    def key(self) -> str:
        """What an answer for a whole execution allows: nothing but this."""
        return f"{self.kind} exactly {self.exact}" if self.exact else f"{self.kind} {self.text}"

    @property
    def is_lasting(self) -> bool:
        """Whether it is the same every time, so that an answer may hold for ever."""
        return not (self.exact or self.unclear)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Of several conditions all must hold; of several patterns in one, any."""

    action: Action
    tool: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    why: str = ""
    override: bool = False
    always: bool = False
    file: str = BUILT_IN
    line: int = 0

    @property
    def kind(self) -> SubjectKind:
        """What it decides about; a tool beside that is a condition."""
        return "path" if self.path else "host" if self.host else "command" if self.command else "tool"

    @property
    def text(self) -> str:
        return f"{self.action.word} {self.about}"

    @property
    def about(self) -> str:
        """Its conditions, and what marks it."""
        said = [f"{name} = {' or '.join(map(repr, patterns))}" for name in FIELDS if (patterns := getattr(self, name))]
        said += [name for name in ("override", "always") if getattr(self, name)]
        return ", ".join(said)

    @property
    def place(self) -> str:
        return self.file if self.file == BUILT_IN else f"{self.file}:{self.line}"

    def fits(self, subject: Subject, *, tool: str, workspace: str) -> str | None:
        """The pattern that fits this subject of a call of `tool`; None where the rule does not decide about it."""
        if self.kind != subject.kind:
            return None
        if subject.kind != "tool" and self.tool and not any(text_pattern(one).fullmatch(tool) for one in self.tool):
            return None
        patterns: tuple[str, ...] = getattr(self, subject.kind)
        texts = (subject.text,) if self.action is Action.ALLOW else (subject.text, *subject.alternatives)
        for pattern in patterns:
            if subject.unclear and self.action is Action.ALLOW and not (self.file != BUILT_IN and is_literal(pattern)):
                continue
            for text in texts:
                if subject.kind == "path":
                    is_inside = subject.inside or subject.granted
                    if path_fits(pattern, text, workspace=workspace, inside=is_inside, private=subject.expected):
                        return pattern
                elif text_pattern(pattern, folded=self._folds(subject.kind)).fullmatch(text):
                    return pattern
        return None

    def _folds(self, kind: SubjectKind) -> bool:
        """Whether capitals are the same: of tools, and on Windows of commands, in whatever is not allowed."""
        has_no_case = kind == "tool" or (kind == "command" and patterns_of_this_system.WINDOWS)
        return has_no_case and self.action is not Action.ALLOW

    def may_fit(self, subject: Subject, *, tool: str, workspace: str) -> str | None:
        """The pattern that would fit if what is not known of the subject were something else."""
        if self.kind != subject.kind or (self.tool and not any(text_pattern(one).fullmatch(tool) for one in self.tool)):
            return None
        for parts in subject.open:
            for pattern in self.command:
                if may_fit(pattern, parts):
                    return pattern
            for pattern in self.path:
                if pattern not in PLACES and any(may_fit_path(one, parts) for one in absolute(pattern, workspace)):
                    return pattern
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one subject came to, and by which rule."""

    action: Action
    subject: Subject
    rule: Rule
    pattern: str = "*"
    """Of the rule's patterns, the one that fits."""

    @property
    def rule_text(self) -> str:
        """The rule, with only the pattern that fits."""
        only: dict[str, Any] = {self.rule.kind: (self.pattern,)}
        return replace(self.rule, **only).text


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`finding` is the one that decided; `asking` are all subjects that must be asked about."""

    action: Action
    finding: Finding
    asking: tuple[Finding, ...] = ()

    @property
    def rule(self) -> Rule:
        return self.finding.rule

    @property
    def sentence(self) -> str:
        """Which rule decided, for people and for the model."""
        subject, rule = self.finding.subject, self.rule
        why = subject.unclear or rule.why
        because = f" ({why})" if why else ""
        by = f"{self.finding.rule_text} [{rule.place}]"
        return f"{rule.action.word}: the {subject.kind} {subject.text[:200]!r}, by {by}{because}"


_NOT_CLEAR = Rule(action=Action.ASK, command=("*",), why=worded("It cannot be told what it runs."))
_TOO_MUCH = Rule(action=Action.DENY, tool=("*",), why=worded("There is more in it than is looked at."))


class Policy:
    """The user's rules over the built-in ones."""

    def __init__(
        self,
        *,
        rules: Sequence[Rule],
        built_in: Sequence[Rule],
        broken: Rule | None = None,
        budget: Sequence[Limit] = (),
    ) -> None:
        """`broken`, a `deny` that says what is wrong with the file, holds for every call while it is set."""
        self.rules = tuple(rules)
        self.built_in = tuple(built_in)
        self.budget = tuple(budget)
        self.broken = broken
        self._denied_words: dict[str, tuple[str, ...]] = {}

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """The file's, then the built-in ones."""
        return (*self.rules, *self.built_in, _NOT_CLEAR, _TOO_MUCH, *_LAST)

    def decide(self, subjects: Sequence[Subject], *, tool: str, workspace: str) -> Decision:
        """The strictest of all subjects. Never fails.

        Args:
            subjects: at least the tool.
            tool: its name, for rules that are about one tool.
            workspace: absolute path, `/` between its parts.
        """
        if self.broken is not None:
            subject = next(one for one in subjects if one.kind == "tool")
            return Decision(action=Action.DENY, finding=Finding(action=Action.DENY, subject=subject, rule=self.broken))
        findings = [
            finding for one in subjects if (finding := self._find(one, tool=tool, workspace=workspace)) is not None
        ]
        strictest = max(findings, key=lambda finding: finding.action)
        asking = tuple(finding for finding in findings if finding.action is Action.ASK)
        return Decision(action=strictest.action, finding=strictest, asking=asking)

    def denied_words(self, workspace: str) -> tuple[str, ...]:
        """Of which one is in every path that some rule denies; "" where a rule denies paths by nothing fixed."""
        if workspace not in self._denied_words:
            patterns = [
                one for rule in (*self.rules, *self.built_in) if rule.action is Action.DENY for one in rule.path
            ]
            forms = [form for one in patterns for form in (absolute(one, workspace) if one not in PLACES else ("*",))]
            words = dict.fromkeys(map(fixed_part, forms))
            self._denied_words = {workspace: ("",) if "" in words else tuple(words)}
        return self._denied_words[workspace]

    def _find(self, subject: Subject, *, tool: str, workspace: str) -> Finding | None:
        def first(rules: Iterable[Rule], *actions: Action, of: Subject = subject) -> Finding | None:
            for action in actions:
                for rule in rules:
                    if rule.action is action:
                        pattern = rule.fits(of, tool=tool, workspace=workspace)
                        if pattern is not None:
                            return Finding(action=action, subject=subject, rule=rule, pattern=pattern)
            return None

        own = self.rules
        if subject.too_much:
            return Finding(action=Action.DENY, subject=replace(subject, unclear=subject.too_much), rule=_TOO_MUCH)
        denied = first(own, Action.DENY)
        if denied is None and subject.suspected:
            denied = first(own, Action.DENY, of=replace(subject, alternatives=subject.suspected))
        if denied is None and subject.kind == "path":
            denied = self._perhaps_denied(subject, tool=tool, workspace=workspace)
        if denied is None and not subject.inside:
            denied = first(self.built_in, Action.DENY)
            if denied is not None and first([one for one in own if one.override], Action.ASK, Action.ALLOW):
                denied = None
        if denied is not None or subject.only_deny:
            return denied
        found = first([one for one in own if one.always], Action.ALLOW)
        if found is None and (doubt := self._doubt(subject, tool=tool, workspace=workspace)):
            unclear = replace(subject, unclear=doubt)
            found = Finding(action=Action.ASK, subject=unclear, rule=_NOT_CLEAR)
        found = found or first(own, Action.ASK, Action.ALLOW)
        if found is None and subject.unclear:
            found = Finding(action=Action.ASK, subject=subject, rule=_NOT_CLEAR)
        asked = () if subject.expected else (Action.ASK,)
        found = found or first(self.built_in, *asked, Action.ALLOW) or first(_LAST, *asked, Action.ALLOW)
        assert found is not None, "the last rules fit everything"
        return found

    def _perhaps_denied(self, subject: Subject, *, tool: str, workspace: str) -> Finding | None:
        """By the file's rule that fits one of the names that a pattern for files may become."""
        for rule in self.rules if subject.open else ():
            if rule.action is Action.DENY:
                pattern = rule.may_fit(subject, tool=tool, workspace=workspace)
                if pattern is not None:
                    return Finding(action=Action.DENY, subject=subject, rule=rule, pattern=pattern)
        return None

    def _doubt(self, subject: Subject, *, tool: str, workspace: str) -> str:
        """Why nobody can say that no stricter rule fits; empty where that is known."""
        if not (subject.open or subject.suspected):
            return ""
        suspected = replace(subject, alternatives=subject.suspected)
        for rule in (*self.rules, *self.built_in):
            if rule.action is Action.ALLOW or (subject.inside and rule.file == BUILT_IN):
                continue
            if rule.fits(subject, tool=tool, workspace=workspace) is not None:
                continue  # no doubt: it does, and counts in its turn
            if rule.may_fit(subject, tool=tool, workspace=workspace) is not None:
                return worded(
                    "What is only known when it runs may make it what a rule is about: {rule}.", rule=rule.text
                )
            if rule.action is Action.DENY and rule.fits(suspected, tool=tool, workspace=workspace) is not None:
                return worded("It may run what a rule is about: {rule}.", rule=rule.text)
        return ""


_LAST = (
    Rule(action=Action.ALLOW, tool=("*",)),
    Rule(action=Action.ALLOW, command=("*",)),
    Rule(action=Action.ALLOW, host=("*",)),
    Rule(
        action=Action.ALLOW,
        path=(INSIDE,),
        why=worded("It is in the execution's workspace, or in a folder granted to it."),
    ),
    Rule(action=Action.ALLOW, path=(PRIVATE,), why=worded("It is private to the sandbox of this call.")),
    Rule(action=Action.ASK, path=(OUTSIDE,), why=worded("It is outside of the execution's workspace.")),
)


def named(subject: Subject) -> Worded:
    """What it is, in a sentence: `the command git push`."""
    match subject.kind:
        case "tool":
            return worded("the tool {text}", text=subject.text)
        case "command":
            return worded("the command {text}", text=subject.text)
        case "path":
            return worded("the path {text}", text=subject.text)
        case "host":
            return worded("the host {text}", text=subject.text)


def is_literal(pattern: str) -> bool:
    """Whether its only special characters are bracketed single ones, as `patterns.literal` writes them."""
    rest = pattern
    for one in ("[*]", "[?]", "[[]"):
        rest = rest.replace(one, "")
    return not any(character in rest for character in "*?[")
