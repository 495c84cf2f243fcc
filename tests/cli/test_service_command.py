"""`kubiya-worker service`, as far as nothing is installed by it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from worker_core.services.system import unseen_by_the_system

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("systemctl") is None, reason="needs systemctl, of the package systemd"
)


@pytest.fixture
def machine(offline: CommandLine, tmp_path: Path) -> CommandLine:
    offline.environment |= {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "XDG_RUNTIME_DIR": str(tmp_path)}
    return offline


@pytest.mark.parametrize("scope", ["system", "user"])
def test_show_says_what_would_be_written_and_changes_nothing(machine: CommandLine, tmp_path: Path, scope: str) -> None:
    answer = machine("service", "show", f"--{scope}", "--queue-id", "a", "--queue-id", "b", "--name", "x", "--json")
    assert answer.code == 0, answer.err
    name = "kubiya-worker-x.service"
    unit = next(text for path, text in answer.json["files"].items() if path.endswith(f"/{name}"))
    assert 'Environment="QUEUE_ID=a, b"\n' in unit
    assert 'Environment="CONTROL_PLANE_URL=http://127.0.0.1:1"\n' in unit
    assert "/kubiya-worker-x/kubiya-api-key\n" in unit
    assert machine.environment["KUBIYA_API_KEY"] not in answer.out + machine("service", "show", "--queue-id", "a").out
    assert ["systemctl", f"--{scope}", "enable", name] in answer.json["commands"]
    assert not (tmp_path / "xdg").exists()


def test_the_settings_file_goes_with_a_service_of_another_user_alone(machine: CommandLine) -> None:
    config = machine.home / "config" / "config.toml"
    config.parent.mkdir(parents=True, mode=0o700)
    config.write_text('queue_ids = ["of-the-file"]\nfail_fast = true\n')
    config.chmod(0o600)
    assert '"KUBIYA_WORKER_FAIL_FAST=true"' in machine("service", "show", "--system").out
    assert "FAIL_FAST" not in machine("service", "show", "--user").out


def test_the_drain_time_is_that_of_the_settings(machine: CommandLine) -> None:
    said = machine("service", "show", "--user", "--queue-id", "a", "--drain-timeout", "90 s").out
    assert "TimeoutStopSec=150s\n" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["install"], "There is no queue to serve"),
        (["show", "--queue-id", "a", "--name", "A B"], "no name for a service"),
        (["start", "--user"], "There is no service kubiya-worker.service"),
        (["uninstall", "--user"], "There is no service kubiya-worker.service to remove"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(machine: CommandLine, words: list[str], said: str) -> None:
    answer = machine("service", *words)
    assert (answer.code, answer.out) == (3, "")
    assert said in answer.err


def test_what_is_not_installed_says_so(machine: CommandLine) -> None:
    answer = machine("service", "status", "--user", "--json")
    assert answer.code == 3
    assert answer.json["installed"] is False


@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="root may do it")
def test_a_service_of_the_system_is_roots(machine: CommandLine) -> None:
    assert "with sudo" in machine("service", "install", "--system", "--queue-id", "a").err


def test_a_program_in_a_home_folder_is_none_for_the_system() -> None:
    assert "home or in a temporary folder" in unseen_by_the_system([Path("/tmp/x")])
    assert "home or in a temporary folder" in unseen_by_the_system([Path("/home/me/.venv")])
    assert unseen_by_the_system([Path("/bin/sh")]) == ""
