"""No regular expression takes more than a text's length: `re` holds the interpreter, and with it the whole worker.

All of them are found in the source and tried with runs of their own characters; what is made of several, or sees the
longest texts from outside, stands here by name. The inputs are harmless, and as bad as it gets: runs in which it could
begin to fit at every place.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.models.log_lines import compile_search
from desktop.system.platforms.linux import _arguments
from tests.support.expressions import Expression, expressions, samples
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


def _pumped(expression: Expression) -> Iterator[Callable[[int], str]]:
    pieces = samples(expression.pattern, expression.flags)
    # Words of several characters once in front, then a run that goes on for ever.
    runs = [*pieces, *("".join(pair) for pair in itertools.permutations(pieces[:8], 2))]
    for run in runs:
        for before in ("", *(one for one in pieces if len(one) > 1)):
            for after in ("\0", *pieces[-1:]):
                yield lambda length, before=before, run=run, after=after: (  # type: ignore[misc]
                    before + run * (length // len(run)) + after
                )


@pytest.mark.parametrize("expression", list(expressions()), ids=lambda one: f"{one.where} {one.method}")
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
