"""`kubiya-worker start` as a process: ready, work, signals, exit codes; and the commands that steer it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.cli.conftest import NOBODY_LISTENS, CommandLine
from tests.support.engine import home, new_queue
from tests.support.playground import Stage, until
from tests.support.processes import alive, eventually, pid_in, written_pid
from tests.support.prometheus_text import parsed
from tests.support.worker_process import LIMIT_SECONDS, WorkerProcess, worker_process
from worker_core.basics.own_process import OPEN_FILES
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute

posix = pytest.mark.skipif(sys.platform == "win32", reason="a console has one kind of stop signal there")


async def submit(stage: Stage, client: ControlPlaneClient, queue: str, prompt: str) -> str:
    wish = Execute(prompt=prompt, worker_queue_id=queue)
    return (await client.execute_agent(stage.info.agent_id, wish)).execution_id


async def reach(client: ControlPlaneClient, execution_id: str, *statuses: str) -> None:
    async def reached() -> bool:
        return (await client.get_execution(execution_id)).status in statuses

    await until(reached)


def tool(command: str) -> str:
    return f"!tool shell {json.dumps({'command': command})}"


async def in_a_tool_call(stage: Stage, client: ControlPlaneClient, queue: str, folder: Path, command: str) -> str:
    """An execution whose tool call has begun: the file `begun` in its workspace has the number of its process."""
    execution_id = await submit(stage, client, queue, f"{tool(f'echo $$ >begun; {command}')}\n!say said")
    begun = home(folder).workspaces / execution_id / "begun"

    async def there() -> bool:
        return written_pid(begun) is not None

    await until(there)
    return execution_id


def ended(worker: WorkerProcess) -> int:
    return worker.process.wait(LIMIT_SECONDS)


@pytest.mark.parametrize("variable", ["KUBIYA_API_KEY", "LITELLM_API_KEY"])
def test_a_key_that_cannot_be_one_is_refused_at_start(stage: Stage, tmp_path: Path, variable: str) -> None:
    with worker_process(stage, tmp_path, "queue", **{variable: "sk-canary\n778899"}) as worker:
        assert ended(worker) == 3
    printed = "\n".join([*worker.lines, *worker.log])
    assert f"{variable} is no key: its character 10 is a line break" in printed
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for part in ("canary", "778899"):
        assert part not in printed
        assert part.encode() not in files


async def test_ready_work_sigterm(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage, display_name="Laptops")
    with worker_process(stage, tmp_path, queue) as worker:
        ready = worker.wait_ready()
        [view] = [one for one in await client.list_queues() if one.id == queue]
        assert ready.startswith(f"ready  queue={view.name} ({queue})  worker=")
        execution_id = await submit(stage, client, queue, "!instant")
        await reach(client, execution_id, "waiting_for_input")
        await client.mark_done(execution_id)
        await reach(client, execution_id, "completed")
        assert worker.terminate() == 0
    assert worker.lines[0] == ready
    assert any("nothing is running" in line for line in worker.log)
    log = (home(tmp_path).logs / "worker.log").read_text()
    assert stage.info.api_key not in log + "".join(worker.log)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows another process's limits")
async def test_a_worker_that_was_given_few_open_files_takes_what_it_may(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue, program="tests.support.few_files") as worker:
        worker.wait_ready()
        soft, hard = psutil.Process(worker.process.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert soft == min(hard, OPEN_FILES) > 256
        assert worker.terminate() == 0


async def test_json_for_machines(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue, options=["--log-format", "json"]) as worker:
        ready = json.loads(worker.wait_ready())
        assert (ready["event"], ready["queue_id"]) == ("ready", queue)
        assert worker.terminate() == 0
        worker.read_to_the_end()
        last = json.loads(worker.lines[-1])
    assert (last["event"], last["exit_code"], last["tasks_processed"]) == ("stopped", 0, 0)
    assert all(json.loads(line)["level"] for line in worker.log)


async def test_the_first_signal_lets_a_call_end(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        execution_id = await in_a_tool_call(
            stage, client, queue, tmp_path, "while [ ! -e go ]; do sleep 0.05; done; echo went"
        )
        worker.process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGTERM)
        worker.wait_log("1 running turn may end")
        (home(tmp_path).workspaces / execution_id / "go").touch()
        assert ended(worker) == 0
    record = await client.get_execution(execution_id)
    assert (record.status, record.response) == ("waiting_for_input", "said")


@posix
async def test_the_second_signal_cancels(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        execution_id = await in_a_tool_call(stage, client, queue, tmp_path, "sleep 1000")
        child = pid_in(home(tmp_path).workspaces / execution_id / "begun")
        worker.process.send_signal(signal.SIGINT)
        worker.wait_log("Once more cancels what runs.")
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_log("Once more leaves at once.")
        assert ended(worker) == 8
        await eventually(lambda: not alive(child))


@posix
async def test_the_third_signal_leaves(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        await in_a_tool_call(stage, client, queue, tmp_path, "sleep 1000")
        for said in ("Once more cancels", "Once more leaves", "leaves at once."):
            worker.process.send_signal(signal.SIGTERM)
            if "at once." not in said:
                worker.wait_log(said)
        assert ended(worker) == 130


@posix
async def test_a_signal_before_anything_was_reached(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue, CONTROL_PLANE_URL=NOBODY_LISTENS) as worker:
        worker.wait_log("starting: ")
        worker.process.send_signal(signal.SIGINT)
        assert ended(worker) == 0


@pytest.mark.parametrize(
    ("options", "environment", "code", "said"),
    [
        ([], {"KUBIYA_API_KEY": "wrong-key-0123456789"}, 4, "refused the API key"),
        (["--queue-id", "00000000-0000-4000-8000-000000000000"], {}, 5, "There is no worker queue"),
        (["--fail-fast"], {"CONTROL_PLANE_URL": NOBODY_LISTENS}, 6, "refused the connection"),
    ],
)
async def test_what_cannot_be_helped_ends_with_a_sentence(
    stage: Stage, tmp_path: Path, options: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    queues = () if "--queue-id" in options else (await new_queue(stage),)
    with worker_process(stage, tmp_path, *queues, options=options, **environment) as worker:
        assert ended(worker) == code
    [sentence] = [line for line in worker.log if line.startswith("error: ")]
    assert said in sentence
    assert worker.lines == []
    assert "wrong-key" not in "".join(worker.log)


async def test_an_inactive_queue(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    async with stage.client() as api:
        answer = await api.patch(f"/worker-queues/{queue}", json={"status": "inactive"})
        assert answer.status_code == 200, answer.text
    with worker_process(stage, tmp_path, queue) as worker:
        assert ended(worker) == 5
    assert "takes no workers" in worker.log[-1]


async def test_three_queues_on_one_worker(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queues = [await new_queue(stage) for _ in range(3)]
    with worker_process(stage, tmp_path, f"{queues[0]}, {queues[1]}", queues[2]) as worker:
        for queue in queues:
            worker.wait_line(worker.lines, queue)
        for queue in queues:
            await reach(client, await submit(stage, client, queue, "!instant"), "waiting_for_input")
        assert worker.terminate() == 0
    assert len([line for line in worker.lines if line.startswith("ready")]) == 3


# --- steering -----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(offline: CommandLine, tmp_path: Path) -> CommandLine:
    """The command line of the workers' home."""
    offline.environment["KUBIYA_WORKER_HOME"] = str(tmp_path / "home")
    return offline


