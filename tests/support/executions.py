"""What tests of whole executions give to the scripted model, and ask of the control plane."""

from __future__ import annotations

import json

from tests.support.engine import Rig
from tests.support.playground import Stage
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute


def tool(command: str, *lines: str) -> str:
    """A prompt's lines that make the scripted model run a shell command."""
    return "\n".join([f"!tool shell {json.dumps({'command': command})}", *lines])


def sequences(events: list[dict[str, object]]) -> list[int]:
    return [event["data"]["sequence"] for event in events]  # type: ignore[index]


class Viewer(Rig):
    """What a rig asks of the control plane, where the engine is in another process."""

    def __init__(self, stage: Stage, client: ControlPlaneClient) -> None:
        self.stage, self.client = stage, client


async def submit(stage: Stage, client: ControlPlaneClient, queue: str, prompt: str) -> str:
    wish = Execute(prompt=prompt, worker_queue_id=queue)
    return (await client.execute_agent(stage.info.agent_id, wish)).execution_id
