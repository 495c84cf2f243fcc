"""What decides, in which order, and that it can always say why."""

from __future__ import annotations

import codecs
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.policy.calls import decided
from worker_core.basics.toml_text import basic_string
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.file import BrokenPolicy, PolicyFile, parse
from worker_core.policy.patterns import literal, path_fits, text_pattern
from worker_core.policy.rules import Action, Decision, Policy, Rule, Subject
from worker_core.policy.shell_lines import read_line
from worker_core.policy.spelling import Misspelt, as_compared
from worker_core.policy.subjects import Reader, subjects_of

BUILT_IN = built_in_rules(own_folders=("/state-of-the-worker",))
actions = st.sampled_from(list(Action))
words = st.sampled_from(
    ["git", "push", "rm", "-rf", "/etc/x", "~/.ssh/id", "x", "a/b", "$(ls)", "'q q'", "sudo", "http://h/"]
)
lines = st.lists(st.one_of(words, st.sampled_from(["&&", ";", "|", ">"])), min_size=1, max_size=8).map(" ".join)
patterns = st.sampled_from(["*", "git *", "rm *", "git push*", "x", "sudo *"])
path_patterns = st.sampled_from(["**", "/etc/**", "<outside>", "<workspace>", "~/**", "a/*"])
rules = st.lists(
    st.one_of(
        st.builds(
            lambda a, p, o, w: Rule(action=a, command=(p,), override=o, always=w, file="f", line=1),
            *(actions, patterns, st.booleans(), st.booleans()),
        ),
        st.builds(
            lambda a, p, o, w: Rule(action=a, path=(p,), override=o, always=w, file="f", line=1),
            *(actions, path_patterns, st.booleans(), st.booleans()),
        ),
        st.builds(lambda a: Rule(action=a, tool=("sh*",), file="f", line=1), actions),
    ),
    max_size=5,
)  # fmt: skip


def touched(tool: str, arguments: Mapping[str, Any], workspace: Path) -> tuple[Subject, ...]:
    return subjects_of(tool, Reader(workspace).arguments(arguments))


def decide(
    command: str, own: list[Rule] | tuple[Rule, ...] = (), *, workspace: str = "/w", **arguments: str
) -> Decision:
    given_: Mapping[str, Any] = {**({"command": command} if command else {}), **arguments}
    return Policy(rules=own, built_in=BUILT_IN).decide(
        touched("shell", given_, Path(workspace)), tool="shell", workspace=workspace
    )


@given(lines, rules)
def test_a_denial_always_wins_and_the_named_rule_exists(line: str, own: list[Rule]) -> None:
    found = decide(line, own)
    subjects = touched("shell", {"command": line}, Path("/w"))
    denies = [rule for rule in own if rule.action is Action.DENY]
    if any(rule.fits(one, tool="shell", workspace="/w") is not None for rule in denies for one in subjects):
        assert found.action is Action.DENY
    assert found.rule in Policy(rules=own, built_in=BUILT_IN).all_rules
    assert found.finding.pattern in (*found.rule.tool, *found.rule.command, *found.rule.path, *found.rule.host)
    assert found.rule.action is found.action
    assert (found.action is Action.ASK) <= bool(found.asking)


@given(lines, rules, rules)
def test_more_denials_and_questions_never_widen(line: str, own: list[Rule], more: list[Rule]) -> None:
    stricter = [
        rule for rule in more if rule.action is Action.DENY or (rule.action is Action.ASK and not rule.override)
    ]
    if not any(rule.always or rule.override for rule in own):
        before, after = decide(line, own).action, decide(line, [*own, *stricter]).action
        # An `ask` of the user's stands over the built-in rules, which only ask or allow there: it never becomes milder.
        assert after >= before