@pytest.fixture
async def two(stage: Stage, tmp_path: Path) -> AsyncIterator[tuple[WorkerProcess, WorkerProcess]]:
    folder = tmp_path / "home"
    with (
        worker_process(stage, folder, await new_queue(stage)) as first,
        worker_process(stage, folder, await new_queue(stage)) as second,
    ):
        first.wait_ready()
        second.wait_ready()
        yield first, second


async def test_steering_one_of_two(here: CommandLine, two: tuple[WorkerProcess, WorkerProcess]) -> None:
    first, second = two
    pids = sorted((first.process.pid, second.process.pid))
    seen = here("status", "--json").json["workers"]
    assert [worker["pid"] for worker in seen] == pids
    assert {worker["state"] for worker in seen} == {"running"}
    shown = here("status").out
    assert shown.count("● running  Waiting for work.") == 2
    assert shown.count("● polling") == 2
    for command in ("pause", "resume", "stop", "logs"):
        answer = here(command)
        assert (answer.code, answer.out) == (3, "")
        assert f"Choose with --worker NAME, QUEUE or PID: pid {pids[0]}, pid {pids[1]}." in answer.err
    one = ("--worker", str(first.process.pid))
    assert here("pause", *one, "--reason", "On battery.").out == "paused  On battery.\n"
    assert here("status", "--json", *one).json["workers"][0]["reason"] == "On battery."
    assert here("resume", *one).out == "running  Waiting for work.\n"
    assert here("pause", "--json", *one).json["state"] == "paused"
    refused = here("purge", "--yes")
    assert refused.code == 1
    assert "nothing was removed" in refused.err
    messages = [line["message"] for line in here("logs", "--json", "-n", "100", *one).lines]
    assert "paused: On battery." in messages
    assert here("logs", "-n", "1", *one).out.count("\n") == 1
    stopped = here("stop", "--json", *one)
    assert (stopped.code, stopped.json["state"]) == (0, "stopped")
    assert ended(first) == 0
    assert [worker["pid"] for worker in here("status", "--json").json["workers"]] == [second.process.pid]
    last = here("stop")
    assert (last.code, last.out.splitlines()[-1]) == (0, "stopped  Stopped.")
    assert ended(second) == 0
    assert here("status").code == 3
    # The log file has what both said.
    assert any("stopped: Stopped." in line["message"] for line in here("logs", "--json").lines)


