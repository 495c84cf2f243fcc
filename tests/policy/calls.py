"""Calls, and what a policy decides about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker_core.policy.builtin import built_in_rules
from worker_core.policy.file import parse
from worker_core.policy.rules import Decision, Policy, Subject
from worker_core.policy.subjects import OwnPlaces, Reader, subjects_of

NONE_OF_ITS_OWN = OwnPlaces()
BUILT_IN = built_in_rules(own_folders=("/state-of-the-worker",))


def policy(rules: str = "") -> Policy:
    return Policy(rules=parse(rules, file="f"), built_in=BUILT_IN)


def of_a_call(tool: str, arguments: Mapping[str, Any], workspace: Path) -> tuple[Subject, ...]:
    """The subjects of a call of any tool."""
    return subjects_of(tool, Reader(workspace).arguments(arguments))


def touched(
    line: str,
    workspace: Path,
    *,
    rules: str = "",
    own: OwnPlaces = NONE_OF_ITS_OWN,
    **more: Any,
) -> tuple[Subject, ...]:
    """The subjects of a command line."""
    reader = Reader(workspace, denied=policy(rules).denied_words(str(workspace)), own=own)
    return subjects_of("shell", reader.arguments({"command": line, **more}))


def decided(
    line: str,
    workspace: Path,
    *,
    rules: str = "",
    own: OwnPlaces = NONE_OF_ITS_OWN,
    **more: Any,
) -> Decision:
    """What is decided about a command line."""
    subjects = touched(line, workspace, rules=rules, own=own, **more)
    return policy(rules).decide(subjects, tool="shell", workspace=str(workspace))
