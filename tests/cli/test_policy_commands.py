"""policy and approvals."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CommandLine
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