@given(lines, lines)
def test_of_several_commands_the_strictest_decides(one: str, other: str) -> None:
    if not (read_line(one).whole and read_line(other).whole):
        return
    both = decide(f"{one}\n{other}").action
    assert both >= max(decide(one).action, decide(other).action)


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("ls -la && cat notes.txt | sort > sorted.txt 2>/dev/null", Action.ALLOW),
        ("python3 script.py --out=result.csv", Action.ALLOW),
        ("/usr/bin/env python3 -V", Action.ALLOW),
        ("cat /etc/hosts", Action.ASK),
        ("cat ../secrets", Action.ASK),
        ("cd && ls", Action.ASK),
        ("tee < /etc/passwd", Action.ASK),
        ("grep -r x --include=/etc/y", Action.ASK),
        ("gcc -I/opt/include x.c", Action.ASK),
        ("for f in /usr/share/d*; do cat $f; done", Action.ASK),
        ("for f in /etc/*; do cat $f; done", Action.DENY),
        ("echo $(cat /etc/hosts)", Action.ASK),
        ("`echo cat` x", Action.ASK),
        ("$RUN x", Action.ASK),
        ("eval $X", Action.ASK),
        ("bash -c \"$X\"", Action.ASK),
        ("echo 'oops", Action.ASK),
        ("sudo ls", Action.ASK),
        ("curl http://localhost:8080/", Action.ASK),
        ("cat ~/.ssh/id_rsa", Action.DENY),
        ("cat $HOME/.ssh/id_rsa", Action.DENY),
        ("cat ${HOME}/.ssh/id_rsa", Action.DENY),
        ("cat ~/'.ssh'/id_rsa", Action.DENY),
        ("echo x >> ~/.ssh/authorized_keys", Action.DENY),
        ("bash -c 'cat ~/.ssh/id_rsa'", Action.DENY),
        ("bash -lc \"bash -c 'cat ~/.aws/credentials'\"", Action.DENY),
        ("eval 'cat ~/.aws/credentials'", Action.DENY),
        ("cat <<E\n$(cat ~/.netrc)\nE", Action.DENY),
        ("python3 -c 'open(\"/home/me/.aws/credentials\")'", Action.DENY),
        ("ls && security find-generic-password -a me", Action.DENY),
        ("xargs -n1 security dump-keychain", Action.DENY),
        ("timeout 5 secret-tool lookup a b", Action.DENY),
        ("cat '/home/me/Library/Application Support/Google/Chrome/Default/Cookies'", Action.DENY),
        ("cat /state-of-the-worker/journal/x", Action.DENY),
        ("cat /proc/1/environ", Action.DENY),
        ("cat /run/secrets/kubiya-api-key", Action.DENY),
        ("cat /run/credentials/kubiya-worker.service/kubiya-api-key", Action.DENY),
        ("curl http://169.254.169.254/latest/", Action.DENY),
        ("curl http://2852039166/latest/", Action.DENY),
        ("curl -s metadata.google.internal/x", Action.DENY),
    ],
)  # fmt: skip
def test_safe_defaults(tmp_path: Path, command: str, action: Action) -> None:
    found = decide(command, workspace=str(tmp_path))
    assert found.action is action, found.sentence


def test_texts_that_name_files_of_the_workspace_are_no_denial(tmp_path: Path) -> None:
    """The workspace lies among the worker's own folders, where nothing else may be touched."""
    state = tmp_path / "state"
    workspace = state / "workspaces" / "e"
    workspace.mkdir(parents=True)
    (workspace / "away").symlink_to(state)
    policy = Policy(rules=(), built_in=built_in_rules(own_folders=[str(state)]))

    def action(tool: str, **arguments: str) -> Action:
        subjects = touched(tool, arguments, workspace)
        return policy.decide(subjects, tool=tool, workspace=str(workspace)).action

    for text in ("open('data/x.txt')", "Asia/Tokyo", "./out/a.csv", f"{workspace}/b", "https://example.com/a/b"):
        assert action("python", code=text) is Action.ALLOW, text
        assert action("notes__add", title=text) is Action.ALLOW, text
    for text in ("open('away/audit/audit.jsonl')", f"open('{state}/audit/audit.jsonl')", "../../audit/audit.jsonl"):
        assert action("python", code=text) is Action.DENY, text


def test_a_link_out_of_the_workspace_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "keys").symlink_to(Path.home() / ".ssh")
    assert decide("cat link/hosts", workspace=str(tmp_path)).action is Action.ASK
    assert decide("ls link", workspace=str(tmp_path)).action is Action.ASK
    assert decide("ls keys", workspace=str(tmp_path)).action is Action.DENY
    assert decide("", workspace=str(tmp_path), path="keys/id_rsa").action is Action.DENY


def test_only_an_override_sets_a_built_in_denial_aside(tmp_path: Path) -> None:
    wide = parse('[[allow]]\npath = "**"\n', file="f")
    assert decide("cat /etc/hosts", wide).action is Action.ALLOW
    assert decide("cat ~/.ssh/known_hosts", wide).action is Action.DENY
    explicit = parse('[[allow]]\npath = "~/.ssh/known_hosts"\noverride = true\n', file="f")
    assert decide("cat ~/.ssh/known_hosts", explicit).action is Action.ALLOW
    assert decide("cat ~/.ssh/known_hosts ~/.ssh/id", explicit).action is Action.DENY


