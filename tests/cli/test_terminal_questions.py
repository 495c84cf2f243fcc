"""What the foreground worker asks at its terminal: a pseudo terminal, and the real program on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.engine import home, new_queue
from tests.support.executions import tool
from tests.support.playground import Stage
from tests.support.programs import path_without
from tests.support.questions import view
from worker_core.cli import prompter
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.events import EventBus
from worker_core.secrets import Secret
from worker_core.snapshot import EngineSnapshot, QuestionField

if sys.platform == "win32":
    pytest.skip("there are no pseudo terminals of this kind", allow_module_level=True)

LIMIT_SECONDS = 60.0


class Terminal:
    """A terminal with a program in its foreground; `shown` is all that stood on it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = os.openpty()
        self.shown = ""
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            command, env=environment, preexec_fn=lambda: os.login_tty(theirs), close_fds=True, pass_fds=(theirs,)
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(self._ours, 4096):
                with self._changed:
                    self.shown += piece.decode("utf-8", "replace")
                    self._changed.notify_all()

    def wait_for(self, pattern: str, *, after: int = 0) -> int:
        """Where the text that fits ends."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: re.search(pattern, self.shown[after:], re.DOTALL) is not None, LIMIT_SECONDS
            ), self.shown[-2000:]
            found = re.search(pattern, self.shown[after:], re.DOTALL)
            assert found is not None
            return after + found.end()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def answer(self, text: str, *, after: int) -> int:
        """Type it until it counts: what comes before a question could be read does not. Where it was taken."""
        while True:
            self.type(text)
            typed = self.wait_for(r"before this could be read\..*?> |INFO |ERROR |command: ", after=after)
            if not self.shown[:typed].endswith("> "):
                return after
            after = typed
            time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT_SECONDS)
        self._reader.join(LIMIT_SECONDS)
        os.close(self._ours)


@contextlib.contextmanager
def worker_on_a_terminal(stage: Stage, folder: Path, queue: str, **environment: str) -> Iterator[Terminal]:
    terminal = Terminal(
        [sys.executable, "-m", "worker_core", "start", f"--queue-id={queue}"],
        {
            **os.environ, "KUBIYA_WORKER_HOME": str(folder), "KUBIYA_API_KEY": stage.info.api_key,
            "CONTROL_PLANE_URL": stage.info.control_plane_url, "TERM": "dumb", "KUBIYA_WORKER_SANDBOX": "none",
            **environment,
        },
    )  # fmt: skip
    try:
        terminal.wait_for("ready  queue=")
        yield terminal
    finally:
        terminal.close()


async def run(stage: Stage, queue: str, command: str, terminal: Terminal, *steps: tuple[str, str]) -> str:
    """Submit a command and answer what is asked about it; the execution's id, once its turn is over."""
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    try:
        wish = Execute(prompt="asked\n" + tool(command) + "\n!say over", worker_queue_id=queue)
        execution_id = (await client.execute_agent(stage.info.agent_id, wish)).execution_id
        at = 0
        for question, answer in steps:
            at = await asyncio.to_thread(terminal.wait_for, question, after=at)
            at = await asyncio.to_thread(terminal.answer, answer, after=at)
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await client.get_execution(execution_id)).status != "waiting_for_input":
                await asyncio.sleep(0.05)
        return execution_id
    finally:
        await client.aclose()


async def test_a_form_is_shown_with_the_command_that_fills_it_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prompter, "_is_ours", lambda: True)
    monkeypatch.setattr(prompter.Prompter, "_listen", lambda self: None)
    fields = (QuestionField(name="size", label="Size", kind="choice", required=True, options=("s",), shown=("s",)),)

    class Engine:
        events = EventBus()
        snapshot = EngineSnapshot(
            approvals=(replace(view("a1", at=datetime.now(UTC), asks="?"), in_call=True, fields=fields),)
        )

    asking = prompter.Prompter()
    asking.attend(Engine())  # type: ignore[arg-type]
    asking._show_next()
    shown = capsys.readouterr().err
    assert "size: Size; required; one of s" in shown
    assert "kubiya-worker approvals allow a1 --set size=…" in shown
    assert "n: decline >" in shown
    assert "y:" not in shown, "a form is not agreed to unread"


@pytest.mark.parametrize(("answer", "runs"), [("y", True), ("n", False)])
async def test_an_approval_is_answered_at_the_terminal(stage: Stage, tmp_path: Path, answer: str, runs: bool) -> None:
    queue, outside = await new_queue(stage), tmp_path / "outside.txt"
    with worker_on_a_terminal(stage, tmp_path / "home", queue) as terminal:
        command = f"echo done > {outside}"
        await run(
            stage, queue, command, terminal,
            (r"approval \w+  shell.*    command: echo done .*n: deny > ", "what?\n"), (r"n: deny > ", f"{answer}\n"),
        )  # fmt: skip
        terminal.process.terminate()
        assert await asyncio.to_thread(terminal.process.wait, LIMIT_SECONDS) == 0
    assert outside.exists() is runs