async def test_stop_lets_all_of_them_leave(here: CommandLine, two: tuple[WorkerProcess, WorkerProcess]) -> None:
    assert here("stop", "--all", "--worker", str(two[0].process.pid)).code == 2
    answer = here("stop", "--all")
    assert (answer.code, answer.out.count("stopped  Stopped.")) == (0, 2), answer
    assert [ended(worker) for worker in two] == [0, 0]
    assert here("stop", "--all").code == 3


async def test_stop_cancels_or_leaves_where_told_to(
    here: CommandLine,
    two: tuple[WorkerProcess, WorkerProcess],
    stage: Stage,
    tmp_path: Path,
    client: ControlPlaneClient,
) -> None:
    for worker, flag, code in zip(two, ("--cancel", "--now"), (8, 130), strict=True):
        [queue] = [part[1:-1] for part in worker.lines[0].split() if part.startswith("(")]
        await in_a_tool_call(stage, client, queue, tmp_path / "home", "sleep 1000")
        answer = here("stop", flag, "--worker", str(worker.process.pid))
        assert answer.code == code, answer
        # The command has waited for its end, and so has taken its exit code from us.
        assert worker.process.poll() is not None
        worker.wait_line(worker.lines, f"exit={code}")


@posix
async def test_a_killed_worker_is_not_counted(here: CommandLine, two: tuple[WorkerProcess, WorkerProcess]) -> None:
    for worker in two:
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait(LIMIT_SECONDS)
    assert here("status", "--json").json["workers"] == []
    assert list((here.home / "run").glob("worker-*")) == []


def test_a_status_port_that_is_taken_is_a_sentence(stage: Stage, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with worker_process(stage, tmp_path, "queue", options=["--status-port", str(port)]) as worker:
            assert ended(worker) == 3
    assert f"The status cannot be served at 127.0.0.1:{port} (Address already in use)" in "\n".join(worker.log)


@posix
async def test_probes_see_it_serve_and_drain(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue, options=["--status-port", "0"]) as worker:
        address = worker.wait_log("Status: ").partition("http://")[2].partition("/")[0]
        async with httpx2.AsyncClient(base_url=f"http://{address}", trust_env=False) as probe:
            assert (await probe.get("/healthz")).status_code == 200
            worker.wait_ready()
            assert (await probe.get("/readyz")).text == "serving\n"
            await in_a_tool_call(stage, client, queue, tmp_path, "while [ ! -e go ]; do sleep 0.05; done")
            told = parsed((await probe.get("/metrics")).text)
            assert told["kubiya_worker_executions_running"] == 1
            assert any(name.startswith("temporal_activity_schedule_to_start_latency_seconds_count") for name in told)
            worker.process.send_signal(signal.SIGTERM)

            async def drains() -> bool:
                return (await probe.get("/readyz")).text == "draining\n"

            await until(drains)
            assert (await probe.get("/readyz")).status_code == 503
            assert (await probe.get("/healthz")).status_code == 200
            [workspace] = home(tmp_path).workspaces.glob("*/begun")
            workspace.with_name("go").touch()
            assert ended(worker) == 0
    async with stage.client() as api:
        listed = (await api.get(f"/worker-queues/{queue}/workers")).json()
    assert all(one["status"] == "disconnected" for one in listed)


async def test_a_key_from_a_file_reaches_neither_log_nor_process_list(stage: Stage, tmp_path: Path) -> None:
    queue, file = await new_queue(stage), tmp_path / "key"
    file.write_text(f"{stage.info.api_key}\n")
    file.chmod(0o600)
    with worker_process(
        stage, tmp_path / "home", queue, options=["--api-key-file", str(file)], KUBIYA_API_KEY=""
    ) as worker:
        worker.wait_ready()
        process = psutil.Process(worker.process.pid)
        assert stage.info.api_key not in " ".join((*process.cmdline(), *process.environ().values()))
        assert worker.terminate() == 0
    assert stage.info.api_key not in "".join((*worker.log, *worker.lines))


def test_a_key_file_that_is_not_there_is_a_sentence(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "none"
    with worker_process(stage, tmp_path, "queue", KUBIYA_API_KEY="", KUBIYA_API_KEY_FILE=str(file)) as worker:
        assert ended(worker) == 3
    assert any(f"The key file {file} cannot be read (No such file or directory)." in line for line in worker.log)
