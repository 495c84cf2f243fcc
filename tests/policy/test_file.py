"""The policy file: what is wrong with it is said and denies, and what is added to it leaves the rest as it is."""

from __future__ import annotations

import codecs
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.calls import BUILT_IN, of_a_call
from worker_core.basics.toml_text import basic_string
from worker_core.policy.file import BrokenPolicy, PolicyFile, parse
from worker_core.policy.rules import Action, Decision


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[[allow]]\npath = \n", 2, "TOML"),
        ("[[allow]]\ntool = 'x'\n\n[[alow]]\ntool = 'x'\n", 4, "alow"),
        ("# one\n[[deny]]\ncommand = 'x'\ncomand = 'y'\n", 4, "comand"),
        ("[[ask]]\nwhy = 'x'\n", 1, "names no tool"),
        ("[[ask]]\npath = 'x'\nhost = 'y'\n", 1, "one of"),
        ("[[ask]]\n\npath = 3\n", 3, "text"),
        ("[[deny]]\npath = 'x'\noverride = true\n", 3, "no meaning"),
        ("[[allow]]\npath = 'x'\noverride = 1\n", 3, "true or false"),
        ("\nallow = [{path = 'x'}]\n", 2, "of its own"),
    ],
)
def test_a_broken_file_says_where_and_everything_is_denied(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    policy = PolicyFile(file, built_in=BUILT_IN)
    with pytest.raises(BrokenPolicy, match=words) as error:
        policy.rules()
    assert f"line {line}:" in str(error.value)
    subjects = of_a_call("shell", {"command": "ls"}, tmp_path)
    found = policy.current().decide(subjects, tool="shell", workspace=str(tmp_path))
    assert (found.action, found.asking) == (Action.DENY, ())
    assert f"line {line}:" in found.sentence
    file.write_text("")
    assert policy.current().broken is None
    assert policy.current().decide(subjects, tool="shell", workspace=str(tmp_path)).action is Action.ALLOW


DENIES_TOUCH = '[[deny]]\ncommand = "touch *"\n'


def touch(policy: PolicyFile, workspace: Path) -> Decision:
    subjects = of_a_call("shell", {"command": "touch x"}, workspace)
    return policy.current().decide(subjects, tool="shell", workspace=str(workspace))


def test_a_byte_order_mark_is_skipped_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(codecs.BOM_UTF8 + DENIES_TOUCH.encode())
    policy = PolicyFile(file, built_in=BUILT_IN)
    assert touch(policy, tmp_path).rule.line == 1
    subjects = of_a_call("shell", {"command": "sudo ls"}, tmp_path)
    policy.allow_always(
        policy.current().decide(subjects, tool="shell", workspace=str(tmp_path)).asking, tool="shell", note=""
    )
    assert file.read_bytes().startswith(codecs.BOM_UTF8 + DENIES_TOUCH.encode())
    assert [rule.action for rule in policy.rules()] == [Action.DENY, Action.ALLOW]


@pytest.mark.parametrize(("content", "line"), [(b"\n[[alow]]\n", 2), (b"\n\n# caf\xe9\n", 3), (b"#" * 1_000_001, 0)])
def test_the_line_of_a_fault_is_not_one_that_its_path_names(tmp_path: Path, content: bytes, line: int) -> None:
    file = tmp_path / "old, line 7: mine" / "policy.toml"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(BrokenPolicy) as error:
        PolicyFile(file, built_in=BUILT_IN).rules()
    assert error.value.line == line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (DENIES_TOUCH.encode("utf-16"), "UTF-16"),
        (codecs.BOM_UTF16_BE + DENIES_TOUCH.encode("utf-16-be"), "UTF-16"),
        (DENIES_TOUCH.encode() + b"# caf\xe9\n", "line 3: this is not UTF-8"),
        (b"#" * 1_000_001, "larger"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_denies_and_is_never_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None, words: str
) -> None:
    file = tmp_path / "policy.toml"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    policy = PolicyFile(file, built_in=BUILT_IN)
    found = touch(policy, tmp_path)
    assert found.action is Action.DENY
    assert words in found.sentence
    assert words in caplog.text
    with pytest.raises(BrokenPolicy, match=words):
        policy.allow_always([found.finding], tool="shell", note="")
    assert content is None or file.read_bytes() == content


@given(st.text(max_size=40))
def test_every_text_is_read_again_as_it_was_written(text: str) -> None:
    assert tomllib.loads(f"x = {basic_string(text)}")["x"] == text.encode("utf-8", "replace").decode()


def test_a_rule_of_ones_own_is_written_only_where_it_allows_what_was_asked(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[[ask]]\ncommand = 'touch *'\n\n[[deny]]\ncommand = 'touch b'\n")
    policy = PolicyFile(file, built_in=BUILT_IN)
    before = file.read_text()
    asked = touch(policy, tmp_path).asking

    def always(own_rule: str) -> None:
        policy.allow_always(asked, tool="shell", note="Noted.", own_rule=own_rule, workspace=str(tmp_path))

    for weak in (
        "[[allow]]\ncommand = 'touch *'",
        "[[allow]]\ncommand = 'ls'\nalways = true",
        "[[allow]",
        "always = true",
    ):
        with pytest.raises(BrokenPolicy):
            always(weak)
        assert file.read_text() == before
    always("[[allow]]\ncommand = 'touch *'\nalways = true")
    assert file.read_text() == f"{before}\n# Noted.\n[[allow]]\ncommand = 'touch *'\nalways = true\n"
    assert touch(policy, tmp_path).action is Action.ALLOW
    denied = policy.current().decide(of_a_call("shell", {"command": "touch b"}, tmp_path), tool="shell", workspace="/w")
    assert denied.action is Action.DENY


STRANGE = [
    "cat /tmp/x",
    "sudo 'a  b'",
    "sudo a\tb",
    "sudo ls [x]*",
    "sudo 'o \u202e\\'",
    'ls /é "q"',
    "cat '/tmp/[a]*'",
]


@given(st.lists(st.sampled_from(STRANGE), min_size=1, max_size=3))
def test_always_keeps_the_file_and_is_not_asked_again(
    tmp_path_factory: pytest.TempPathFactory, said: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("policy")
    file = folder / "config" / "policy.toml"
    file.parent.mkdir()
    before = "# a comment\n[[ask]]  # of mine\ncommand = 'cat *' # all"
    file.write_text(before)
    policy = PolicyFile(file, built_in=BUILT_IN)

    def found(command: str) -> Decision:
        subjects = of_a_call("shell", {"command": command}, folder)
        return policy.current().decide(subjects, tool="shell", workspace=str(folder))

    for command in said:
        if found(command).action is Action.ASK:
            policy.allow_always(found(command).asking, tool="shell", note="x")
        assert found(command).action is Action.ALLOW
    assert file.read_text(encoding="utf-8").startswith(before)
    assert found("cat other").action is Action.ASK
    place = found("cat other").rule.place
    assert re.fullmatch(r".*policy\.toml:2", place)
    assert [one.name for one in file.parent.iterdir()] == ["policy.toml"]


def damaged(kind: str, file: Path) -> None:
    """A policy file that denies `touch`, or was meant to."""
    file.write_text(DENIES_TOUCH)
    match kind:
        case "a pipe":
            file.unlink()
            os.mkfifo(file)
        case "a link that leads nowhere":
            file.unlink()
            file.symlink_to(file.with_name("dotfiles.toml"))
        case "writable by all":
            file.parent.chmod(0o755)
            file.chmod(0o666)
        case "writable by a group":
            file.parent.chmod(0o755)
            os.chown(file, -1, 65534)
            file.chmod(0o664)
        case "another user's":
            os.chown(file, 65534, 65534)
        case _:
            file.write_text(DENIES_TOUCH.replace("touch", "to\u200buch"))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file to others")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("a pipe", "is no file"),
        ("a link that leads nowhere", "is a link that leads nowhere"),
        ("writable by all", "Other users of this machine could have written"),
        ("writable by a group", "chmod go-w"),
        ("another user's", "whose it is, could have written"),
        ("a character that nobody sees", "holds <U+200B>, which nobody sees"),
    ],
)
def test_a_file_that_cannot_be_believed_denies_every_call(tmp_path: Path, kind: str, said: str) -> None:
    file = tmp_path / "policy.toml"
    damaged(kind, file)
    subjects = of_a_call("shell", {"command": "ls"}, tmp_path)
    found = PolicyFile(file, built_in=BUILT_IN).current().decide(subjects, tool="shell", workspace=str(tmp_path))
    assert found.action is Action.DENY
    assert said in found.sentence


@pytest.mark.skipif(sys.platform == "win32", reason="its files have no such modes")
def test_a_file_that_others_cannot_come_to_is_believed(tmp_path: Path) -> None:
    """As an editor makes it with the umask 002, in the worker's own folder."""
    file = tmp_path / "policy.toml"
    file.write_text(DENIES_TOUCH)
    file.chmod(0o664)
    tmp_path.chmod(0o700)
    assert PolicyFile(file, built_in=BUILT_IN).rules()
    file.unlink()
    file.symlink_to(os.devnull)
    assert PolicyFile(file, built_in=BUILT_IN).rules() == ()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('host = "https://evil.example"', "names more than a host"),
        ('host = "evil.example/"', "names more than a host"),
        ('host = "evil.example:443"', "names a port"),
        ('host = "[::1]:80"', "names a port"),
        ('host = " evil.example"', "begins or ends with a blank"),
        ('command = "rm * "', "begins or ends with a blank"),
        ('command = "git  push"', "more than one blank"),
        ('command = "git\\tpush"', "a tab"),
        ('path = "file:///srv/**"', "is a URL"),
    ],
)
def test_a_rule_that_would_fit_nothing_is_a_broken_file(rule: str, said: str) -> None:
    with pytest.raises(BrokenPolicy, match=said):
        parse(f"[[deny]]\n{rule}\n", file="f")
