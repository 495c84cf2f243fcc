"""Any interleaving of publishing, outages, kills and restarts delivers every event once, in order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from worker_core.control_plane.errors import Unreachable
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.control_plane.outbox.spool_thread import SpoolThread
from worker_core.network.backoff import Backoff

LIMIT = timedelta(seconds=60)
EXECUTIONS = st.sampled_from(["one", "two", "three"])


class Server:
    """Takes events, or refuses the connection before anything arrives."""

    def __init__(self) -> None:
        self.up = True
        self.turns = 1
        self.events: dict[str, list[dict]] = defaultdict(list)

    async def publish_event(self, execution_id: str, event: bytes) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if not self.up:
            raise Unreachable("The control plane refused the connection.")
        self.events[execution_id].append(msgspec.json.decode(event))
        for _ in range(self.turns):
            await asyncio.sleep(0)


class SlowDisk(SpoolThread):
    """The real files, without the thread: each job takes as many turns of the loop as the machine says."""

    turns = 0

    async def _run(self, job):
        async def work():
            for _ in range(self.turns):
                await asyncio.sleep(0)
            result = job()
            for _ in range(self.turns):
                await asyncio.sleep(0)
            return result

        return await asyncio.shield(asyncio.ensure_future(work()))


class OutboxMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.server = Server()
        self.expected: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.floors: dict[str, int] = defaultdict(int)
        self.number = 0
        self.clock = 1_000_000
        self.disk_turns = 0
        self.outbox = self.make()

    def make(self) -> Outbox:
        outbox = Outbox(
            client=self.server,
            folder=self.folder / "spool",
            mask=lambda text: text.replace("SECRET", "****"),
            chunk_window=timedelta(milliseconds=2),
            backoff=Backoff(first=timedelta(milliseconds=1), limit=timedelta(milliseconds=4)),
            clock_us=self.tick,
        )
        outbox._disk = SlowDisk(self.folder / "spool", limit_bytes=1 << 24)
        outbox._disk.turns = self.disk_turns
        self.run(outbox.open())
        return outbox

    def tick(self) -> int:
        """A wall clock that mostly stands still, so that `last + 1` is needed."""
        return self.clock

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def inside(self, call) -> None:
        async def run() -> None:
            call()

        self.run(run())

    @rule(execution=EXECUTIONS)
    def publish(self, execution: str) -> None:
        self.number += 1
        self.expected[execution].append(("event", f"{self.number} ****"))
        self.inside(lambda: self.lane(execution).publish("message", {"n": f"{self.number} SECRET"}))

    @rule(execution=EXECUTIONS, text=st.text(min_size=1, max_size=4))
    def chunk(self, execution: str, text: str) -> None:
        known = self.expected[execution]
        if known and known[-1][0] == "text":
            known[-1] = ("text", known[-1][1] + text)
        else:
            known.append(("text", text))
        self.inside(lambda: self.lane(execution).chunk("message-1", text))

    @rule(server=st.integers(0, 5), disk=st.integers(0, 5))
    def latency(self, server: int, disk: int) -> None:
        self.server.turns = server
        self.outbox._disk.turns = self.disk_turns = disk

    @rule(turns=st.integers(0, 30))
    def let_run(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(turn())

    @rule()
    def outage(self) -> None:
        self.server.up = False

    @rule()
    def nudge(self) -> None:
        self.outbox.nudge()

    @rule()
    def restore(self) -> None:
        self.server.up = True
        self.outbox.nudge()

    @rule(step=st.integers(-500_000, 500_000))
    def clock_jumps(self, step: int) -> None:
        self.clock += step

    @rule(execution=EXECUTIONS, step=st.integers(0, 1_000_000))
    def advance(self, execution: str, step: int) -> None:
        lane = self.lane(execution)
        lane.advance(lane.last_sequence + step)

    @rule(execution=EXECUTIONS)
    def flush(self, execution: str) -> None:
        assert self.run(self.lane(execution).flush(LIMIT))

    @rule()
    def close_and_reopen(self) -> None:
        self.run(self.outbox.close(limit=LIMIT))
        self.reopen()

    @rule()
    def kill_and_reopen(self) -> None:
        """`kill -9` after a flush: the process is gone in the middle of whatever it does, the disk is as it was."""

        async def die() -> None:
            for execution in ("one", "two", "three"):
                assert await self.outbox.lane(execution).flush(LIMIT)
            # What is on its way is neither delivered nor not; here it is let through, so that "once" has a meaning.
            while any(lane.sending for lane in self.outbox._busy.values()):
                await asyncio.sleep(0)
            doomed = self.outbox._disk
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            if doomed._spool is not None:
                doomed._spool._database.close()

        self.run(die())
        self.reopen()

    def reopen(self) -> None:
        floors = {name: self.outbox.lane(name).last_sequence for name in ("one", "two", "three")}
        self.outbox = self.make()
        # What the workflow does: it hands the last number on to the next process.
        for name, floor in floors.items():
            self.lane(name).advance(floor)

    def lane(self, execution: str):
        lane = self.outbox.lane(execution)
        self.held = getattr(self, "held", {})
        self.held[execution] = lane
        return lane

    @invariant()
    def numbers_rise(self) -> None:
        for events in getattr(self, "server", Server()).events.values():
            numbers = [event["data"]["sequence"] for event in events]
            assert numbers == sorted(set(numbers))

    def teardown(self) -> None:
        if not hasattr(self, "outbox"):
            return
        try:
            self.server.up = True
            self.outbox.nudge()
            self.run(self.drained())
            for execution, expected in self.expected.items():
                assert self.as_expected(self.server.events[execution]) == expected
            self.numbers_rise()
        finally:
            self.run(self.outbox.close(limit=timedelta(0)))
            self.loop.close()
            shutil.rmtree(self.folder)

    async def drained(self) -> None:
        async with asyncio.timeout(LIMIT.total_seconds()):
            while True:
                for lane in tuple(self.outbox._busy.values()):
                    lane.send_gathered()
                view = self.outbox.view()
                if not (view.pending or view.spooled):
                    break
                self.outbox.nudge()
                await asyncio.sleep(0)
        assert view.dropped == 0

    @staticmethod
    def as_expected(events: list[dict]) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for event in events:
            data = event["data"]
            if event["event_type"] == "message":
                found.append(("event", data["n"]))
            elif found and found[-1][0] == "text":
                found[-1] = ("text", found[-1][1] + data["content"])
            else:
                found.append(("text", data["content"]))
        return found


OutboxMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestOutbox = OutboxMachine.TestCase
