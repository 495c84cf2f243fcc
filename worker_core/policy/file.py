"""The policy file: read strictly, and only ever appended to.

[[deny]]
command = "git push --force*"
why = "History is shared."

[[allow]]
path = ["~/projects/**", "/data/*.csv"]

[budget]
execution.tokens = 500_000
"""

from __future__ import annotations

import logging
import re
import threading
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from worker_core.basics.sentences import joined, worded
from worker_core.basics.visible import unseen
from worker_core.errors import ConfigurationError
from worker_core.policy.patterns import literal
from worker_core.policy.rules import FIELDS, Action, Finding, Policy, Rule
from worker_core.policy.spelling import Misspelt, as_compared
from worker_core.settings import SETTINGS, text_file
from worker_core.settings.budget import Limit
from worker_core.settings.declaration import why

log = logging.getLogger(__name__)

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*(allow|ask|deny)[ \t]*\]\]", re.MULTILINE)
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_BUDGET: Final = "budget"
_SWITCHES: Final = ("override", "always")
_WRITING = threading.Lock()

TEMPLATE: Final = """\
# What agents may do on this machine. The strictest rule wins: deny beats ask beats allow.
# A rule stands under [[allow]], [[ask]] or [[deny]] and names any of tool, command, path, host; `*` is any text.
# Paths: ~ is your home, ** crosses folders; <workspace> is the execution's folder, <private> its sandbox's own /tmp and
# home, <outside> all else.
# Built-in denials (keys, browsers, cloud credentials) need `override = true`. Check: kubiya-worker policy check 'ls'
"""


class BrokenPolicy(ConfigurationError):
    """The file cannot be used; the sentence says why, and `line` where, from 1; 0: it is about the whole file."""

    def __init__(self, sentence: str, *, line: int = 0) -> None:
        super().__init__(sentence)
        self.line = line

    @classmethod
    def at(cls, file: str, line: int, said: str) -> BrokenPolicy:
        return cls(worded("{file}, line {line}: {what}", file=file, line=str(line), what=said), line=line)


def parse(text: str, *, file: str) -> tuple[Rule, ...]:
    """The rules of a file's text, in order.

    Raises:
        BrokenPolicy: it is no TOML, or holds what no rule and no limit is.

    """
    rules, _ = rules_and_limits(text, file=file)
    return rules


def rules_and_limits(text: str, *, file: str) -> tuple[tuple[Rule, ...], tuple[Limit, ...]]:
    """All that stands in a file's text. Raises as `parse` does."""
    raw = _read(text, file=file)
    limits = _limits(raw, text=text, file=file)
    for key in raw:
        if key not in {"allow", "ask", "deny", _BUDGET}:
            said = worded(
                "there is no {key} in a policy; rules stand under [[allow]], [[ask]] or [[deny]], limits under "
                "[budget].",
                key=repr(key),
            )
            raise BrokenPolicy.at(file, _line_of(text, key), said)
    headers = list(_HEADER.finditer(text))
    rules: list[tuple[int, Rule]] = []
    for action in Action:
        blocks = raw.get(action.word, [])
        own = [header for header in headers if header[1] == action.word]
        if not isinstance(blocks, list) or len(blocks) != len(own):
            line = _line_of(text, action.word) if not own else _line_at(text, own[0].start())
            raise BrokenPolicy.at(
                file,
                line,
                worded(
                    "each rule must stand under a line [[{action}]] of its own (and no text in the file may look like "
                    "one).",
                    action=action.word,
                ),
            )
        for block, header in zip(blocks, own, strict=True):
            end = next((other.start() for other in headers if other.start() > header.start()), len(text))
            line = _line_at(text, header.start())
            rules.append((line, _rule(action, block, file=file, line=line, body=text[header.end() : end])))
    return tuple(rule for _, rule in sorted(rules, key=lambda one: one[0])), limits


def _limits(raw: Mapping[str, Any], *, text: str, file: str) -> tuple[Limit, ...]:
    try:
        limits: tuple[Limit, ...] = SETTINGS[_BUDGET].read(raw.get(_BUDGET, {}))
    except ValueError as error:
        said = worded("the budget is not valid; {why}.", why=why(error))
        raise BrokenPolicy.at(file, _line_of(text, _BUDGET), said) from error
    return limits


