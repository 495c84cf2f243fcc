"""One face for an engine in this process and for a service that runs already; on the tray's loop."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import keyring
import keyring.backend
import keyring.errors
import pytest

from desktop.notices.notifications import Notifications
from desktop.worker.face import WorkerFace
from desktop.worker.local_worker import LocalWorker
from desktop.worker.wanted import Wanted
from tests.support.engine import LIMIT_SECONDS, home, new_queue
from tests.support.executions import tool
from tests.support.gpus import FakeSmi, needs_scripts, row
from tests.support.loops import run_on
from tests.support.playground import Stage
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.events import EngineStateChanged, Event
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.paths import Paths
from worker_core.secrets import KeyringStore, Secret
from worker_core.settings import Settings
from worker_core.snapshot import EngineState, StopMode
from worker_core.summary import Standing, summary

S = EngineState


class Rig:
    """A worker, and what it published."""

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        queue_id: str,
        *,
        paths: Paths | None = None,
        key: Callable[[], Awaitable[Secret | None]] | None = None,
        **settings: Any,
    ) -> None:
        self.events: list[Event] = []
        self.ring = LogRing()
        self.missing = ""
        self.changed: dict[str, Any] = {}
        self._changed = asyncio.Event()

        async def provide() -> Wanted:
            if self.missing:
                raise ConfigurationError(self.missing)
            url = stage.info.control_plane_url
            wanted = Settings(
                control_plane_url=url, queue_ids=(queue_id,), **{"sandbox": "none", **settings, **self.changed}
            )
            found = await key() if key is not None else None
            return Wanted(settings=wanted, api_key=found or Secret(stage.info.api_key))

        self.worker = LocalWorker(provide=provide, paths=paths or home(folder), redactor=Redactor(), log_ring=self.ring)
        self.worker.events.listen(self._heard)
        assert isinstance(self.worker, WorkerFace)

    def _heard(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def reach(self, state: EngineState) -> None:
        await self.until(lambda: self.worker.snapshot.state is state)

    async def stands(self, standing: Standing) -> None:
        await self.until(lambda: summary(self.worker.snapshot).standing is standing)

    async def runs_tools_in(self, sandbox: str) -> None:
        await self.until(lambda: self.worker.snapshot.sandbox.name == sandbox)

    @property
    def states(self) -> list[EngineState]:
        return [event.after for event in self.events if isinstance(event, EngineStateChanged)]


def test_started_in_the_very_moment_in_which_it_says_that_it_stopped_it_starts(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        rig = Rig(stage, tmp_path, await new_queue(stage))
        again: list[asyncio.Task[None]] = []

        def start_again(event: Event) -> None:
            if isinstance(event, EngineStateChanged) and event.after is S.STOPPED:
                again.append(asyncio.ensure_future(rig.worker.start()))

        await rig.worker.start()
        await rig.reach(S.RUNNING)
        stop_listening = rig.worker.events.listen(start_again)
        await rig.worker.stop(StopMode.DRAIN)
        await rig.until(lambda: again)
        stop_listening()
        await again[0]
        await rig.until(lambda: rig.states[-2:] == [S.STARTING, S.RUNNING])
        await rig.worker.stop(StopMode.DRAIN)
        await rig.worker.wait_over()

    run_on("qasync", live())


def test_start_pause_stop_and_start_again(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        rig = Rig(stage, tmp_path, await new_queue(stage))
        worker = rig.worker
        assert await worker.reload() is None, "none runs"
        await worker.start()
        await worker.start()
        await rig.reach(S.RUNNING)
        rig.changed = {"drain_timeout": timedelta(seconds=7), "max_activities": 7}
        taken_up = await worker.reload()
        assert taken_up is not None
        assert (taken_up.applied, taken_up.later) == (("drain_timeout",), ("max_activities",))
        assert not worker.attached
        (queue,) = worker.snapshot.queues
        assert queue.queue_id in {one.id for one in await worker.list_queues()}
        fleet = await worker.queue_workers([queue.queue_id])
        assert [one.id for one in fleet[queue.queue_id]] == [queue.worker_id]
        assert fleet[queue.queue_id][0].system_info["hostname"]
        unknown = "00000000-0000-4000-8000-000000000000"
        assert await worker.queue_executions([queue.queue_id, unknown], limit=5) == {queue.queue_id: []}
        with pytest.raises(KubiyaError):
            await worker.queue_executions([unknown], limit=5)
        await worker.pause(reason="Paused by you.")
        assert (worker.snapshot.state, worker.snapshot.reason) == (S.PAUSED, "Paused by you.")
        await worker.resume()
        await worker.stop(StopMode.DRAIN)
        assert (await worker.wait_over()).state is S.STOPPED
        await worker.start()
        await rig.reach(S.RUNNING)
        await worker.stop(StopMode.NOW)
        await worker.wait_over()
        await worker.close()
        assert rig.states == [
            *(S.STARTING, S.RUNNING, S.PAUSED, S.RUNNING, S.DRAINING, S.STOPPED),
            *(S.STARTING, S.RUNNING, S.DRAINING, S.STOPPED),
        ]

    run_on("qasync", live())


@needs_scripts
def test_gpus_are_asked_of_an_engine_here_and_of_nobody_where_none_runs(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = FakeSmi(tmp_path / "bin", monkeypatch)
    smi.answers("gpus", [row(0)])

    async def live() -> None:
        rig = Rig(stage, tmp_path, await new_queue(stage), gpu="off")
        assert await rig.worker.gpus() is None
        await rig.worker.start()
        await rig.reach(S.RUNNING)
        assert await rig.worker.gpus() is None
        assert smi.asked == [], "the setting is off"
        rig.changed = {"gpu": "auto"}
        await rig.worker.reload()
        found = await rig.worker.gpus()
        assert found is not None
        assert [one.gpu.name for one in found.gpus] == ["NVIDIA H200"]
        assert smi.asked == ["--query-gpu", "--query-compute-apps"]
        await rig.worker.stop(StopMode.NOW)
        await rig.worker.wait_over()
        assert await rig.worker.gpus() is None
        await rig.worker.close()

    run_on("qasync", live())


def test_its_status_is_served_while_it_works(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "{}:{}".format(*free.getsockname())
            rig = Rig(stage, tmp_path, await new_queue(stage), status_port=free.getsockname()[1])
            await rig.worker.start()  # works on, though somebody else has the place
            await rig.reach(S.RUNNING)
            await rig.worker.stop(StopMode.NOW)
            await rig.worker.wait_over()
        await rig.worker.start()
        await rig.reach(S.RUNNING)
        async with httpx2.AsyncClient(trust_env=False) as probe:
            assert (await probe.get(f"http://{address}/readyz")).text == "serving\n"
            await rig.worker.stop(StopMode.NOW)
            await rig.worker.wait_over()
            with pytest.raises(httpx2.ConnectError):
                await probe.get(f"http://{address}/readyz")
        await rig.worker.close()

    run_on("qasync", live())


def test_a_timed_pause_ends_by_itself(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        rig = Rig(stage, tmp_path, await new_queue(stage))
        await rig.worker.start()
        await rig.reach(S.RUNNING)
        far = datetime.now(UTC) + timedelta(hours=30)
        await rig.worker.pause(reason="For long.", until=far)
        assert rig.worker.paused_until == far
        near = datetime.now(UTC) + timedelta(milliseconds=50)
        await rig.worker.pause(reason="Not for long.", until=near)
        assert rig.worker.snapshot.reason == "Not for long."
        await rig.reach(S.RUNNING)
        assert datetime.now(UTC) >= near
        assert rig.worker.paused_until is None
        await rig.worker.stop(StopMode.CANCEL)
        await rig.worker.wait_over()
        await rig.worker.close()

    run_on("qasync", live())


def test_what_is_missing_becomes_the_reason(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        rig = Rig(stage, tmp_path, await new_queue(stage))
        rig.missing = "There is no API key."
        with pytest.raises(ConfigurationError):
            await rig.worker.start()
        assert (rig.worker.snapshot.state, rig.worker.snapshot.reason) == (S.FAILED, "There is no API key.")
        rig.missing = ""
        await rig.worker.start()
        await rig.reach(S.RUNNING)
        await rig.worker.stop(StopMode.CANCEL)
        await rig.worker.wait_over()
        await rig.worker.close()

    run_on("qasync", live())


def test_a_service_that_runs_is_attached_to_shown_and_steered(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        queue_id = await new_queue(stage)
        with worker_process(stage, tmp_path, queue_id) as service:
            await asyncio.to_thread(service.wait_ready)
            rig = Rig(stage, tmp_path, queue_id, paths=Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path)}))
            await rig.worker.start()
            assert rig.worker.attached
            assert rig.worker.snapshot.pid == service.process.pid != os.getpid()
            await rig.worker.pause(reason="From the tray.")
            await rig.until(lambda: S.PAUSED in rig.states)
            assert rig.worker.snapshot.reason == "From the tray."
            await rig.worker.resume()
            await rig.reach(S.RUNNING)
            await rig.worker.stop(StopMode.DRAIN)
            await rig.until(lambda: not rig.worker.attached)
            assert await asyncio.to_thread(service.process.wait, LIMIT_SECONDS) == 0
        assert rig.worker.snapshot.state is S.STOPPED
        assert "ended" in rig.worker.snapshot.reason
        lines, _, _ = rig.ring.read_after(0)
        assert any("Registered on queue" in line for line in lines)
        await rig.worker.start()  # none is left: this process serves
        await rig.reach(S.RUNNING)
        assert (rig.worker.attached, rig.worker.snapshot.pid) == (False, os.getpid())
        await rig.worker.stop(StopMode.CANCEL)
        await rig.worker.wait_over()
        await rig.worker.close()

    run_on("qasync", live())


def test_a_window_without_a_key_asks_by_way_of_the_service(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        queue_id = await new_queue(stage)
        with worker_process(stage, tmp_path, queue_id) as service:
            await asyncio.to_thread(service.wait_ready)
            rig = Rig(stage, tmp_path, queue_id, paths=Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path)}))
            rig.missing = "There is no API key."
            with pytest.raises(ConfigurationError, match="no API key"):
                await rig.worker.list_agents()
            await rig.worker.start()
            assert rig.worker.attached
            assert stage.info.agent_id in {one.id for one in await rig.worker.list_agents()}
            assert queue_id in {one.id for one in await rig.worker.list_queues()}
            assert [one.id for one in (await rig.worker.queue_workers([queue_id]))[queue_id]]
            execution_id = await rig.worker.begin_execution(
                agent_id=stage.info.agent_id, queue_id=queue_id, prompt=f"without a key {queue_id}\n!instant"
            )

            async def reaches(*statuses: str) -> None:
                async with asyncio.timeout(LIMIT_SECONDS):
                    while (await rig.worker.get_execution(execution_id)).status not in statuses:
                        await asyncio.sleep(0.05)

            await reaches("waiting_for_input")
            long = "and more " * 10_000
            await rig.worker.send_message(execution_id, long + "\n!instant")
            async with asyncio.timeout(LIMIT_SECONDS):
                while long not in str(await rig.worker.load_session(execution_id)):
                    await asyncio.sleep(0.05)
            await reaches("waiting_for_input")
            with pytest.raises(KubiyaError, match=r"cannot be resumed now\.$"):
                await rig.worker.resume_execution(execution_id)
            await rig.worker.cancel_execution(execution_id)
            await reaches("cancelled", "interrupted", "completed")
            [listed] = (await rig.worker.queue_executions([queue_id], limit=1))[queue_id]
            assert listed.id == execution_id
            await rig.worker.stop(StopMode.DRAIN)
            await rig.until(lambda: not rig.worker.attached)
            with pytest.raises(ConfigurationError, match="no API key"):
                await rig.worker.list_agents()
            await rig.worker.close()

    run_on("qasync", live())


async def ask_and_allow(rig: Rig, stage: Stage, queue_id: str, target: Path) -> None:
    """An execution that wants out of its workspace; the answer goes through the face that windows have."""
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    try:
        assert stage.info.agent_id in {one.id for one in await rig.worker.list_agents()}
        execution_id = await rig.worker.begin_execution(
            agent_id=stage.info.agent_id,
            queue_id=queue_id,
            prompt=f"asks {target}\n" + tool(f"echo done > {target}"),
        )
        await rig.until(lambda: rig.worker.snapshot.approvals)
        [waiting] = rig.worker.snapshot.approvals
        assert waiting.execution_id == execution_id
        assert not target.exists()
        with pytest.raises(KubiyaError, match="No approval waits"):
            await rig.worker.answer_approval("nonsense", allow=True, scope="once")
        await rig.worker.answer_approval(waiting.id, allow=True, scope="once")
        await rig.until(lambda: not rig.worker.snapshot.approvals)
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await client.get_execution(execution_id)).status != "waiting_for_input":
                await asyncio.sleep(0.05)
    finally:
        await client.aclose()
    [listed] = (await rig.worker.queue_executions([queue_id], limit=1))[queue_id]
    assert (listed.id, listed.status, listed.prompt[:4]) == (execution_id, "waiting_for_input", "asks")
    assert target.read_text() == "done\n"


def test_approvals_are_answered_here_and_in_a_service(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        queue_id = await new_queue(stage)
        rig = Rig(stage, tmp_path / "here", queue_id)
        with pytest.raises(KubiyaError, match="nothing waits"):
            await rig.worker.answer_approval("x", allow=True, scope="once")
        await rig.worker.start()
        await rig.reach(S.RUNNING)
        await ask_and_allow(rig, stage, queue_id, tmp_path / "one.txt")
        await rig.worker.stop(StopMode.CANCEL)
        await rig.worker.wait_over()
        await rig.worker.close()
        there = tmp_path / "there"
        with worker_process(stage, there, queue_id, KUBIYA_WORKER_APPROVALS="ask") as service:
            await asyncio.to_thread(service.wait_ready)
            rig = Rig(stage, there, queue_id, paths=Paths.from_environment({"KUBIYA_WORKER_HOME": str(there)}))
            await rig.worker.start()
            assert rig.worker.attached
            taken_up = await rig.worker.reload()
            assert taken_up is not None
            assert taken_up.sentence == "The settings were read again: nothing has changed."
            await ask_and_allow(rig, stage, queue_id, tmp_path / "two.txt")
            await rig.worker.stop(StopMode.DRAIN)
            await rig.until(lambda: not rig.worker.attached)
        await rig.worker.close()

    run_on("qasync", live())


class SlowKeychain(keyring.backend.KeyringBackend):
    """Asks its owner, who takes his time: what he does decides what a call becomes."""

    priority = 5.0  # type: ignore[assignment]

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key
        self.asked = 0
        self.answered = threading.Event()
        self.dismissed = False

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        assert self.answered.wait(LIMIT_SECONDS)
        if self.dismissed:
            raise keyring.errors.KeyringLocked("Failed to unlock the collection!")
        return self._key

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


@pytest.mark.parametrize("dismissed", [False, True])
def test_a_keychain_that_is_unlocked_late_begins_the_worker(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dismissed: bool
) -> None:
    backend = SlowKeychain(stage.info.api_key)
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)

    async def live() -> None:
        queue_id = await new_queue(stage)
        store, url = KeyringStore(limit=timedelta(seconds=0.2)), stage.info.control_plane_url
        rig = Rig(stage, tmp_path, queue_id, key=lambda: store.get(url))
        worker, notices = rig.worker, Notifications(level=lambda: "all")
        await worker.start()
        assert summary(worker.snapshot).standing is Standing.LOCKED
        for _ in range(2):
            notices.look(worker.snapshot)
        assert [one.title for one in notices.history] == ["Unlock your keychain to go on"]
        backend.dismissed = dismissed
        backend.answered.set()
        if dismissed:
            await rig.reach(S.FAILED)
            assert "locked" in worker.snapshot.reason
            assert rig.states == [S.FAILED], "a start that fails is told as a worker that fails"
            assert backend.asked == 1, "who said no is not asked again"
        else:
            await rig.reach(S.RUNNING)
            assert worker.snapshot.trouble is None
            await worker.stop(StopMode.NOW)
            await worker.wait_over()
        await worker.close()

    run_on("qasync", live())


def test_waiting_for_the_keychain_can_be_stopped(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SlowKeychain("key")
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)

    async def live() -> None:
        store = KeyringStore(limit=timedelta(seconds=0.05))
        rig = Rig(stage, tmp_path, "q", key=lambda: store.get("https://cp.example"))
        await rig.worker.start()
        await rig.worker.stop(StopMode.DRAIN)
        assert (rig.worker.snapshot.state, rig.worker.snapshot.trouble) == (S.STOPPED, None)
        backend.answered.set()
        await store.get("https://cp.example")
        assert rig.worker.snapshot.state is S.STOPPED
        await rig.worker.close()

    run_on("qasync", live())


@pytest.mark.parametrize("allow", [True, False])
def test_where_there_is_no_sandbox_the_window_is_asked_once(stage: Stage, tmp_path: Path, allow: bool) -> None:
    """`sandbox-exec` is macOS': here, nothing is installed."""

    async def live() -> None:
        queue_id = await new_queue(stage)
        for start in range(2):
            rig, notices = Rig(stage, tmp_path, queue_id, sandbox="sandbox-exec"), Notifications(level=lambda: "all")
            worker = rig.worker
            await worker.start()
            await rig.reach(S.RUNNING)
            if not start:
                await rig.stands(Standing.ASKS_ABOUT_SANDBOX)
                for _ in range(2):
                    notices.look(worker.snapshot)
                assert [one.title for one in notices.history] == ["May tools run without a sandbox?"]
                await worker.answer_sandbox(allow=allow)
            await rig.runs_tools_in("none" if allow else "refused")
            assert summary(worker.snapshot).unprotected is allow
            assert (summary(worker.snapshot).standing is Standing.NO_TOOLS) is not allow
            await worker.stop(StopMode.NOW)
            await worker.wait_over()
            await worker.close()

    run_on("qasync", live())


def test_a_worker_that_ends_unanswered_asks_again(stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        queue_id = await new_queue(stage)
        for _ in range(2):
            rig = Rig(stage, tmp_path, queue_id, sandbox="sandbox-exec")
            await rig.worker.start()
            await rig.runs_tools_in("asked")
            await rig.worker.stop(StopMode.NOW)
            await rig.worker.wait_over()
            await rig.worker.close()
        assert not home(tmp_path).without_sandbox_file.exists()

    run_on("qasync", live())
