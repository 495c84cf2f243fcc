"""A desk for screenshots, with stand-ins where the window asks somebody: worker, connection test, first run."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from unittest.mock import create_autospec

from demo_data import notices as demo_notices
from demo_data import snapshot
from demo_executions import NOW

from desktop.notices.notifications import Notifications
from desktop.notices.updates import UpdateState, UpdateWatch
from desktop.settings.keys import Owner
from desktop.settings.onboarding import Onboarding
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.system.diagnosis import Diagnosis
from desktop.system.files_left import FilesLeft
from desktop.system.open_elsewhere import Outside
from desktop.system.platforms.ports import Charge
from desktop.system.usage_kept import UsageKept
from desktop.system.working_copies import WorkingCopies
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import menu
from desktop.windows.background import Background
from desktop.windows.desk import Desk
from desktop.worker.face import WorkerFace
from worker_core.basics.sentences import worded
from worker_core.budgets.ledger import Ledger, Spender, Spending
from worker_core.checks.check import Check, ok, warn
from worker_core.control_plane.models import Agent, ExecutionRecord, Queue, QueueWorker
from worker_core.errors import KubiyaError
from worker_core.paths import Paths
from worker_core.snapshot import EngineSnapshot, Health


def desk(folder: Path, *, empty: bool) -> Desk:
    """Everything that a window needs, in a folder of its own; with `empty`, as before the worker's first start."""
    paths = Paths.from_environment({"KUBIYA_WORKER_HOME": str(folder)})
    store = SettingsStore(paths, environ={})
    notices = Notifications(level=lambda: "all")
    worker = create_autospec(WorkerFace, instance=True)
    worker.snapshot = EngineSnapshot() if empty else snapshot()
    worker.get_execution.side_effect = lambda execution_id: ExecutionRecord(id=execution_id)
    worker.load_session.return_value = None
    worker.reload.return_value = None
    worker.gpus.return_value = None
    worker.queue_executions.return_value = {}
    worker.list_agents.return_value = [
        Agent(id="a-1", name="Site reliability"),
        Agent(id="a-2", name="Data analyst"),
    ]
    worker.queue_workers.side_effect = _serving
    if not empty:
        demo_usage(paths.budget_file)
        store.change(queue_ids="q-7f31, q-b210, q-0c44")
        store.change(max_executions="8")
        for notice in demo_notices():
            notices.say(notice)
        notices.seen()
        paths.policy_file.parent.mkdir(parents=True, exist_ok=True)
        paths.policy_file.write_text('[[ask]]\ncommand = "git push*"\n')
    diagnosis = create_autospec(Diagnosis, instance=True)
    diagnosis.test_connection = examine

    async def sample() -> Health:
        found = snapshot().health
        assert found is not None
        return found

    return Desk(
        worker=worker,
        settings=store,
        policy=PolicyStore(paths.policy_file),
        notices=notices,
        updates=create_autospec(UpdateWatch, instance=True, state=UpdateState(), page=""),
        diagnosis=diagnosis,
        outside=create_autospec(Outside, instance=True),
        copies=create_autospec(WorkingCopies, instance=True, find=lambda _: None),
        files_left=FilesLeft(workspaces=paths.workspaces),
        usage=UsageKept(paths.budget_file),
        keys=None,
        autostart=None,
        sample=sample,
        charge=Charge,
        follow=lambda _: None,
        menu=lambda: menu(TrayFacts(snapshot=worker.snapshot)),
        background=background(),
    )


def demo_usage(file: Path) -> None:
    """Ninety days of two agents, with week-ends and a failure now and then."""
    if file.exists():
        return
    chance, ledger, today = random.Random(5), Ledger(file), datetime.now(UTC).astimezone().date()  # noqa: S311
    for ago in range(89, -1, -1):
        day = today - timedelta(days=ago)
        for agent, name, queue, called in (
            ("a-1", "Site reliability", "q-7f31", "production"),
            ("a-2", "Data analyst", "q-b210", "reports"),
        ):
            turns = chance.randrange(0, 3 if day.weekday() > 4 else 12)
            for turn in range(turns):
                one = Spender(execution_id=f"{agent} {day}", turn=turn, agent_id=agent, queue_id=queue, day=day)
                ledger.begin(
                    one.execution_id, agent_id=agent, limits=[], day=day, agent_name=name, queue_id=queue,
                    queue_name=called,
                )  # fmt: skip
                tokens = chance.randrange(2_000, 60_000)
                ledger.add(one, Spending(tokens=tokens, cost=tokens * 4e-6))
                ledger.end_turn(one, failed=chance.random() < 0.07)


