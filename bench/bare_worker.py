"""The baseline: a worker of the bare Temporal SDK, with an activity for each step of a turn."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

ACTIVITIES = 4
"""To begin, to ask the model, to finish the turn, to end: ours does all of an instant turn in one."""


@activity.defn
async def step(number: int) -> str:
    return f"step {number}"


@workflow.defn
class BareWorkflow:
    @workflow.run
    async def run(self) -> str:
        said = ""
        for number in range(ACTIVITIES):
            said = await workflow.execute_activity(step, number, start_to_close_timeout=timedelta(seconds=30))
        return said


async def main(host: str, queue: str) -> None:
    client = await Client.connect(host)
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[BareWorkflow],
        activities=[step],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    print("ready", flush=True)
    await running


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2]))
    finally:
        os._exit(0)
