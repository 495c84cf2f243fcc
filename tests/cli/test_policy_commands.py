"""policy and approvals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.support.walls import needs_bubblewrap
from worker_core.policy.audit import AuditLog


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["ls -la"], 0, "allow"),
        (["cat /etc/hosts"], 10, "ask"),
        (["cat ~/.ssh/id_rsa"], 11, "deny"),
        (["--path", "/etc/hosts"], 10, "ask"),
        (["--tool", "mcp_files", "--path", "notes.txt"], 0, "allow"),
        (["--host", "169.254.169.254"], 11, "deny"),
        (["--host", "example.com"], 0, "allow"),
    ],
)
def test_check(offline: CommandLine, arguments: list[str], code: int, word: str) -> None:
    answer = offline("policy", "check", *arguments)
    assert (answer.code, answer.out.split(":")[0]) == (code, word)
    assert offline("policy", "check", "--json", *arguments).json["action"] == word


def test_check_names_the_line_of_the_file(offline: CommandLine) -> None:
    file = offline.home / "config" / "policy.toml"
    assert offline("policy", "path").out.strip() == str(file)
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n\n[[deny]]\ncommand = 'git push*'\nwhy = 'never'\n")
    answer = offline("policy", "check", "make && git push --force")
    assert answer.code == 11
    assert f"deny command = 'git push*' [{file}:3] (never)" in answer.out
    assert offline("policy", "show").out.splitlines()[0].startswith(f"{file}:3")
    file.write_text("[[deny]\n")
    answer = offline("policy", "show")
    assert answer.code == 3
    assert "line 1" in answer.err
    answer = offline("policy", "check", "ls")
    assert answer.code == 11
    assert "line 1" in answer.out
    assert offline("policy", "check").code == 2


@pytest.fixture
def granting(offline: CommandLine, tmp_path: Path) -> CommandLine:
    """Folders of the owner's, granted in the settings file."""
    folder = tmp_path.resolve()
    for name in ("data/in", "reports", "repo/.git", "copied"):
        (folder / name).mkdir(parents=True)
    settings = offline.home / "config" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        f'[folders]\n"{folder}/data" = "read-only"\n"{folder}/reports" = "read-write ops"\n'
        f'"{folder}/repo" = "read-write"\n"{folder}/copied" = "worktree"\n"{folder}/home" = "read-only"\n'
    )
    offline.environment |= {"KUBIYA_WORKER_SANDBOX": "none", "KUBIYA_WORKER_REQUIRE_SANDBOX": "never"}
    return offline


@pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX")
@pytest.mark.parametrize(
    ("arguments", "code", "note"),
    [
        (["--path", "{}/data/in/x"], 0, "granted for reading alone"),
        (["--path", "{}/data/../x"], 10, ""),
        (["--path", "{}/reports/x"], 10, "granted to ops alone"),
        (["--path", "{}/reports/x", "--for", "ops"], 0, ""),
        (["touch {}/reports/x", "--for", "other", "--for", "ops"], 0, ""),
        (["touch {}/data/x"], 10, "granted for reading alone"),
        (["--path", "{}/repo/x"], 0, "may only be read: it is a git repository"),
        (["--path", "{}/copied/x"], 10, "executions get copies"),
        (["--path", "{}/home/x"], 10, "is not given: the worker keeps something"),
        (["--tool", "server__read", "--path", "{}/data/x"], 10, "MCP servers see no folder"),
        (["--path", "../../x", "--cwd", "{}/data/in"], 10, ""),
        (["--path", "../x", "--cwd", "{}/data/in"], 0, "granted for reading alone"),
        (["--path", "{}/data/.ssh/id_rsa"], 11, "granted for reading alone"),
    ],
)
def test_check_knows_folders_that_were_granted(
    granting: CommandLine, tmp_path: Path, arguments: list[str], code: int, note: str
) -> None:
    given = [one.format(tmp_path.resolve()) for one in arguments]
    answer = granting("policy", "check", *given)
    assert (answer.code, answer.err) == (code, "")
    assert bool(note) == ("note: " in answer.out)
    assert note in answer.out


@pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX")
def test_scripts_read_which_folders_it_was_judged_with(granting: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    said = granting("policy", "check", "--json", "--for", "ops", "--path", f"{folder}/data/x").json
    assert said["folders"] == [
        {"path": f"{folder}/data", "writable": False},
        {"path": f"{folder}/reports", "writable": True},
        {"path": f"{folder}/repo", "writable": False},
    ]
    assert said["notes"] == [f"{folder}/data is granted for reading alone: what would write there fails."]


@needs_bubblewrap
def test_a_sandbox_that_keeps_commands_from_writing_spares_the_question(granting: CommandLine, tmp_path: Path) -> None:
    assert granting("policy", "check", f"touch {tmp_path.resolve()}/data/x", KUBIYA_WORKER_SANDBOX="auto").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX")
def test_the_one_queue_of_the_settings_is_asked_for_where_nobody_is_named(
    granting: CommandLine, tmp_path: Path
) -> None:
    report = f"{tmp_path.resolve()}/reports/x"
    assert granting("policy", "check", "--path", report, QUEUE_ID="ops").code == 0
    assert granting("policy", "check", "--path", report, QUEUE_ID="ops,other").code == 10
    assert granting("policy", "check", "--path", report, "--for", "other", QUEUE_ID="ops").code == 10


@pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX")
@pytest.mark.parametrize(
    ("cwd", "why"),
    [("reports", "granted to ops alone"), ("data/gone", "no such folder"), ("", "no folder that `folders`")],
)
def test_check_says_where_no_execution_would_work(granting: CommandLine, tmp_path: Path, cwd: str, why: str) -> None:
    answer = granting("policy", "check", "ls", "--cwd", f"{tmp_path.resolve()}/{cwd}")
    assert (answer.code, why in answer.err) == (3, True)


def test_no_worker_starts_with_a_policy_that_cannot_be_read(offline: CommandLine) -> None:
    file = offline.home / "config" / "policy.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes("[[deny]]\ncommand = 'touch *'\n".encode("utf-16"))
    answer = offline("start", "--queue-id", "q", KUBIYA_WORKER_APPROVALS="allow")
    assert answer.code == 3
    assert "UTF-16" in answer.err
    assert str(file) in answer.err
    [found] = [check for check in offline("doctor", "--json").json["checks"] if check["name"] == "policy"]
    assert found["status"] == "fail"


def test_audit(offline: CommandLine) -> None:
    file = offline.home / "state" / "audit" / "audit.jsonl"
    assert offline("policy", "audit", "--verify").code == 0
    log = AuditLog(file)
    log.record("deny", tool="shell", rule="deny path = 'x'")
    log.record("allow", tool="python", rule="allow tool = '*'")
    assert [line["kind"] for line in offline("policy", "audit", "--json").lines] == ["deny", "allow"]
    assert "python" in offline("policy", "audit", "-n", "1").out
    assert offline("policy", "audit", "--verify", "--json").json == {"entries": 2, "problems": [], "notes": []}
    file.write_text(file.read_text().replace("deny", "dent", 1))
    answer = offline("policy", "audit", "--verify")
    assert answer.code == 11
    assert "line 1" in answer.out


def test_approvals_without_a_worker(offline: CommandLine) -> None:
    answer = offline("approvals")
    assert answer.code == 3
    assert "No worker" in answer.err
    assert offline("approvals", "allow", "abc").code == 3
