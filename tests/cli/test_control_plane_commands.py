"""queues, login, logout, doctor and execute against the playground; execute with a real worker process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, Keychain
from tests.support.cut_proxy import CutProxy
from tests.support.engine import LIMIT_SECONDS, new_agent, new_queue
from tests.support.playground import Stage
from worker_core.checks import check, network


def test_queues(online: CommandLine, stage: Stage) -> None:
    answer = online("queues", "--json")
    assert answer.code == 0
    [mine] = [queue for queue in answer.json["queues"] if queue["id"] == stage.info.queue_id]
    assert (mine["name"], mine["status"]) == ("default", "active")
    table = online("queues").out.splitlines()
    assert table[0].split() == ["ID", "NAME", "ENVIRONMENT", "STATUS", "WORKERS"]
    assert any(line.startswith(stage.info.queue_id) for line in table)


def test_a_wrong_key_is_refused_and_not_shown(online: CommandLine) -> None:
    answer = online("queues", KUBIYA_API_KEY="wrong-key-0123456789")
    assert answer.code == 4
    assert "kubiya-worker login" in answer.err
    assert "wrong-key" not in answer.err


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"<html>Log in</html>", "an HTML page"), (b"garbage", "not JSON"), (b'"text"', "of the wrong kind")],
)
def test_a_server_that_talks_nonsense_is_a_sentence(offline: CommandLine, body: bytes, said: str) -> None:
    class Nonsense(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        answer = offline("queues", "--control-plane-url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert (answer.code, answer.out) == (6, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1


# --- login, logout ------------------------------------------------------------------------------------------------


def test_login_keeps_the_key_in_the_keychain_and_logout_takes_it_out(
    online: CommandLine, stage: Stage, keychain: Keychain
) -> None:
    answer = online("login", "--stdin", stdin=f"  {stage.info.api_key}\n")
    assert answer.code == 0, answer
    assert answer.out.startswith("Logged in to playground as you@playground.local. ")
    assert stage.info.api_key not in answer.out + answer.err
    assert list(keychain.kept.values()) == [stage.info.api_key]
    assert online("queues", KUBIYA_API_KEY="").code == 0  # the keychain's is used
    assert online("logout").out.startswith("Logged out")
    assert keychain.kept == {}
    again = online("logout")
    assert (again.code, again.out.startswith("There was no key")) == (0, True)
    assert online("queues", KUBIYA_API_KEY="").code == 3


def test_a_key_that_the_server_refuses_is_not_stored(online: CommandLine, keychain: Keychain) -> None:
    answer = online("login", stdin="wrong-key-0123456789\n")
    assert (answer.code, answer.out) == (4, "")
    assert keychain.kept == {}


@pytest.mark.parametrize("given", ["", "   \n", "two words\n", "a\nb\n", "x" * 20_000])
def test_what_cannot_be_a_key_is_refused_at_once(offline: CommandLine, keychain: Keychain, given: str) -> None:
    answer = offline("login", "--stdin", stdin=given)
    assert (answer.code, answer.out, keychain.kept) == (2, "", {})


# --- doctor -------------------------------------------------------------------------------------------------------


def test_the_doctor_finds_all_well(online: CommandLine, stage: Stage, keychain: Keychain) -> None:
    del keychain
    before = online("queues", "--json").json
    answer = online("doctor", "--json", "--queue-id", stage.info.queue_id)
    assert answer.code == 0, answer
    found = {check["name"]: check["status"] for check in answer.json["checks"]}
    assert list(found) == [
        "versions", "settings", "policy", "state folder", "temporary folder", "logs", "disk", "proxy", "DNS", "TLS",
        "control plane", "Temporal", "model gateway", "keychain", "API key", "queue", "clock", "MCP hosts", "sandbox",
        "confinement", "GPUs", "folders", "calls for you", "control socket", "workers", "service",
    ]  # fmt: skip
    assert found.pop("model gateway") == "skip", "the control plane tells it at registration"
    assert found.pop("MCP hosts") == "skip", "none is named"
    assert found.pop("GPUs") in {"ok", "skip"}
    assert found.pop("calls for you") == "skip", "nobody is told"
    assert set(found.values()) <= {"ok", "warn"}
    assert online("queues", "--json").json == before, "no worker was registered"
    assert not online.home.exists(), "nothing was written"


def test_the_doctors_findings_go_into_a_bundle(online: CommandLine, stage: Stage, tmp_path: Path) -> None:
    bundle = tmp_path / "report.zip"
    answer = online("doctor", "--json", "--bundle", str(bundle))
    assert answer.json["bundle"] == str(bundle)
    with zipfile.ZipFile(bundle) as read:
        texts = {name.partition("/")[2]: read.read(name).decode() for name in read.namelist()}
    assert "control plane: " in texts["checks.txt"]
    assert stage.info.control_plane_url in texts["environment.txt"]
    assert stage.info.api_key not in "".join(texts.values())
    answer = online("doctor", "--bundle", str(tmp_path / "no" / "such" / "folder.zip"))
    assert answer.code == 1
    assert "cannot be written" in answer.err


def test_the_doctor_names_each_repair(offline: CommandLine) -> None:
    answer = offline("doctor")
    assert answer.code == 1
    assert "✗ control plane" in answer.out
    assert "→ " in answer.out
    assert answer.out.rstrip().endswith("to repair.")


@pytest.mark.parametrize(
    ("environment", "arguments", "name"),
    [
        ({"KUBIYA_API_KEY": "wrong-key-0123456789"}, [], "API key"),
        ({}, ["--queue-id", "00000000-0000-4000-8000-000000000000"], "queue"),
        ({}, ["--temporal-host", "127.0.0.1:1"], "Temporal"),
        ({}, ["--temporal-host", "a:b"], "Temporal"),
        ({"CONTROL_PLANE_URL": "http://no-such-host.invalid"}, [], "DNS"),
        ({"CONTROL_PLANE_URL": "nonsense"}, [], "settings"),
        ({"KUBIYA_API_KEY": ""}, [], "API key"),
    ],
)
def test_the_doctor_finds_what_is_wrong(
    online: CommandLine, keychain: Keychain, environment: dict[str, str], arguments: list[str], name: str
) -> None:
    del keychain
    answer = online("doctor", "--json", *arguments, **environment)
    assert answer.code == 1
    failed = {check["name"]: check for check in answer.json["checks"] if check["status"] == "fail"}
    assert name in failed
    assert failed[name]["repair"]


def test_the_doctor_makes_only_the_checks_that_are_named(offline: CommandLine) -> None:
    answer = offline("doctor", "disk", "policy", "--json")
    assert [(one["id"], one["page"]) for one in answer.json["checks"]] == [
        ("policy", "docs/checks/policy.md"), ("disk", "docs/checks/disk.md"),
    ]  # fmt: skip
    answer = offline("doctor", "clok")
    assert answer.code == 2
    assert "There is no check 'clok'. Did you mean clock?" in answer.err


def test_the_doctor_lists_and_explains_its_checks(offline: CommandLine) -> None:
    listed = offline("doctor", "--list", "--json").json["checks"]
    assert offline("doctor", "--list").out.count("\n") == len(listed) + 1
    assert {"id": "tls", "name": "TLS", "page": "docs/checks/tls.md", "asks": listed[9]["asks"]} == listed[9]
    assert offline("doctor", "--explain", "tls").out.startswith("# tls\n")
    assert offline("doctor", "--explain", "no").code == 2


def test_the_doctor_notices_a_variable_without_effect(offline: CommandLine) -> None:
    answer = offline("doctor", "settings", "--json", KUBIYA_WORKER_SANDBX="none")
    [found] = answer.json["checks"]
    assert found["status"] == "warn"
    assert "Did you mean KUBIYA_WORKER_SANDBOX?" in found["sentence"]


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0.4, "ok"), (-20, "ok"), (40, "warn"), (-40, "warn"), (400, "fail"), (-400, "fail")]
)
def test_a_wrong_clock(seconds: float, verdict: str) -> None:
    assert network._clock(timedelta(seconds=seconds)).verdict == verdict


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    from worker_core.paths import Paths

    (tmp_path / "home").mkdir(mode=0o500)
    found = check._state_folder(Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path / "home")}))
    assert (found.verdict, bool(found.repair)) == ("fail", True)


# --- execute ------------------------------------------------------------------------------------------------------


def tool(command: str) -> str:
    return f"!tool shell {json.dumps({'command': command})}"


@pytest.mark.usefixtures("worker")
class TestExecute:
    def test_the_stream_in_the_terminal(self, online: CommandLine, stage: Stage) -> None:
        answer = online("execute", "--agent", "demo-agent", f"{tool('echo from the shell')}\n!say It is done.")
        assert answer.code == 0, answer
        assert "● shell  echo from the shell\n  │ from the shell\n  ✓ " in answer.out
        assert "\nIt is done.\n\n✓ done · " in answer.out
        assert "› " not in answer.out, "what the user typed is not repeated"
        assert "--execution" in answer.err

    def test_history_is_kept_over_three_turns(self, online: CommandLine, stage: Stage) -> None:
        agent = stage.info.agent_id
        first = online("execute", "--json", "--agent", agent, "one\n!instant").lines[-1]
        assert first["status"] == "waiting_for_input"
        identity = first["execution_id"]
        assert online("execute", "--json", "--execution", identity, "two\n!instant").lines[-1]["response"] == "ok"
        third = online("execute", "--json", "--execution", identity, "three\n!history").lines
        assert "I have seen 3 user messages" in third[-1]["response"]
        assert all(line["event"] != "message" for line in third), "only this turn is shown"
        followed = online("execute", "--json", "--mark-done", identity)
        assert (followed.code, followed.json["done"]) == (0, "marked as done")

    def test_json_lines_end_with_the_result(self, online: CommandLine) -> None:
        answer = online("execute", "--json", "--agent", "demo-agent", f"{tool('exit 3')}\n!say ended")
        kinds = [line["event"] for line in answer.lines]
        assert {"message_chunk", "tool_started", "tool_completed", "status"} <= set(kinds)
        assert kinds.index("tool_started") < kinds.index("tool_completed")
        result = answer.lines[-1]
        assert (result["event"], result["exit_code"], result["error"]) == ("result", 0, None)
        assert result["response"] == "ended"
        assert result["usage"]["total_tokens"] > 0

    def test_submit_then_follow(self, online: CommandLine) -> None:
        answer = online("execute", "--no-follow", "--agent", "demo-agent", "-", stdin="!say from stdin")
        identity = answer.out.strip()
        followed = online("execute", "--follow", identity)
        assert followed.code == 0
        assert "› !say from stdin\n\nfrom stdin\n" in followed.out

    @pytest.mark.parametrize(
        ("by", "given", "read", "locale"),
        [
            ("stdin", "grün 😀".encode(), "grün 😀", "C.UTF-8"),
            ("argument", "grün 😀".encode(), "grün 😀", "C.UTF-8"),
            ("stdin", b"- gr\xfcn + gr\xc3\xbcn", "- gr\ufffdn + grün", "C.UTF-8"),  # a file in Latin-1 within a diff
            ("stdin", b"gr\xfcn", "gr\ufffdn", "C"),
            ("stdin", b"gr\xfcn", "gr\ufffdn", "POSIX"),
            ("argument", b"gr\xfcn", "gr\ufffdn", "C"),
            ("argument", b"gr\xfcn", "gr\ufffdn", "C.UTF-8"),
        ],
    )
    @pytest.mark.skipif(os.name == "nt", reason="arguments there are no bytes")
    def test_a_prompt_whose_bytes_are_no_utf_8(
        self, online: CommandLine, by: str, given: bytes, read: str, locale: str
    ) -> None:
        prompt = b"!say read " + given
        arguments = [sys.executable, "-m", "worker_core", "execute", "--no-follow", "--agent", "demo-agent"]
        done = subprocess.run(
            [*map(os.fsencode, arguments), b"-" if by == "stdin" else prompt],
            input=prompt,
            env={**os.environ, **online.environment, "LC_ALL": locale},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"› !say read {read}\n" in online("execute", "--follow", done.stdout.decode().strip()).out

    def test_a_prompt_with_a_mark_at_its_beginning(self, online: CommandLine) -> None:
        answer = online("execute", "--no-follow", "--agent", "demo-agent", "-", stdin="\ufeff!say marked")
        assert "› !say marked" in online("execute", "--follow", answer.out.strip()).out

    @pytest.mark.parametrize("megabytes", [5, 10])
    def test_a_prompt_without_end_is_refused(self, online: CommandLine, megabytes: int) -> None:
        answer = online("execute", "--agent", "demo-agent", "-", stdin="x" * (megabytes << 20))
        assert answer.code == 2
        assert "longer than 4 MB; nothing was sent" in answer.err

    def test_messages_from_stdin_one_after_the_other(self, online: CommandLine) -> None:
        lines = "!say first\n\n!history\n/quit\n!say never\n"
        answer = online("execute", "-i", "--agent", "demo-agent", stdin=lines)
        assert answer.code == 0, answer
        assert answer.out.index("first\n") < answer.out.index("I have seen 2 user messages")
        assert "never" not in answer.out

    @pytest.mark.parametrize(("directive", "said"), [("!error 400", "(400)"), ("!error 401", "401")])
    def test_a_failed_execution_is_one_sentence_and_code_7(
        self, online: CommandLine, directive: str, said: str
    ) -> None:
        answer = online("execute", "--agent", "demo-agent", f"fails with {directive}\n{directive}")
        assert answer.code == 7, answer
        assert said in answer.out
        assert answer.out.count("✗ ") == 2  # the sentence, and the last line

    def test_cancelled_from_elsewhere(self, online: CommandLine) -> None:
        with apart(online, "execute", "--agent", "demo-agent", "--json", f"{tool('echo x')}\n!hang 60") as process:
            assert process.stdout is not None
            identity = json.loads(process.stdout.readline())["data"]["execution_id"]
            while "tool_completed" not in process.stdout.readline():
                pass
            assert online("execute", "--cancel", identity).code == 0
            result = json.loads(process.stdout.read().splitlines()[-1])
            assert process.wait(LIMIT_SECONDS) == result["exit_code"] == 8
            assert result["status"] == "cancelled"
        again = online("execute", "--execution", identity, "go on")
        assert again.code == 1
        assert "is cancelled; it takes no more messages" in again.err

    @pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches the whole console there, this test included")
    def test_ctrl_c_ends_the_watching_alone(self, online: CommandLine) -> None:
        with apart(online, "execute", "--agent", "demo-agent", "!stream 3 0\n!hang 5", "--json") as process:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=LIMIT_SECONDS)
        assert process.returncode == 130
        identity = first["data"]["execution_id"]
        assert f"kubiya-worker execute --follow {identity}" in err
        assert f"--cancel {identity}" in err
        assert online("execute", "--follow", identity).code == 0

    async def test_a_connection_that_breaks_off_is_taken_up_again(self, online: CommandLine, stage: Stage) -> None:
        """Every word arrives once, in order, over three connections."""
        port = int(stage.info.control_plane_url.rpartition(":")[2])
        async with CutProxy(target_port=port) as proxy:
            online.environment["CONTROL_PLANE_URL"] = proxy.url
            with apart(online, "execute", "--agent", "demo-agent", "--json", "!stream 150 10") as process:
                assert process.stdout is not None
                lines: list[str] = []
                for _ in range(2):
                    lines.append(await asyncio.to_thread(process.stdout.readline))
                    while '"message_chunk"' not in lines[-1]:
                        lines.append(await asyncio.to_thread(process.stdout.readline))
                    await proxy.cut()
                assert process.stderr is not None
                out = await asyncio.to_thread(
                    process.stdout.read
                )  # not communicate: it passes over what was read ahead
                err = await asyncio.to_thread(process.stderr.read)
                await asyncio.to_thread(process.wait, LIMIT_SECONDS)
        events = [json.loads(line) for line in [*lines, *out.splitlines()] if line.strip()]
        said = "".join(event["data"]["content"] for event in events if event["event"] == "message_chunk")
        assert said.split() == [f"word{number}" for number in range(1, 151)]
        assert any(event["event"] == "note" for event in events)
        assert (process.returncode, err) == (0, "")


async def test_where_there_are_several_agents_and_queues_one_is_named(online: CommandLine, stage: Stage) -> None:
    await new_agent(stage)
    await new_queue(stage)
    answer = await asyncio.to_thread(online, "execute", "hello")
    assert (answer.code, answer.out) == (3, "")
    assert "Say which agent with --agent" in answer.err
    assert "demo-agent" in answer.err
    answer = await asyncio.to_thread(online, "execute", "--agent", "nobody", "hello")
    assert "There is no agent 'nobody'" in answer.err
    answer = await asyncio.to_thread(lambda: online("execute", "--agent", "demo-agent", "hello", QUEUE_ID="a,b"))
    assert "Say which queue with --queue-id" in answer.err or answer.code == 0


def apart(line: CommandLine, *arguments: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "worker_core", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, **line.environment},
    )  # fmt: skip