def _read(text: str, *, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        said = worded("this is not valid TOML: {why}.", why=_AT_LINE.sub("", str(error)))
        raise BrokenPolicy.at(file, line, said) from error
    except RecursionError as error:
        raise BrokenPolicy.at(file, 1, worded("it is nested too deep.")) from error


def _rule(action: Action, block: Any, *, file: str, line: int, body: str) -> Rule:
    values: dict[str, Any] = {}

    def broken(key: str, sentence: str) -> BrokenPolicy:
        return BrokenPolicy.at(file, line + _line_of(body, key) - 1, sentence)

    for key, value in block.items():
        if key in FIELDS:
            patterns = (value,) if isinstance(value, str) else value
            if not isinstance(patterns, list | tuple) or not patterns:
                raise broken(key, worded("{key} must be a text or a list of texts.", key=key))
            if not all(isinstance(one, str) and one and "\0" not in one for one in patterns):
                raise broken(key, worded("{key} must hold texts that are not empty.", key=key))
            if (
                action is not Action.ALLOW
                and key != "path"
                and (hidden := next(filter(None, map(unseen, patterns)), ""))
            ):
                raise broken(
                    key,
                    worded(
                        "{key} holds {hidden}, which nobody sees: it would fit nothing. Type it anew.",
                        key=key,
                        hidden=hidden,
                    ),
                )
            try:
                values[key] = tuple(as_compared(key, one) for one in patterns)
            except Misspelt as error:
                raise broken(key, worded("{key} {what}", key=key, what=why(error))) from error
        elif key in _SWITCHES:
            if not isinstance(value, bool):
                raise broken(key, worded("{key} must be true or false.", key=key))
            if action is Action.DENY or (key == "always" and action is not Action.ALLOW):
                raise broken(key, worded("{key} has no meaning for {action}.", key=key, action=action.word))
            values[key] = value
        elif key == "why":
            if not isinstance(value, str):
                raise broken(key, worded("{key} must be a text.", key=key))
            values[key] = value
        else:
            known = ", ".join((*FIELDS, *_SWITCHES, "why"))
            raise broken(key, worded("there is no {key} in a rule; it has {known}.", key=repr(key), known=known))
    named = [field for field in FIELDS if field in values]
    if not named:
        raise BrokenPolicy.at(file, line, worded("this rule names no tool, command, path or host."))
    if len([field for field in named if field != "tool"]) > 1:
        raise BrokenPolicy.at(
            file,
            line,
            worded("a rule is about one of command, path and host (and a tool, if wished); write several rules."),
        )
    return Rule(action=action, file=file, line=line, **values)


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _line_of(text: str, key: str) -> int:
    found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
    return _line_at(text, found.start()) if found else 1


class PolicyFile:
    """The policy as the file has it now: read again whenever it changed. Usable from any thread."""

    def __init__(self, path: Path, *, built_in: Sequence[Rule]) -> None:
        self.path = path
        self._built_in = tuple(built_in)
        self._stamp: object = _UNREAD
        self._policy = Policy(rules=(), built_in=self._built_in)

    def current(self) -> Policy:
        """Never raises: a broken file means that every call is denied, and its rule says why."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            try:
                text, _ = read_text(self.path)
                rules, budget = rules_and_limits(text, file=str(self.path))
                self._policy = Policy(rules=rules, built_in=self._built_in, budget=budget)
            except BrokenPolicy as error:
                log.error("%s Every call of a tool is denied until it is repaired.", error)
                broken = Rule(
                    action=Action.DENY,
                    tool=("*",),
                    file=str(self.path),
                    why=joined(worded("The policy file is broken."), error.said),
                )
                self._policy = Policy(rules=(), built_in=self._built_in, broken=broken, budget=self._policy.budget)
            self._stamp = stamp
        return self._policy

    def rules(self) -> tuple[Rule, ...]:
        """The file's own rules; none where there is no file.

        Raises:
            BrokenPolicy: it cannot be read or used.

        """
        text, _ = read_text(self.path)
        return parse(text, file=str(self.path))

    def allow_always(
        self, findings: Sequence[Finding], *, tool: str, note: str = "", own_rule: str = "", workspace: str = ""
    ) -> None:
        """Append a rule for exactly these subjects, and leave everything else in the file as it is.

        Args:
            findings: what was asked; each the same every time (`Subject.is_lasting`).
            tool: of which tool.
            note: stands with the rules.
            own_rule: what is appended instead; it must allow all of them.
            workspace: of the execution, for that.

        Raises:
            BrokenPolicy: the file is broken, or would be; or the rule does not allow what was asked.
            OSError: it cannot be written.

        """
        assert all(finding.subject.is_lasting for finding in findings), "a rule cannot name what is computed"
        added = f"\n# {note}\n{own_rule}\n" if own_rule else rules_for(findings, tool=tool, note=note)
        with _WRITING:
            self.rules()
            before, mark = read_text(self.path) if self.path.exists() else (TEMPLATE, "")
            text = before + ("" if before.endswith("\n") or not before else "\n") + added
            policy = Policy(rules=parse(text, file=str(self.path)), built_in=self._built_in)
            for subject in (finding.subject for finding in findings if own_rule):
                decision = policy.decide((subject,), tool=tool, workspace=workspace)
                if decision.action is not Action.ALLOW:
                    raise BrokenPolicy(
                        worded("With the rule that was written, this is still {what}.", what=decision.sentence)
                    )
            text_file.replace(self.path, mark + text)
            self._stamp = _UNREAD

    def _stamp_now(self) -> object:
        try:
            found = self.path.stat()
        except OSError as error:
            return error.errno, self.path.is_symlink()
        return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_uid)


_UNREAD: Final = object()


def rules_for(findings: Sequence[Finding], *, tool: str, note: str = "") -> str:
    """What `allow_always` appends for these: TOML, a blank line before each rule."""
    return "".join(_block(finding, tool=tool, note=note) for finding in findings)


def _block(finding: Finding, *, tool: str, note: str) -> str:
    from worker_core.basics.toml_text import basic_string  # with the first rule that is added

    subject = finding.subject
    lines = ["", "[[allow]]", f"{subject.kind} = {basic_string(literal(subject.text))}"]
    if subject.kind != "tool":
        lines.append(f"tool = {basic_string(literal(tool))}")
    lines.append("always = true")
    if finding.rule.override:
        lines.append("override = true")
    if note:
        lines.append(f"why = {basic_string(note)}")
    return "\n".join(lines) + "\n"


def read_text(path: Path) -> tuple[str, str]:
    """What stands in a policy file, and its byte order mark; both empty where there is no file.

    Raises:
        BrokenPolicy: it cannot be read, is no UTF-8 text, or is too large.

    """
    try:
        return text_file.read(path, what=worded("policy file"))
    except text_file.Unreadable as error:
        raise BrokenPolicy(error.said, line=error.line) from error
