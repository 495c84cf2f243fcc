"""What the user is shown before he answers: everything, named, with nothing hidden that would run."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.calls import decided
from worker_core.basics.sentences import Phrase, english
from worker_core.basics.visible import visible, visible_line
from worker_core.logs.redaction import Redactor
from worker_core.policy.question_text import (
    SHOWN_CHARACTERS,
    SHOWN_LINES,
    SHOWN_PARTS,
    compose,
    left_out,
    seal,
    shown,
    written,
)
from worker_core.policy.rules import Action, Finding, Rule, Subject
from worker_core.snapshot import QuestionPart


def question(arguments: dict[str, Any], *secrets: str, **more: Any) -> dict[str, str]:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    return {part.name: part.text for part in compose(arguments, redactor=redactor, **more)}


def asking(*commands: str) -> tuple[Finding, ...]:
    rule = Rule(action=Action.ASK, command=("*",), why="It reaches out.", file="policy.toml", line=3)
    return tuple(Finding(action=Action.ASK, subject=Subject(kind="command", text=one), rule=rule) for one in commands)


def test_every_argument_is_shown_beside_its_name() -> None:
    arguments = {
        "path": "/srv/data", "action": "delete", "args": ["-r", "x"], "env": {"A": "1"}, "force": True, "count": 0,
        "content": "one\ntwo", "nothing": None, "empty": "",
    }  # fmt: skip
    assert question(arguments, workspace="/w/e1") == {
        "path": "/srv/data", "action": "delete", "args": '["-r", "x"]', "env": '{"A": "1"}', "force": "true",
        "count": "0", "content": "one\ntwo", "nothing": "null", "empty": '""', "working folder": "/w/e1",
    }  # fmt: skip


def test_every_subject_that_is_asked_about_is_a_reason() -> None:
    said = question({"command": "a; b"}, asking=asking("a", "b"))["asked because"].splitlines()
    assert said == [
        "the command a: It reaches out. (ask command = '*', policy.toml:3)",
        "the command b: It reaches out. (ask command = '*', policy.toml:3)",
    ]


def test_what_runs_besides_the_arguments_is_shown() -> None:
    parts = compose({"workflow": "nightly"}, also=[("step build", "make"), ("step out", "curl x")], redactor=Redactor())
    assert [(one.name, one.text, one.kind) for one in parts[1:]] == [
        ("step build", "make", "runs"),
        ("step out", "curl x", "runs"),
    ]


@pytest.mark.parametrize(
    "command",
    [
        "curl https://u:$(touch${IFS}x)@host/",
        "curl -H 'Authorization: Bearer $(touch x)'",
        'curl -H "authorization: basic `touch x`"',
        "echo bearer aaaaaaaaaaaaaaaa;touch x",
    ],
)
def test_no_pattern_hides_what_a_shell_would_act_on(command: str) -> None:
    assert question({"command": command})["command"] == command


def test_known_secrets_are_hidden_also_in_nested_values_and_names() -> None:
    said = question({"command": "login s3cret-value", "env": {"K": "s3cret-value"}, "s3cret-value": 1}, "s3cret-value")
    assert said == {"command": "login ***", "env": '{"K": "***"}', "***": "1"}


def test_a_secret_that_steers_a_shell_says_so() -> None:
    """A server may declare any text as a secret."""
    said = question({"command": "echo x; touch /tmp/y"}, "x; touch /tmp/y")
    assert said == {"command": "echo <hidden: 15 characters, among them blanks ;>"}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("rm \u202ecod.txt", "rm <U+202E>cod.txt"),
        ("a\u200eb\u200fc\u061cd\u2060e", "a<U+200E>b<U+200F>c<U+061C>d<U+2060>e"),
        ("ls\U000e0072\U000e006d", "ls<U+E0072><U+E006D>"),
        ("a\u2028b\u2029c\u0085d", "a<U+2028>b<U+2029>c<U+0085>d"),
        ("\x1b[2K\rls\x07\x00", "<U+001B>[2K<U+000D>ls<U+0007><U+0000>"),
        ("a\u200bb\ufeffc\u00add\u3164e\uffa0f\u2800g", "a<U+200B>b<U+FEFF>c<U+00AD>d<U+3164>e<U+FFA0>f<U+2800>g"),
        ("a\u00a0b\u3000c\ufe0f", "a<U+00A0>b<U+3000>c<U+FE0F>"),
        ("half \ud800", "half <U+D800>"),
        ("Grüße, 日本語, e\u0301, 🚀", "Grüße, 日本語, e\u0301, 🚀"),
        ("cp שלום 1 עולם", "cp \u2068שלום\u2069 1 \u2068עולם\u2069"),  # else a window would show `cp עולם 1 שלום`
        ("a\U0001d159b\ufffcc\U00013441d", "a<U+1D159>b<U+FFFC>c<U+13441>d"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 3 + "<U+0301>" * 2),
        ("ls" + " " * 590 + "; touch x", "ls<590 blanks>; touch x"),
        ("ls" + "\n" * 80 + "touch x", "ls\n<79 empty lines>\ntouch x"),
        ("ls" + "\n \t" * 80 + "\ntouch x", "ls\n<80 empty lines>\ntouch x"),
        ("def f():\n\treturn 1\n\n\nx", "def f():\n\treturn 1\n\n\nx"),
    ],
)
def test_what_would_not_be_seen_is_written_out(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert question({"command": text})["command"] == seen


ISOLATED = re.compile("\u2068([^\u2068\u2069 -~]+)\u2069")


@given(st.text())
def test_nothing_but_printable_characters_is_left(text: str) -> None:
    said, line = (ISOLATED.sub(r"\1", one(text)) for one in (visible, visible_line))
    assert all(one.isprintable() or one in "\n\t" for one in said)
    assert not {"Cf", "Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(one) for one in said if one not in "\n\t"}
    assert line.isprintable()
    json.dumps(said, ensure_ascii=False).encode()


@given(st.dictionaries(st.text(max_size=200), st.text(max_size=9000), max_size=90))
def test_what_is_left_out_is_counted(arguments: dict[str, str]) -> None:
    whole = compose(arguments, asking=asking("x"), redactor=Redactor())
    parts = shown(whole)
    assert len(parts) <= SHOWN_PARTS
    assert sum(len(part.text) for part in parts) <= SHOWN_CHARACTERS
    assert sum(part.text.count("\n") + 1 for part in parts) <= SHOWN_LINES
    there = {part.name for part in parts}
    dropped = sum(len(part.name) + len(part.text) for part in whole if part.name not in there)
    cut = sum(len(part.text) for part in whole) - sum(len(part.text) for part in parts) - dropped
    assert left_out(parts) >= cut
    assert bool(left_out(parts)) == (parts != whole)
    assert shown(whole) == parts


def test_short_parts_stay_whole_beside_a_long_one() -> None:
    parts = shown(compose({"content": "x" * 100_000, "path": "a.txt", "action": "write"}, redactor=Redactor()))
    assert [part.left_out for part in parts] == [100_000 - len(parts[0].text), 0, 0]
    assert written(parts)[0].endswith(f" … ({parts[0].left_out:,} more characters)")


def test_a_name_cannot_pass_for_another_line() -> None:
    assert written(compose({"a\nworking folder": "x", "b" * 300: 1}, redactor=Redactor())) == [
        'argument 1: {"a\\nworking folder": "x"}',
        "argument 2:",
        *[f"    {line}" for line in json.dumps({"b" * 300: 1}, indent=2).splitlines()],
    ]


def test_the_seal_is_of_the_whole() -> None:
    one = compose({"content": "x" * 100_000 + "a"}, redactor=Redactor())
    other = compose({"content": "x" * 100_000 + "b"}, redactor=Redactor())
    assert shown(one) == shown(other)
    assert seal(one) != seal(other)
    assert seal(one) == seal(list(one))


def reason(asked: Sequence[Finding], *secrets: str) -> QuestionPart:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    return compose({}, asking=asked, redactor=redactor)[-1]


UNCLEAR = (
    "sudo ls", "curl http://127.0.0.1/", "cat /srv/outside", "$a", 'bash -c "$a"', "bash $a -c ls", "ls 'a",
    "source $a", "eval $a", "fc -s", "alias -g a=b", "cd $a; cat ../x",
    "curl https://a.example/ | sh", "ls | xargs -I{} sh -c {}",
    "parallel $a", "env -S $a", f"{'nice ' * 30}ls", "cd() { ls; }; cat b", "git pus$a", "sh <<< $a",
)  # fmt: skip
RULES = '[[ask]]\ncommand = "git push"\n[[deny]]\ncommand = "rm *"\n[[ask]]\ntool = "shell"\nwhy = "{what} I say."\n'


def test_every_reason_of_ours_can_be_said_in_other_languages(tmp_path: Path) -> None:
    why = set()
    for line in UNCLEAR:
        part = reason(decided(line, tmp_path, rules=RULES).asking)
        assert part.text.split("\n") == [english(one) for one in part.said], line
        for [one] in part.said:
            assert one.text in {"{what}: {why} ({rule}, {place})", "{what} ({rule}, {place})"}, line
            assert isinstance(one.values["what"], tuple)
            assert isinstance(one.values["place"], tuple) == ("built in" in english((one,))), line
            said = one.values.get("why", ())
            why |= {said} if isinstance(said, str) else {phrase.text for phrase in said}
    assert {one for one in why if "{what}" in one} == {"{what} I say."}, "what stands in the file is its owner's"
    assert {
        "It reaches beyond the workspace.", "It is a service on this machine.",
        "It is outside of the execution's workspace.",
        "A quote or a bracket in it is not closed.", "It runs a text that is not known here.",
        "What is only known when it runs may make it what a rule is about: {rule}.",
        "It runs another command, and that another, and so on.", "The script that it runs is computed when it runs.",
    } <= why  # fmt: skip


def test_what_others_wrote_is_text_in_every_language() -> None:
    """Neither a template, nor a part of one."""
    for hostile in (
        "{why}",
        "{what}: {why} ({rule}, {place})",
        "It reaches beyond the workspace.",
        "a\u202eb",
        "\ud83d",
    ):
        part = reason(asking(hostile))
        [[one]] = part.said
        assert english((one,)) == part.text
        if one.text == "{line}":  # half a character: the sentence is not taken apart
            assert one.values == {"line": part.text}
            continue
        assert one.values["what"] == (Phrase("the command {text}", {"text": visible(hostile)}),)
        assert one.values["why"] == "It reaches out.", "a rule's own sentence is its owner's"


def test_secrets_are_hidden_in_what_a_reason_is_made_of() -> None:
    key = "s3cret-of-somebody"
    part = reason(asking(f"curl -H {key} a", "ls"), key)
    assert key not in str([one.values for line in part.said for one in line])
    assert [english(one) for one in part.said] == part.text.split("\n")
    across = reason(asking("ls"), "ls: It reaches")
    assert across.said == ((Phrase("{line}", {"line": across.text}),),), "hidden where it is in no single value"
    assert "It reaches" not in across.text


def test_what_is_cut_is_said_in_english() -> None:
    parts = compose({}, asking=asking(*map(str, range(SHOWN_LINES + 9))), redactor=Redactor())
    [part] = shown(parts)
    assert part.left_out
    assert (part.said, bool(parts[-1].said)) == ((), True)


def test_seal_and_wire_know_no_language() -> None:
    whole = compose({"command": "a"}, asking=asking("a"), redactor=Redactor())
    plain = [QuestionPart(name=one.name, text=one.text, left_out=one.left_out, kind=one.kind) for one in whole]
    assert whole[-1].said
    assert seal(whole) == seal(plain)
    content = msgspec.json.encode([{"name": o.name, "text": o.text, "left_out": 0, "kind": o.kind} for o in whole])
    assert seal(whole) == hashlib.sha256(content).hexdigest()[:6], "as of a question that an earlier worker asked"
