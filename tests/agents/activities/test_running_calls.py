"""A call and the attempts that wait for it: who ends it, and who gets its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.activity import ActivityCancellationDetails as Why
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from tests.support.processes import eventually
from worker_core.agents.activities import running_calls
from worker_core.agents.activities.running_calls import RunningCalls

LET_GO = [Why(not_found=True), Why(timed_out=True), Why(worker_shutdown=True)]


class Server:
    """What Temporal says of the execution."""

    def __init__(self) -> None:
        self.status = WorkflowExecutionStatus.RUNNING
        self.pending = ["call"]
        self.error: RPCError | None = None
        self.asked = 0

    def get_workflow_handle(self, workflow_id: str, *, run_id: str | None) -> Server:
        assert (workflow_id, run_id) == ("test", "test-run")
        return self

    async def describe(self, *, rpc_timeout: timedelta) -> Any:
        self.asked += 1
        if self.error is not None:
            raise self.error
        activities = [SimpleNamespace(activity_id=one) for one in self.pending]
        return SimpleNamespace(status=self.status, raw_description=SimpleNamespace(pending_activities=activities))


class Program:
    """What a call runs."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = asyncio.Event()
        self.killed = False

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.killed = True
            raise
        return "outcome"


class World:
    def __init__(self) -> None:
        self.server = Server()
        self.program = Program()
        self.patience = timedelta(minutes=5)
        self.calls: RunningCalls[str] = RunningCalls(patience=lambda: self.patience)

    def attempt(self) -> tuple[ActivityEnvironment, asyncio.Task[str]]:
        environment = ActivityEnvironment(client=cast(Client, self.server))
        environment.info = replace(environment.info, activity_id="call")

        async def outcome() -> str:
            return await self.calls.outcome("e", "c", self.program)

        return environment, asyncio.create_task(environment.run(outcome))

    async def wait(self, attempts: int) -> None:
        """Until so many wait for the call."""
        await eventually(lambda: self.calls._calls["e", "c"].attempts == attempts)

    async def is_taken_by_another(self) -> None:
        """An attempt that comes now has the outcome of the call that runs, which was begun once."""
        _, task = self.attempt()
        await self.wait(attempts=1)
        self.program.ended.set()
        assert await task == "outcome"
        assert self.program.begun == 1

    async def given_up(self, why: Why) -> None:
        """The first attempt."""
        environment, task = self.attempt()
        await eventually(lambda: self.program.begun)
        environment.cancel(why)
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(running_calls, "ASK_AGAIN_SECONDS", 0.01)
    return World()


def begun_ahead(world: World, *, within: timedelta) -> tuple[ActivityEnvironment, asyncio.Task[str | None]]:
    environment = ActivityEnvironment(client=cast(Client, world.server))

    async def run() -> str | None:
        return await world.calls.ahead("e", "c", world.program, within=within)

    return environment, asyncio.create_task(environment.run(run))


async def ahead(world: World, *, within: timedelta = timedelta(minutes=1)) -> str | None:
    return await begun_ahead(world, within=within)[1]


async def test_a_call_before_its_step_may_end_before_it(world: World) -> None:
    world.program.ended.set()
    assert await ahead(world) == "outcome"
    assert world.server.asked == 0
    assert await world.attempt()[1] == "outcome", "and once: this is another call"
    assert world.program.begun == 2


async def test_a_call_before_its_step_that_takes_longer_is_its_steps(world: World) -> None:
    world.server.pending = []  # its step is still to come
    assert await ahead(world, within=timedelta(0)) is None
    await eventually(lambda: world.server.asked > 2)
    await world.is_taken_by_another()


async def test_a_call_before_its_step_that_fails_is_made_again_by_it(world: World) -> None:
    async def fails() -> str:
        raise ValueError

    async def run() -> str | None:
        return await world.calls.ahead("e", "c", fails, within=timedelta(minutes=1))

    assert await ActivityEnvironment(client=cast(Client, world.server)).run(run) is None
    world.program.ended.set()
    assert await world.attempt()[1] == "outcome"


async def test_a_call_before_its_step_that_runs_already_is_not_begun_twice(world: World) -> None:
    assert await ahead(world, within=timedelta(0)) is None
    await eventually(lambda: world.program.begun)
    assert await ahead(world) is None
    await world.is_taken_by_another()


@pytest.mark.parametrize("how", ["its execution ended", "the worker leaves"])
async def test_a_call_before_its_step_ends_where_nobody_waits_for_it(world: World, how: str) -> None:
    assert await ahead(world, within=timedelta(0)) is None
    if how == "the worker leaves":
        world.calls.leave()
    else:
        world.server.status = WorkflowExecutionStatus.TERMINATED
    await eventually(lambda: world.program.killed)


async def test_a_call_before_its_step_that_is_under_way_is_had_where_its_execution_is_cancelled(world: World) -> None:
    world.calls = RunningCalls(patience=lambda: world.patience, to_the_end=True)
    environment, task = begun_ahead(world, within=timedelta(minutes=1))
    await eventually(lambda: world.program.begun)
    environment.cancel(Why(cancel_requested=True))
    await asyncio.sleep(0.05)
    assert not task.done()
    world.program.ended.set()
    assert await task == "outcome"