async def test_a_long_question_is_read_whole_before_it_is_allowed(stage: Stage, tmp_path: Path) -> None:
    queue, outside = await new_queue(stage), tmp_path / "outside.txt"
    with worker_on_a_terminal(stage, tmp_path / "home", queue) as terminal:
        command = f"echo done > {outside}; : {'x' * 9_000} the-end"
        unread, read = (
            r"more characters\).*    w: read it whole   n: deny > ",
            r"the-end.*    y: once   e: [\w ]+   n: deny > ",
        )
        await run(
            stage, queue, command, terminal, (unread, "y\n"), (unread, "a\n"), (unread, "w\n"), (read, "y\n")
        )  # fmt: skip
    assert outside.exists()


async def test_all_of_a_question_stands_on_the_terminal(stage: Stage, tmp_path: Path) -> None:
    """Each subject that is asked about, the working folder, and what would not be seen."""
    queue, one, other = await new_queue(stage), tmp_path / "one.txt", tmp_path / "other.txt"
    with worker_on_a_terminal(stage, tmp_path / "home", queue) as terminal:
        command = f"echo \u202e1{' ' * 590} > {one}\necho \x1b[2J2 > {other}"
        await run(stage, queue, command, terminal, (r"n: deny > ", "n\n"))
        shown = terminal.shown.replace("\r\n", "\n")
    assert f"    command:\n        echo <U+202E>1<591 blanks>> {one}\n        echo <U+001B>[2J2 > {other}\n" in shown
    assert f"    working folder: {home(tmp_path / 'home').workspaces}" in shown
    reasons = shown.split("asked because:")[1]
    assert all(f"the path {path}: " in reasons for path in (one, other))


async def test_what_was_typed_before_a_question_came_up_is_no_answer(stage: Stage, tmp_path: Path) -> None:
    queue, outside = await new_queue(stage), tmp_path / "outside.txt"
    with worker_on_a_terminal(stage, tmp_path / "home", queue) as terminal:
        terminal.type("y\ny\na\n")
        await run(stage, queue, f"echo done > {outside}", terminal, (r"n: deny > ", "n\n"))
    assert not outside.exists()


async def test_the_rule_of_always_is_said_where_it_can_be_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prompter, "_is_ours", lambda: True)
    monkeypatch.setattr(prompter.Prompter, "_listen", lambda self: None)
    rule = '[[allow]]\ncommand = "ls"\ntool = "shell"\nalways = true'

    class Engine:
        events = EventBus()
        snapshot = EngineSnapshot()

    for left_out, said in ((0, True), (7, False)):
        asking, engine = prompter.Prompter(), Engine()
        engine.snapshot = EngineSnapshot(
            approvals=(replace(view("a1", at=datetime.now(UTC), left_out=left_out, command="ls"), rule=rule),)
        )
        asking.attend(engine)  # type: ignore[arg-type]
        asking._show_next()
        shown = capsys.readouterr().err
        assert ('always writes  [[allow]] command = "ls", tool = "shell", always = true' in shown) is said
        assert ("a: always" in shown) is said


async def test_an_answer_that_comes_with_the_question_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompter, "_is_ours", lambda: True)
    monkeypatch.setattr(prompter.Prompter, "_listen", lambda self: None)
    now, answers = [100.0], []

    class Engine:
        events = EventBus()
        snapshot = EngineSnapshot(approvals=(view("a1", at=datetime.now(UTC), command="ls"),))

        async def answer_approval(self, approval_id: str, **answer: object) -> None:
            answers.append((approval_id, answer["allow"]))
            self.snapshot = EngineSnapshot()

    asking = prompter.Prompter(clock=lambda: now[0])
    asking.attend(Engine())  # type: ignore[arg-type]
    asking._show_next()
    for late in (0.0, prompter.READ_SECONDS * 0.9):
        asking._said("y", 100.0 + late)
        await asyncio.sleep(0)
        assert answers == []
    asking._said("y", 100.0 + prompter.READ_SECONDS)
    await asyncio.sleep(0)
    assert answers == [("a1", True)]


@pytest.mark.parametrize(("answer", "runs"), [("y", True), ("n", False)])
async def test_without_a_sandbox_it_asks_once_and_remembers(
    stage: Stage, tmp_path: Path, answer: str, runs: bool
) -> None:
    queue = await new_queue(stage)
    places = {
        "KUBIYA_WORKER_SANDBOX": "container",
        "PATH": path_without("docker", "podman", folder=tmp_path / "bin"),
    }
    with worker_on_a_terminal(stage, tmp_path / "home", queue, **places) as terminal:
        first = await run(stage, queue, "echo done > made", terminal, (r"y: yes   n: no > ", f"{answer}\n"))
        second = await run(stage, queue, "echo done > made", terminal)
        assert terminal.shown.count("\n    y: yes   n: no > ") == 1
    for execution_id in (first, second):
        assert (home(tmp_path / "home").workspaces / execution_id / "made").exists() is runs
