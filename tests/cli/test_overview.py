"""The overview, each command's help, and what every error ends as."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import NOBODY_LISTENS, CommandLine
from worker_core import __version__
from worker_core.cli import root, situation
from worker_core.errors import ExitCode
from worker_core.paths import Paths

COMMANDS = [name for entries in root.SECTIONS.values() for name in entries]
ROOT = Path(__file__).parents[2]


def test_the_overview_names_every_command_and_exit_code(offline: CommandLine) -> None:
    answer = offline("--help")
    assert (answer.code, answer.err) == (0, "")
    for name in COMMANDS:
        assert f"\n  {name} " in answer.out
    assert {code for code, _ in root.EXIT_CODES} == {int(code) for code in ExitCode}
    for code, meaning in root.EXIT_CODES:
        assert f"{code:>3}  {meaning}" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_readme_and_the_overview_give_the_same_exit_codes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {int(code)} | " in readme


@pytest.mark.parametrize("name", [*COMMANDS, "playground serve"])
def test_each_command_explains_itself_with_examples(offline: CommandLine, name: str) -> None:
    answer = offline(*name.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    assert "Examples:" in answer.out
    assert f"\n  kubiya-worker {name}" in answer.out
    assert "--api-key " not in answer.out  # a key is never an argument; the name of its file may be one


@pytest.mark.parametrize("name", ["status", "pause", "resume", "stop", "logs", "execute", "queues", "doctor", "purge"])
def test_commands_that_print_state_speak_json(offline: CommandLine, name: str) -> None:
    assert "--json" in offline(name, "--help").out


def test_the_version(offline: CommandLine) -> None:
    assert offline("--version").out == f"kubiya-worker {__version__}\n"


def loaded(*arguments: str, **environment: str) -> set[str]:
    """Modules in memory after a command, in an interpreter of its own."""
    program = (
        "import json, sys\nfrom worker_core.cli.root import command\n"
        f"try: command.main({list(arguments)!r}, prog_name='kubiya-worker')\nexcept SystemExit: pass\n"
        "print('\\n' + json.dumps([name for name, module in sys.modules.items() if module is not None]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_overview_imports_no_command() -> None:
    modules = loaded("--help")
    assert {name for name in modules if name.startswith("worker_core.cli.")} == {"worker_core.cli.root"}
    assert modules & {"rich", "temporalio", "httpx2", "msgspec", "keyring"} == set()


def test_a_start_imports_nothing_heavy(tmp_path: Path) -> None:
    modules = loaded(
        "start", "--queue-id", "01234567-89ab-4def-8123-456789abcdef", "--fail-fast",
        KUBIYA_WORKER_HOME=str(tmp_path), KUBIYA_API_KEY="key-0123456789", CONTROL_PLANE_URL=NOBODY_LISTENS,
        SYSTEMROOT="C:\\Windows",
    )  # fmt: skip
    assert "temporalio" in modules
    assert modules & {"rich", "keyring", "openai", "starlette", "uvicorn", "pydantic", "sqlite3"} == set()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nonsense"], 2, "No such command"),
        (["start", "--nonsense"], 2, "No such option"),
        (["start", "--max-executions", "0"], 2, "--max-executions"),
        (["start", "--max-activities", "many"], 2, "--max-activities"),
        (["start", "--heartbeat-interval", "-1"], 2, "--heartbeat-interval"),
        (["start", "--temporal-tls", "maybe"], 2, "--temporal-tls"),
        (["start", "--log-level", "LOUD"], 2, "--log-level"),
        (["start"], 3, "There is no queue to serve."),
        (["start", "--queue-id", " , "], 3, "There is no queue to serve."),
        (["start", "--queue-id", "a", "--ca-file", "/no/such.pem"], 3, "does not exist"),
        (["start", "--queue-id", "a", "--control-plane-url", "ftp://x"], 3, "https://"),
        (["start", "--queue-id", "../../etc", "--fail-fast"], 5, "is not a queue id"),
        (["execute"], 2, "There is no prompt."),
        (["execute", "  "], 2, "There is no prompt."),
        (["execute", "-"], 2, "There is no prompt."),
        (["execute", "x", "--follow", "a"], 2, "--follow"),
        (["execute", "--follow", "a", "--cancel", "b"], 2, "exclude each other"),
        (["execute", "-i", "--no-follow"], 2, "exclude each other"),
        (["execute", "x"], 6, "refused the connection"),
        (["queues"], 6, "refused the connection"),
        (["queues", "--control-plane-url", "https://user:word@example.test"], 3, "keep secrets out of URLs"),
        (["status"], 3, "No worker of yours runs"),
        (["status", "--worker", "1"], 3, "No worker of yours runs"),
        (["executions"], 3, "No worker of yours runs"),
        (["start", "--name", "12"], 3, "cannot be called '12'"),
        (["start", "--daemon", "--name", "../x"], 3, "cannot be called '../x'"),
        (["start", "--json"], 2, "--json is for --daemon"),
        (["pause"], 3, "No worker of yours runs"),
        (["resume"], 3, "No worker of yours runs"),
        (["stop"], 3, "No worker of yours runs"),
        (["stop", "--cancel", "--now"], 2, "exclude each other"),
        (["logs"], 3, "none has left a log file"),
        (["logs", "-n", "-1"], 2, "--last"),
        (["playground", "serve", "--port", "70000"], 2, "--port"),
        (["playground", "--port", "1", "serve"], 2, "stand behind it"),
        (["playground", "serve", "--llm-url", "nonsense"], 3, "llm_url"),
    ],
)
def test_bad_input_ends_in_one_sentence(offline: CommandLine, arguments: list[str], code: int, said: str) -> None:
    answer = offline(*arguments)
    assert (answer.code, answer.out) == (code, ""), answer
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert [line.lower().startswith("error: ") for line in answer.err.splitlines()].count(True) == 1


def test_a_broken_settings_file_is_named(offline: CommandLine) -> None:
    file = offline.home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("queue_ids = [")
    answer = offline("start")
    assert answer.code == 3
    assert str(file) in answer.err


def test_the_unexpected_is_a_sentence_and_a_log_file(offline: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("with key-0123456789 in it")

    monkeypatch.setattr(situation, "load_settings", break_down)
    answer = offline("queues")
    log = Paths.from_environment(offline.environment).worker_log
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"error: Something unexpected went wrong (ZeroDivisionError). The details are in {log}.\n"
    kept = log.read_text()
    assert "break_down" in kept
    assert "key-0123456789" not in kept


@pytest.mark.parametrize("how", [["--debug"], []])
def test_tracebacks_are_for_those_who_ask(how: list[str], tmp_path: Path) -> None:
    program = (
        "from worker_core.cli import situation, main\nimport sys\n"
        "def break_down(*_): raise ZeroDivisionError\nsituation.load_settings = break_down\n"
        f"sys.argv = ['kubiya-worker', *{how!r}, 'queues']\nmain()"
    )
    environment = {"KUBIYA_WORKER_HOME": str(tmp_path), "SYSTEMROOT": "C:\\Windows", "KUBIYA_DEBUG": "" if how else "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_python_m_worker_core_is_the_same_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker_core", "status"], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={"KUBIYA_WORKER_HOME": str(tmp_path), "SYSTEMROOT": "C:\\Windows"},
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith("error: No worker of yours runs on this machine.")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' shells have no head")
def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m worker_core --help | head -n 1"], cwd=ROOT, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("Usage: kubiya-worker [OPTIONS] COMMAND [ARGS]...\n", "")
