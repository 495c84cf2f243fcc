"""What decides, in which order, and that it can always say why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.policy.calls import BUILT_IN, decided, of_a_call
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.file import parse
from worker_core.policy.patterns import literal, path_fits, text_pattern
from worker_core.policy.rules import Action, Decision, Policy, Rule
from worker_core.policy.shell_lines import read_line
from worker_core.policy.spelling import Misspelt, as_compared

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


def decide(
    command: str, own: list[Rule] | tuple[Rule, ...] = (), *, workspace: str = "/w", **arguments: str
) -> Decision:
    given_: Mapping[str, Any] = {**({"command": command} if command else {}), **arguments}
    return Policy(rules=own, built_in=BUILT_IN).decide(
        of_a_call("shell", given_, Path(workspace)), tool="shell", workspace=workspace
    )


@given(lines, rules)
def test_a_denial_always_wins_and_the_named_rule_exists(line: str, own: list[Rule]) -> None:
    found = decide(line, own)
    subjects = of_a_call("shell", {"command": line}, Path("/w"))
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
        subjects = of_a_call(tool, arguments, workspace)
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
    subjects = of_a_call("any", {"command": command, **more}, workspace)
    assert Policy(rules=(), built_in=BUILT_IN).decide(subjects, tool="any", workspace=str(workspace)).sentence


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
