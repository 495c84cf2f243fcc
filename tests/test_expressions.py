"""No regular expression takes more than a text's length: `re` holds the interpreter, and with it the whole worker.

All of them are found in the source and tried with runs of their own characters; what is made of several, or sees the
longest texts from outside, stands here by name. The inputs are harmless, and as bad as it gets: runs in which it could
begin to fit at every place.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from desktop.models.log_lines import compile_search
from desktop.system.platforms.linux import _arguments
from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.basics.plain import plain
from worker_core.logs.redaction import Redactor
from worker_core.playground.anthropic import chat_messages
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.names import command_names
from worker_core.policy.patterns import path_fits, text_pattern
from worker_core.policy.rules import Policy
from worker_core.policy.subjects import Reader, subjects_of
from worker_core.temporal.connection import _cause
from worker_core.tools.diagrams import WrongDiagram, kind_of
from worker_core.tools.html_text import text_of

ROOT = Path(__file__).parent.parent
METHODS = {"match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}


@dataclass(frozen=True, slots=True)
class Expression:
    """One that stands in the source, and how it is used there."""

    where: str
    pattern: str | bytes
    flags: int
    method: str


def _expressions() -> Iterator[Expression]:
    for file in sorted((*(ROOT / "worker_core").rglob("*.py"), *(ROOT / "desktop").rglob("*.py"))):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        used: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
                used.setdefault(node.value.id, set()).add(node.attr)
        named = {
            id(node.value): target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                continue
            where = f"{file.relative_to(ROOT)}:{node.lineno}"
            flags = sum(
                getattr(re, part.attr)
                for argument in (*node.args[1:], *(one.value for one in node.keywords))
                for part in ast.walk(argument)
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "re"
            )
            if node.func.attr == "compile":
                methods = used.get(named.get(id(node), ""), {"search"})
            else:
                methods = {node.func.attr} & METHODS
            for method in sorted(methods):
                yield Expression(where, node.args[0].value, flags, method)


def _samples(pattern: str | bytes, flags: int) -> list[str]:
    """Characters and words that an expression is about."""
    found: list[str] = []

    def walk(items: Any) -> None:
        word = ""
        for operator, value in items:
            if operator is constants.LITERAL:
                word += chr(value)
                continue
            found.append(word)
            word = ""
            if operator is constants.IN:
                for kind, inner in value:
                    if kind is constants.LITERAL:
                        found.append(chr(inner))
                    elif kind is constants.RANGE:
                        found.append(chr(inner[0]))
                    elif kind is constants.CATEGORY:
                        found.extend(("a", "7", " "))
            elif operator in {constants.ANY, constants.NOT_LITERAL}:
                found.append("x")
            elif operator is constants.BRANCH:
                for one in value[1]:
                    walk(one)
            elif operator is constants.SUBPATTERN:
                walk(value[3])
            elif operator in {constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT}:
                walk(value[2])
            elif operator is constants.ATOMIC_GROUP:
                walk(value)
            elif operator in {constants.ASSERT, constants.ASSERT_NOT}:
                walk(value[1])
        found.append(word)

    walk(parser.parse(pattern, flags))
    return list(dict.fromkeys(one for one in found if one))[:14]


def _pumped(expression: Expression) -> Iterator[Callable[[int], str]]:
    samples = _samples(expression.pattern, expression.flags)
    # Words of several characters once in front, then a run that goes on for ever.
    runs = [*samples, *("".join(pair) for pair in itertools.permutations(samples[:8], 2))]
    for run in runs:
        for before in ("", *(one for one in samples if len(one) > 1)):
            for after in ("\0", *samples[-1:]):
                yield lambda length, before=before, run=run, after=after: (  # type: ignore[misc]
                    before + run * (length // len(run)) + after
                )


@pytest.mark.parametrize("expression", list(_expressions()), ids=lambda one: f"{one.where} {one.method}")
def test_each_expression_of_the_source_is_linear(expression: Expression) -> None:
    compiled = re.compile(expression.pattern, expression.flags)

    def act(text: str) -> object:
        given: Any = text if isinstance(expression.pattern, str) else text.encode()
        if expression.method in {"sub", "subn"}:
            return compiled.sub(given[:0], given)
        if expression.method == "finditer":
            return list(compiled.finditer(given))
        return getattr(compiled, expression.method)(given)

    for make in _pumped(expression):
        began = time.thread_time()
        act(make(4_000))
        if time.thread_time() - began > 0.002:
            assert twice_the_length_costs(act, make) < LINEAR, make(40)


def decide(arguments: dict[str, Any]) -> None:
    policy = Policy(rules=(), built_in=built_in_rules(own_folders=("/own",)))
    reader = Reader(Path("/nowhere"), denied=policy.denied_words("/nowhere"))
    policy.decide(subjects_of("any", reader.arguments(arguments)), tool="any", workspace="/nowhere")


RUNS = (
    "a", "0123456789abcdef", "QUJDREVG_-", " ", "/", "/a", "a/", "../", "~", "~/", ":", "a://", "://", "a:", "@",
    "a@b", ".", "a.", "$", "${", "$(", "$((", "`", "'", '"', "\\", "\\'", '"$(', "{", "a{b,", "[", "(", ")", "<",
    "<(", "<<a ", "<<<", ">", "&", "|", ";", "a;", "\n", "a\n", "#", "!", "=", "a=", "a[0]=", "-", "-c", "--", "*",
    "case a in ", "if ", "\u0300", "\ud83d\ude00", "1.", "0x", "%41", "$'\\x41'", "env ", "sudo ", "bash -c '",
    "f() { ", "cd a && ", "xargs ",
)  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
def test_deciding_about_a_call_is_linear(run: str) -> None:
    def make(length: int) -> str:
        return (run * (length // len(run) + 1))[:length] + "\n!"

    def act(text: str) -> None:
        command_names(text)
        decide({"command": text, "path": text, "content": text, "url": text})

    assert twice_the_length_costs(act, make, length=1_000, longest=64_000) < LINEAR


def _diagram(text: str) -> None:
    with contextlib.suppress(WrongDiagram):
        kind_of(f"flowchart TD\n{text}", allowed=("flowchart",))


FAMILIES: list[tuple[str, Callable[[Any], object], Callable[[int], Any]]] = [
    *(
        (f"rule {pattern!r}", text_pattern(pattern).fullmatch, lambda n, run=run: "gpg" + run * (n // len(run)) + "!")
        for pattern in ("gpg* * --export-secret-*", "*a*b*c*", "*a*a*a", "a* *", "*?*?*b", "*[ab]*[ab]*c")
        for run in ("a", " ", "a ", "ab", "b", " --export-secret", "abc")
    ),
    *(
        (
            f"path rule {pattern!r}",
            lambda text, pattern=pattern: path_fits(pattern, text, workspace="/w", inside=False),
            lambda n, run=run: run * (n // len(run)) + "!",
        )
        for pattern in ("**/.ssh/**", "**/a/**/b/**/c", "**/a*b*c/**/*a*b", "**a**b**c", "**/*a*a*a", "/*/*/*/*/b")
        for run in ("/a", "/", "/aa", "/.ssh", "/a/b", "/ab", "a", "ab", "/b/a", "/a/ab")
    ),
    *(
        ("masking", Redactor().mask, lambda n, run=run: run * (n // len(run)) + "!")
        for run in ("://", "://a:", "a://b:c", "authorization: ", "authorization", "bearer ", "Bearer a", '"', " ")
    ),
    *(
        ("terminal", plain, lambda n, run=run: run * (n // len(run)))
        for run in ("\x1b[", "\x1b]", "\x1b[0", "\x1b", "\r")
    ),
    *(
        ("page", lambda html: text_of(html, url="https://e/"), lambda n, run=run: f"<pre>{run * (n // len(run))}x")
        for run in (" ", "\t", " \n", "\n", "a ")
    ),
    *(
        ("diagram", _diagram, lambda n, run=run: "\n".join([run * (1_900 // len(run))] * (n // 1_900)))
        for run in ("a>", '"a', "|a", "a[", "%%{", "o--", "{")
    ),
    *(
        ("Temporal's error", lambda text: _cause(RuntimeError(text)), lambda n, run=run: run * (n // len(run)))
        for run in ('"', '\\"', '"\\', 'message: "', 'message: "\\"', "\\", ": ")
    ),
    *(
        ("desktop entry", _arguments, lambda n, run=run: run * (n // len(run)))
        for run in ('"', '\\"', '"\\" ', "a ", '" \\')
    ),
    *(
        (
            "what Claude Code says",
            lambda text: chat_messages({"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}),
            lambda n, run=run: run * (n // len(run)),
        )
        for run in ("<system-reminder>", "<system-reminder></system-reminder>  ", "</system-reminder>", "<")
    ),
    ("a search of the log", lambda text: compile_search("(a").search(text), lambda n: "a" * n),  # type: ignore[union-attr]
]  # fmt: skip


@pytest.mark.parametrize(("what", "act", "make"), FAMILIES, ids=[f"{at} {one[0]}" for at, one in enumerate(FAMILIES)])
def test_what_reads_texts_from_outside_is_linear(
    what: str, act: Callable[[Any], object], make: Callable[[int], Any]
) -> None:
    assert twice_the_length_costs(act, make, longest=200_000) < LINEAR, what
