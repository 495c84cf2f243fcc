"""The rule of the answer "always" as its user changed it: read as the policy file is, and held against the call."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import Final, Literal

from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError
from worker_core.policy.file import BrokenPolicy, parse
from worker_core.policy.rules import FIELDS, Rule, Subject, is_literal, named

LONGEST: Final = 20_000
"""Characters of what is written in the place of a rule."""

_BRACKETED = re.compile(r"\[([*?\[])\]")

Fault = Literal["broken", "other", "weak", "override", "misses"]


class NotThatRule(KubiyaError):
    """What was written is no rule for this answer. `fault` says why: it is `broken`, or `other` than rules that allow;
    it is `weak` without `always`, or would `override` more than was shown; or it `misses` the call.
    """

    def __init__(self, sentence: str, *, fault: Fault) -> None:
        super().__init__(sentence)
        self.fault: Fault = fault


def read_rules(text: str, *, proposed: str, tool: str, workspace: str) -> tuple[Rule, ...]:
    """The rules that a text holds, each of which may be written in the place of those that were proposed.

    Args:
        text: as its user left it, TOML.
        proposed: what was shown (`ApprovalView.rule`): rules for exactly what the call asks.
        tool: whose call it is.
        workspace: of its execution, absolute, `/` between its parts.

    Raises:
        NotThatRule: it is not to be written.

    """
    if len(text) > LONGEST:
        raise NotThatRule(worded("The rule is longer than {n} characters.", n=LONGEST), fault="broken")
    try:
        rules, shown = parse(text, file="The rule"), parse(proposed, file="The rule")
    except BrokenPolicy as error:
        raise NotThatRule(error.said, fault="broken") from error
    if tomllib.loads(text).keys() - {"allow"}:
        said = worded("An answer adds rules that allow, below [[allow]], and nothing else.")
        raise NotThatRule(said, fault="other")
    if not all(rule.always for rule in rules):
        raise NotThatRule(
            worded("Each of these rules needs `always = true`: without it, a rule that asks comes first."), fault="weak"
        )
    known = {rule.text for rule in shown if is_exact(rule)}
    if any(rule.override and rule.text not in known for rule in rules):
        raise NotThatRule(
            worded("A changed rule cannot have `override = true`: what is built in as denied stays denied."),
            fault="override",
        )
    for rule in shown:
        subject = _subject(rule, workspace=workspace)
        if not any(one.fits(subject, tool=tool, workspace=workspace) is not None for one in rules):
            raise NotThatRule(
                worded(
                    "No rule here fits this call: {what} would be asked about again.",
                    what=named(replace(subject, text=repr(subject.text[:200]))),
                ),
                fault="misses",
            )
    return rules


def is_exact(rule: Rule) -> bool:
    """Whether it is about one tool, and nothing in it stands for more than itself."""
    return bool(rule.tool) and all(is_literal(one) for field in FIELDS for one in getattr(rule, field))


def _subject(rule: Rule, *, workspace: str) -> Subject:
    (pattern,) = getattr(rule, rule.kind)
    text = _BRACKETED.sub(r"\1", pattern)
    inside = rule.kind == "path" and (text == workspace or text.startswith(f"{workspace.rstrip('/')}/"))
    return Subject(kind=rule.kind, text=text, inside=inside)