def test_what_is_not_clear_is_allowed_by_its_very_text_alone() -> None:
    line = "$RUN [x]*"
    wide = parse('[[allow]]\ncommand = "*"\n', file="f")
    assert decide(line, wide).action is Action.ASK
    exact = Rule(action=Action.ALLOW, command=(literal(line),), always=True, file="f", line=1)
    assert decide(line, [exact]).action is Action.ALLOW
    assert decide("$RUN [x]* y", [exact]).action is Action.ASK


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_literal_fits_itself_alone(text: str, other: str) -> None:
    assert text_pattern(literal(text)).fullmatch(text)
    assert (text_pattern(literal(text)).fullmatch(other) is not None) == (text == other)


@example("[---]", "-")
@example("[a--b&&c||d~~e]", "&")
@example("[[b]", "[")
@given(st.text(st.sampled_from("a*?[]!-^/~.&|"), max_size=12), st.text(max_size=12))
def test_no_pattern_is_too_strange(pattern: str, text: str) -> None:
    text_pattern(pattern).fullmatch(text)
    path_fits(pattern, f"/{text}", workspace="/w", inside=False)


@given(st.text(max_size=60), st.dictionaries(st.sampled_from(["path", "command", "url", "x"]), st.text(max_size=40)))
def test_no_call_is_too_strange(tmp_path_factory: pytest.TempPathFactory, command: str, more: dict[str, str]) -> None:
    workspace = tmp_path_factory.getbasetemp()
    subjects = touched("any", {"command": command, **more}, workspace)
    assert Policy(rules=(), built_in=BUILT_IN).decide(subjects, tool="any", workspace=str(workspace)).sentence


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
    subjects = touched("shell", {"command": "ls"}, tmp_path)
    found = policy.current().decide(subjects, tool="shell", workspace=str(tmp_path))
    assert (found.action, found.asking) == (Action.DENY, ())
    assert f"line {line}:" in found.sentence
    file.write_text("")
    assert policy.current().broken is None
    assert policy.current().decide(subjects, tool="shell", workspace=str(tmp_path)).action is Action.ALLOW


DENIES_TOUCH = '[[deny]]\ncommand = "touch *"\n'


def touch(policy: PolicyFile, workspace: Path) -> Decision:
    subjects = touched("shell", {"command": "touch x"}, workspace)
    return policy.current().decide(subjects, tool="shell", workspace=str(workspace))


def test_a_byte_order_mark_is_skipped_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(codecs.BOM_UTF8 + DENIES_TOUCH.encode())
    policy = PolicyFile(file, built_in=BUILT_IN)
    assert touch(policy, tmp_path).rule.line == 1
    subjects = touched("shell", {"command": "sudo ls"}, tmp_path)
    policy.allow_always(
        policy.current().decide(subjects, tool="shell", workspace=str(tmp_path)).asking, tool="shell", note=""
    )
    assert file.read_bytes().startswith(codecs.BOM_UTF8 + DENIES_TOUCH.encode())
    assert [rule.action for rule in policy.rules()] == [Action.DENY, Action.ALLOW]


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
        subjects = touched("shell", {"command": command}, folder)
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
    found = (
        PolicyFile(file, built_in=BUILT_IN)
        .current()
        .decide(
            subjects_of("shell", Reader(tmp_path).arguments({"command": "ls"})), tool="shell", workspace=str(tmp_path)
        )
    )
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
    ("rule", "line"),
    [
        ('host = "Evil.Example"', "curl https://evil.example"),
        ('host = "evil.example."', "curl https://evil.example"),
        ('host = "évil.example"', "curl https://évil.example"),
        ('host = "*.évil.example"', "curl https://a.évil.example"),
        ('host = "[2001:DB8::1]"', "curl http://[2001:db8:0::1]/"),
        ('host = "::ffff:6.6.6.6"', "curl http://6.6.6.6/"),
        ('host = "6.6.*"', "curl http://6.6.6.6/"),
        ('command = "/usr/bin/git push*"', "git push"),
        ('command = "git push*"', "/usr/bin/git push"),
        ('command = "./git push*"', "./git push"),
        ('path = "/srv/"', "cat /srv/x/y"),
        ('path = "$HOME/company/**"', "cat ~/company/x"),
        ('tool = "Shell"', "ls"),
    ],
)
def test_a_rule_fits_however_what_it_names_is_spelt(tmp_path: Path, rule: str, line: str) -> None:
    assert decided(line, tmp_path, rules=f"[[deny]]\n{rule}\n").action is Action.DENY


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


@example(":0]")
@example("0[")
@given(st.text(alphabet="abé.*[]:0123456789 /-", min_size=1, max_size=30))
def test_a_spelling_that_is_compared_stays_as_it_is(text: str) -> None:
    for field in ("host", "command", "path", "tool"):
        try:
            said = as_compared(field, text)
        except Misspelt:
            continue
        assert as_compared(field, said) == said
