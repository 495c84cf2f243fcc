"""Stand-ins for screenshots, where the window asks somebody: the fleet, the connection test, the first run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

from demo_data import NOW

from desktop.settings.keys import Owner
from desktop.settings.onboarding import Onboarding
from worker_core.checks.check import Check, ok, warn
from worker_core.control_plane.models import Queue, QueueWorker
from worker_core.errors import KubiyaError


class Fleet:
    """Who serves the demo's queues."""

    async def list_queues(self) -> list[Queue]:
        return []

    async def queue_workers(self, queue_ids: Sequence[str]) -> dict[str, list[QueueWorker]]:
        def worker(
            number: int, host: str, system: str, cpu: float, memory: float, done: int, ago: float
        ) -> QueueWorker:
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
        ok("proxy", "None is used for the control plane."),
        ok("DNS", "control-plane.kubiya.ai is 203.0.113.7."),
        ok("TLS", "The certificate of control-plane.kubiya.ai is trusted, issued by Let's Encrypt."),
        ok("control plane", "control-plane.kubiya.ai is healthy."),
        ok("Temporal", "acme.a1b2c.tmprl.cloud:7233 answers with TLS."),
        ok("model gateway", "llm.acme.example answers, and takes the key of LITELLM_API_KEY."),
        ok("keychain", "GNOME Keyring holds a key for control-plane.kubiya.ai."),
        ok("API key", "It is from the keychain, and is valid for Acme."),
        warn(
            "clock",
            "It is 41 s behind the control plane's.",
            "Let the system keep its time: `timedatectl set-ntp true`.",
        ),
    ]
    took = (0.004, 0.031, 0.112, 0.187, 0.243, 0.156, 0.009, 0.094, None)
    found = [replace(one, took_seconds=seconds) for one, seconds in zip(found, took, strict=True)]
    for one in found:
        heard(one)
    return found


class _Keys:
    control_plane_url = "https://control-plane.kubiya.ai"

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
