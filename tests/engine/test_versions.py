"""Two versions of the worker on one queue, neither of which knows the steps of the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.engine import new_queue
from tests.support.executions import Viewer, submit
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient

OTHER = "tests.support.other_version"


async def test_what_one_version_began_waits_for_it(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    with worker_process(stage, tmp_path, queue) as old:
        old.wait_ready()
        execution_id = await submit(stage, client, queue, "begun by the old\n!say one")
        await viewer.reach(execution_id, "waiting_for_input")
        assert old.terminate() == 0
    with worker_process(stage, tmp_path, queue, program=OTHER) as new:
        new.wait_ready()
        await client.send_message(execution_id, "!say two")
        said = await asyncio.to_thread(new.wait_log, "was begun by another version of the worker")
        assert "Nothing of it is lost" in said
        other = await submit(stage, client, queue, "begun by the new\n!say three")
        assert (await viewer.reach(other, "waiting_for_input")).response == "three"
        assert new.terminate() == 0
        new.read_to_the_end()
        assert sum("another version" in line for line in new.log) == 1, "the server asked again, which is said once"
        assert (await client.get_execution(execution_id)).status not in {"failed", "completed", "cancelled"}
    with worker_process(stage, tmp_path, queue) as old:
        old.wait_ready()

        async def answered() -> bool:
            return (await client.get_execution(execution_id)).response == "two"

        await until(answered)