def background() -> Background:
    """One that does at once what it is asked."""
    return Background(run=asyncio.run)


async def _serving(queue_ids: Sequence[str]) -> dict[str, list[QueueWorker]]:
    """Who serves the demo's queues."""

    def worker(number: int, host: str, system: str, cpu: float, memory: float, done: int, ago: float) -> QueueWorker:
        return QueueWorker(
            id=f"w-{number}",
            tasks_processed=done,
            last_heartbeat=(NOW - timedelta(seconds=ago)).isoformat(),
            system_info={"hostname": host, "os_name": system, "cpu_percent": cpu, "memory_percent": memory},
        )

    fleet = [
        worker(1, "maya-laptop", "macOS 15.6", 34, 58, 148, 9),
        worker(2, "build-07", "Debian 12", 71, 44, 2210, 21),
        worker(3, "build-08", "Debian 12", 12, 39, 1984, 104),
    ]
    return {queue_id: fleet[: 3 - place] for place, queue_id in enumerate(queue_ids) if place < 2}


async def examine(heard: Callable[[Check], object]) -> list[Check]:
    """A connection that is good but for one thing."""
    found = [
        ok("proxy", worded("None is used for the control plane.")),
        ok("DNS", worded("{host} is {addresses}.", host="control-plane.kubiya.ai", addresses="203.0.113.7")),
        ok(
            "TLS",
            worded(
                "The certificate of {host} is trusted, issued by {issuer}.",
                host="control-plane.kubiya.ai",
                issuer="Let's Encrypt",
            ),
        ),
        ok("control plane", worded("{server} is healthy.", server="control-plane.kubiya.ai")),
        ok("Temporal", worded("{address} answers with TLS.", address="acme.a1b2c.tmprl.cloud:7233")),
        ok(
            "model gateway",
            worded("{server} answers, and takes the key of LITELLM_API_KEY.", server="llm.acme.example"),
        ),
        ok(
            "keychain",
            worded("{keychain} holds a key for {server}.", keychain="GNOME Keyring", server="control-plane.kubiya.ai"),
        ),
        ok(
            "API key",
            worded(
                "It is from {source}, and is valid for {organization}.",
                source=worded("the keychain"),
                organization="Acme",
            ),
        ),
        warn(
            "clock",
            worded("It is {n} s behind the control plane's.", n=41),
            "Let the system keep its time: `timedatectl set-ntp true`.",
            in_window=worded("Let the system keep its time, in its date settings."),
        ),
    ]
    took = (0.004, 0.031, 0.112, 0.187, 0.243, 0.156, 0.009, 0.094, None)
    found = [replace(one, took_seconds=seconds) for one, seconds in zip(found, took, strict=True)]
    for one in found:
        heard(one)
    return found


class _Keys:
    control_plane_url = "https://control-plane.kubiya.ai"
    url_decided_by = ""

    def __init__(self, *, refused: bool) -> None:
        self._refused = refused

    async def check(self, _: str, **__: str) -> Owner:
        if self._refused:
            raise KubiyaError("The control plane refused the API key. Check it, or make a new one in your profile.")
        return Owner(organization="Acme", user="maya@acme.example")

    async def save(self) -> str:
        return "GNOME Keyring"


class _Onboarding:
    can_start_at_login = True

    def __init__(self, *, refused: bool) -> None:
        self.keys = _Keys(refused=refused)

    async def queues(self) -> list[Queue]:
        return [
            Queue(id="q-7f31", name="platform", environment_name="Production"),
            Queue(id="q-b210", name="data-pipelines", environment_name="Production"),
            Queue(id="q-0c44", name="staging", environment_name="Staging"),
        ]


def onboarding(*, refused: bool = False) -> Onboarding:
    """A first run with a key that works, or with one that does not."""
    return cast(Onboarding, _Onboarding(refused=refused))