@pytest.mark.parametrize("why", [Why(cancel_requested=True), *LET_GO])
async def test_a_call_before_its_step_goes_on_where_its_attempt_does_not(world: World, why: Why) -> None:
    """As it does where it takes too long for who cancelled it."""
    world.calls = RunningCalls(patience=lambda: world.patience, to_the_end=True)
    environment, task = begun_ahead(world, within=timedelta(seconds=0.2 if why.cancel_requested else 60))
    await eventually(lambda: world.program.begun)
    environment.cancel(why)
    with pytest.raises(asyncio.CancelledError):
        await task
    await world.is_taken_by_another()


async def test_settled_means_that_nothing_runs(world: World) -> None:
    await world.calls.settled("e")
    assert await ahead(world, within=timedelta(0)) is None
    waiting = asyncio.create_task(world.calls.settled("e"))
    await world.calls.settled("another")
    await eventually(lambda: world.program.begun)
    assert not waiting.done()
    world.program.ended.set()
    await waiting


@pytest.mark.parametrize("why", LET_GO)
async def test_the_next_attempt_takes_the_outcome(world: World, why: Why) -> None:
    await world.given_up(why)
    await world.is_taken_by_another()


async def test_what_ended_while_nobody_waited_is_kept_for_the_next_attempt(world: World) -> None:
    await world.given_up(LET_GO[0])
    world.program.ended.set()
    await eventually(lambda: world.server.asked > 3)
    assert await world.attempt()[1] == "outcome"
    assert world.program.begun == 1
    assert await world.attempt()[1] == "outcome", "and once: this is another call"
    assert world.program.begun == 2


async def test_an_attempt_that_learns_late_that_it_was_given_up_takes_nothing_away(world: World) -> None:
    environment, first = world.attempt()
    await eventually(lambda: world.program.begun)
    _, second = world.attempt()
    await world.wait(attempts=2)
    environment.cancel(Why(not_found=True))
    with pytest.raises(asyncio.CancelledError):
        await first
    world.server.pending = []
    world.program.ended.set()
    assert await second == "outcome"
    assert world.server.asked == 0


@pytest.mark.parametrize(
    "why", [Why(cancel_requested=True), Why(cancel_requested=True, not_found=True), Why(paused=True)]
)
async def test_a_call_that_is_cancelled_ends(world: World, why: Why) -> None:
    await world.given_up(why)
    assert world.program.killed


async def test_a_call_that_runs_to_its_end_is_not_cancelled_with_its_execution(world: World) -> None:
    world.calls = RunningCalls(patience=lambda: world.patience, to_the_end=True)
    environment, task = world.attempt()
    await eventually(lambda: world.program.begun)
    environment.cancel(Why(cancel_requested=True))
    await asyncio.sleep(0)
    world.program.ended.set()
    assert await task == "outcome"
    assert not world.program.killed


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_call_that_runs_to_its_end_ends_with_its_worker(world: World, when: str) -> None:
    world.calls = RunningCalls(patience=lambda: world.patience, to_the_end=True)
    environment, task = world.attempt()
    await eventually(lambda: world.program.begun)
    if when == "before":
        environment.cancel(Why(cancel_requested=True))
        await asyncio.sleep(0)
    world.calls.leave()
    environment.cancel(Why(worker_shutdown=True))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.program.killed


async def test_a_call_ends_with_its_last_attempt_when_that_is_cancelled(world: World) -> None:
    await world.given_up(LET_GO[0])
    environment, task = world.attempt()
    await world.wait(attempts=1)
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.program.killed


def terminated(server: Server) -> None:
    server.status = WorkflowExecutionStatus.TERMINATED


def went_on(server: Server) -> None:
    server.pending = ["another"]


def unknown(server: Server) -> None:
    server.error = RPCError("gone", RPCStatusCode.NOT_FOUND, b"")


@pytest.mark.parametrize("change", [terminated, went_on, unknown])
async def test_a_call_that_nobody_waits_for_ends(world: World, change: Callable[[Server], None]) -> None:
    await world.given_up(LET_GO[0])
    await eventually(lambda: world.server.asked > 3)
    assert not world.program.killed
    change(world.server)
    await eventually(lambda: world.program.killed)


async def test_a_call_ends_when_no_attempt_comes_in_time(world: World) -> None:
    world.patience = timedelta(seconds=0.2)
    world.server.error = RPCError("no network", RPCStatusCode.UNAVAILABLE, b"")
    await world.given_up(LET_GO[0])
    await eventually(lambda: world.program.killed)
    assert world.server.asked
    world.program.ended.set()
    world.server.error = None
    assert await world.attempt()[1] == "outcome"
    assert world.program.begun == 2, "it is another call"


async def test_a_worker_that_leaves_leaves_nothing_behind(world: World) -> None:
    await world.given_up(LET_GO[0])
    world.calls.leave()
    await eventually(lambda: world.program.killed)


async def test_a_worker_that_leaves_ends_what_is_cancelled_then(world: World) -> None:
    environment, task = world.attempt()
    await eventually(lambda: world.program.begun)
    world.calls.leave()
    await asyncio.sleep(0)
    assert not world.program.killed, "its attempt has its time to end"
    environment.cancel(Why(worker_shutdown=True))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.program.killed


async def test_what_a_call_raises_reaches_its_attempt(world: World) -> None:
    async def broken() -> str:
        raise ValueError("as it is")

    environment = ActivityEnvironment(client=cast(Client, world.server))

    async def outcome() -> str:
        return await world.calls.outcome("e", "c", broken)

    with pytest.raises(ValueError, match="as it is"):
        await environment.run(outcome)
    _, task = world.attempt()
    world.program.ended.set()
    assert await task == "outcome"
