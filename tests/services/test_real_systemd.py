"""Units as systemd runs them: installed, started, at work in the sandbox, killed, hung, and removed without a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.machine import PROGRAM, SYSTEMD, Machine, machine, missing
from tests.support.engine import new_queue
from tests.support.playground import Stage, running_playground
from tests.support.processes import eventually
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.playground import private_network

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "systemd runs here")

WORKER = (str(PROGRAM), "-m", "worker_core", "service")
QUICK = "[Service]\nRestartSec=100ms\nWatchdogSec=6s\nTimeoutAbortSec=3s\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A playground that the programs of other users reach: a service is one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private_network, "find", lambda: ("", "It is open for a test."))
        with running_playground(tmp_path_factory.mktemp("playground")) as running:
            yield running


@pytest.fixture(scope="module")
def booted() -> Iterator[Machine]:
    try:
        with machine() as started:
            yield started
    except RuntimeError as error:
        pytest.skip(str(error))


class Service:
    """One on the machine, as whoever installed it sees it."""

    def __init__(self, where: Machine, scope: str, *, user: str = "", **variables: str) -> None:
        self.where, self.scope, self.user, self.variables = where, scope, user, variables

    def __call__(self, *words: str) -> str:
        return self.where.told(*WORKER, *words, f"--{self.scope}", user=self.user, **self.variables)

    def control(self, *words: str) -> str:
        return self.where.told("systemctl", f"--{self.scope}", *words, user=self.user, **self.variables)

    def shows(self, *names: str) -> dict[str, str]:
        lines = self.control("show", "kubiya-worker.service", "--property", ",".join(names)).splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def waits(self, restarts: int) -> bool:
        found = self.shows("ActiveState", "NRestarts", "StatusText")
        now = (found["ActiveState"], found["NRestarts"])
        return now == ("active", str(restarts)) and "Waiting for work" in found["StatusText"]


async def said_by_a_task(stage: Stage, client: ControlPlaneClient, queue: str, workspaces: Path) -> list[str]:
    """Where and as whom a shell task runs, and what it finds in its environment, by its own words."""
    command = "hostname >told; id -un >>told; env >>told; touch done"
    prompt = f"!tool shell {json.dumps({'command': command})}\n!say said"
    wish = Execute(prompt=prompt, worker_queue_id=queue)
    execution = (await client.execute_agent(stage.info.agent_id, wish)).execution_id
    await eventually((workspaces / execution / "done").exists)
    return (workspaces / execution / "told").read_text().splitlines()


async def survives(service: Service) -> None:
    """`kill -9`, and a process that stands still: it is there again, and polls."""
    service.control("kill", "--signal=KILL", "--kill-who=main", "kubiya-worker.service")
    await eventually(lambda: service.waits(1))
    service.control("kill", "--signal=STOP", "--kill-who=main", "kubiya-worker.service")
    await eventually(lambda: service.waits(2))


async def test_a_service_of_the_system(booted: Machine, stage: Stage, client: ControlPlaneClient) -> None:
    queue, key = await new_queue(stage), "/run/key"
    booted.path(key).write_text(stage.info.api_key)
    booted.path(key).chmod(0o600)
    quick = booted.path("/run/systemd/system/kubiya-worker.service.d/quick.conf")
    quick.parent.mkdir()
    quick.write_text(QUICK)
    service = Service(booted, "system", KUBIYA_WORKER_HOME="/run/nothing")
    place = ("--queue-id", queue, "--control-plane-url", stage.info.control_plane_url, "--api-key-file", key)
    answer = json.loads(service("install", *place, "--json"))
    assert answer["started"]
    assert stage.info.api_key not in json.dumps(answer)
    await eventually(lambda: service.waits(0))

    told = await said_by_a_task(stage, client, queue, booted.path("/var/lib/kubiya-worker/state/workspaces"))
    assert told[:2] == ["sandbox", "kubiya-worker"]
    assert not [line for line in told if line.startswith(("NOTIFY_", "WATCHDOG_", "CREDENTIALS_", "KUBIYA_API"))]

    await survives(service)
    status = json.loads(service("status", "--json"))
    assert (status["running"], status["restarts"]) == (True, 2)
    main = booted.told("cat", f"/proc/{status['pid']}/environ") + booted.told("cat", f"/proc/{status['pid']}/cmdline")
    assert stage.info.api_key not in main

    removed = json.loads(service("uninstall", "--purge", "--json"))["removed"]
    assert "/etc/systemd/system/kubiya-worker.service" in removed
    for folder in ("etc", "var"):
        assert booted.told("find", f"/run/over/{folder}/up", "-name", "*kubiya*") == ""
    assert booted.run("getent", "passwd", "kubiya-worker").stdout == ""
    assert service.shows("LoadState") == {"LoadState": "not-found"}


async def test_a_service_of_a_user(booted: Machine, stage: Stage, client: ControlPlaneClient) -> None:
    booted.told("useradd", "--create-home", "--home-dir", "/var/me", "--shell", "/bin/sh", "me")
    number = booted.told("id", "--user", "me")
    runtime = f"/run/user/{number}"
    booted.told("install", "--directory", "--mode=700", "--owner=me", "--group=me", runtime)
    unit = (
        f"[Service]\nType=notify\nUser=me\nDelegate=yes\nEnvironment=XDG_RUNTIME_DIR={runtime}\n"
        f"ExecStart={SYSTEMD} --user\n"
    )
    booted.path("/run/systemd/system/manager-of-me.service").write_text(unit)
    quick = booted.path(f"{runtime}/systemd/user/kubiya-worker.service.d/quick.conf")
    quick.parent.mkdir(parents=True)
    quick.write_text(QUICK)
    booted.told("chown", "--recursive", "me:me", runtime)
    booted.told("systemctl", "daemon-reload")
    booted.told("systemctl", "start", "manager-of-me.service")
    queue = await new_queue(stage)
    service = Service(
        booted, "user", user="me", HOME="/var/me", XDG_RUNTIME_DIR=runtime, KUBIYA_API_KEY=stage.info.api_key,
        CONTROL_PLANE_URL=stage.info.control_plane_url,
    )  # fmt: skip
    service("install", "--queue-id", queue)
    await eventually(lambda: service.waits(0))

    told = await said_by_a_task(stage, client, queue, booted.path("/var/me/.local/state/kubiya-worker/workspaces"))
    assert told[:2] == ["sandbox", "me"]
    key = booted.path("/var/me/.config/kubiya-worker/services/kubiya-worker/kubiya-api-key")
    assert key.stat().st_mode & 0o777 == 0o600

    service.control("kill", "--signal=KILL", "--kill-who=main", "kubiya-worker.service")
    await eventually(lambda: service.waits(1))
    service("uninstall")
    assert booted.told("find", "/var/me/.config", "-name", "*kubiya-worker.service*") == ""
    assert not key.parent.parent.exists()
