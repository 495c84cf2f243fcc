"""What every user of the engine may rely on, on a stock asyncio loop and on a Qt loop alike."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from tests.support.engine import LIMIT_SECONDS, home, make_engine, new_queue, running_engine
from tests.support.loops import LOOPS, run_on
from tests.support.playground import Stage
from tests.support.temporal import free_port
from worker_core.engine.engine import Engine
from worker_core.errors import ConfigurationError, ExitCode
from worker_core.events import (
    EngineStateChanged,
    ExecutionStarted,
    ExecutionWaiting,
    PollingStarted,
    SnapshotReplaced,
    ToolFinished,
)
from worker_core.snapshot import EngineSnapshot, EngineState, StopMode

pytestmark = pytest.mark.parametrize("loop", LOOPS)

S = EngineState


def test_a_whole_life(loop: str, stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        async with running_engine(stage, tmp_path) as rig:
            await rig.engine.start()  # a second start changes nothing
            execution_id = await rig.execute('life\n!tool shell {"command": "echo ran"}\n!say done')
            await rig.reach(execution_id, "waiting_for_input")
            await rig.until(lambda: rig.published(ExecutionWaiting))
            await rig.engine.pause()
            await rig.engine.pause("Again.")
            await rig.engine.resume()
            await rig.engine.resume()
            await rig.engine.stop()
            await rig.engine.stop()
            final = await rig.stopped()
        changes = rig.published(EngineStateChanged)
        assert [change.after for change in changes] == [
            S.STARTING, S.RUNNING, S.PAUSED, S.RUNNING, S.DRAINING, S.STOPPED,
        ]  # fmt: skip
        assert all(change.reason.endswith(".") for change in changes)
        assert [change.before for change in changes[1:]] == [change.after for change in changes[:-1]]
        assert [event.turn for event in rig.published(ExecutionStarted)] == [1]
        assert [event.succeeded for event in rig.published(ToolFinished)] == [True]
        assert rig.published(SnapshotReplaced)[-1].snapshot == rig.snapshot == final
        assert (final.exit_code, final.queues[0].polling) == (0, False)

    run_on(loop, live())


def test_whoever_looks_when_it_says_that_it_polls_sees_it_serve(
    loop: str, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe's thread reads the snapshot between any two instructions of the loop's."""
    shown: list[EngineSnapshot] = []
    at_ready: list[EngineSnapshot] = []

    def keep(engine: Engine, name: str, value: object) -> None:
        object.__setattr__(engine, name, value)
        if isinstance(value, EngineSnapshot):
            shown.append(value)

    monkeypatch.setattr(Engine, "__setattr__", keep)

    async def live() -> None:
        url, key = stage.info.control_plane_url, stage.info.api_key
        engine = make_engine(url=url, key=key, queue_ids=[await new_queue(stage)], folder=tmp_path)
        engine.events.listen(lambda _: at_ready.append(engine.snapshot), only=(PollingStarted,))
        await engine.start()
        async with asyncio.timeout(LIMIT_SECONDS):
            while not at_ready:
                await asyncio.sleep(0.02)
        await engine.stop()
        await engine.wait_stopped()

    run_on(loop, live())
    assert (at_ready[0].state, at_ready[0].queues[0].polling) == (S.RUNNING, True)
    at_work = [one for one in shown if one.state is S.RUNNING]
    assert at_work
    assert all(one.queues[0].polling for one in at_work)


def test_stopping_before_it_could_start(loop: str, stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        never = make_engine(url=stage.info.control_plane_url, key="k", queue_ids=[str(uuid.uuid4())], folder=tmp_path)
        assert (never.snapshot.state, bool(never.snapshot.reason)) == (S.STOPPED, True)
        await never.stop()
        await never.start()
        assert (await never.wait_stopped()).state is S.STOPPED

        url = f"http://127.0.0.1:{free_port()}"
        async with running_engine(stage, tmp_path, url=url, ready=False) as rig:
            assert rig.snapshot.state is S.STARTING
            await rig.engine.stop(mode=StopMode.DRAIN)
            final = await rig.stopped()
        assert (final.state, final.exit_code) == (S.STOPPED, 0)

    run_on(loop, live())


def test_leaving_at_once(loop: str, stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        async with running_engine(stage, tmp_path) as rig:
            execution_id = await rig.execute('leave\n!tool shell {"command": "sleep 1000"}')
            await rig.until(lambda: any("shell" in one.step for one in rig.snapshot.executions))
            await rig.known_to_run(execution_id)
            await rig.engine.stop(mode=StopMode.NOW)
            final = await rig.stopped()
            await rig.cancel(execution_id)
        assert (final.state, final.exit_code) == (S.STOPPED, ExitCode.LEFT_AT_ONCE)

    run_on(loop, live())


@pytest.mark.parametrize("case", ["wrong key", "unknown queue", "no queue id", "inactive queue", "unreachable"])
def test_what_cannot_work_fails_with_a_sentence_and_a_code(loop: str, stage: Stage, tmp_path: Path, case: str) -> None:
    async def live() -> None:
        queue, key, url = await new_queue(stage), stage.info.api_key, ""
        if case == "wrong key":
            key = "not-the-key"
        elif case == "unknown queue":
            queue = str(uuid.uuid4())
        elif case == "no queue id":
            queue = "default"
        elif case == "inactive queue":
            async with stage.client() as api:
                await api.patch(f"/worker-queues/{queue}", json={"status": "maintenance"})
        else:
            url = f"http://127.0.0.1:{free_port()}"
        async with running_engine(
            stage, tmp_path, queue_ids=[queue], key=key, url=url, ready=False, fail_fast=True
        ) as rig:
            final = await rig.stopped()
        code, words = EXPECTED[case]
        assert (final.state, final.exit_code) == (S.FAILED, code)
        assert final.reason.endswith(".")
        assert words in final.reason
        assert "not-the-key" not in final.reason

    run_on(loop, live())


EXPECTED = {
    "wrong key": (ExitCode.CREDENTIALS_REFUSED, "kubiya-worker login"),
    "unknown queue": (ExitCode.QUEUE_UNUSABLE, "kubiya-worker queues"),
    "no queue id": (ExitCode.QUEUE_UNUSABLE, "'default'"),
    "inactive queue": (ExitCode.QUEUE_UNUSABLE, "maintenance"),
    "unreachable": (ExitCode.UNREACHABLE, "127.0.0.1"),
}


def test_one_bad_queue_does_not_stop_the_good_one(loop: str, stage: Stage, tmp_path: Path) -> None:
    async def live() -> None:
        good, bad = await new_queue(stage), str(uuid.uuid4())
        async with running_engine(stage, tmp_path, queue_ids=[bad, good], ready=False) as rig:
            await rig.until(
                lambda: rig.snapshot.state is S.RUNNING and "no worker queue" in rig.snapshot.queues[0].reason
            )
            execution_id = await rig.execute("good queue\n!instant", queue_id=good)
            await rig.reach(execution_id, "waiting_for_input")
            await rig.engine.stop()
            assert (await rig.stopped()).exit_code == 0

    run_on(loop, live())


def test_what_is_missing_is_said_before_anything_begins(loop: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="queue"):
        make_engine(url="http://127.0.0.1:1", key="k", queue_ids=[], folder=tmp_path)
    with pytest.raises(ConfigurationError, match="API key"):
        make_engine(url="http://127.0.0.1:1", key="", queue_ids=["q"], folder=tmp_path)
    home(tmp_path).state.write_text("a file where a folder should be")
    with pytest.raises(ConfigurationError, match=r"host id in .* cannot be read"):
        make_engine(url="http://127.0.0.1:1", key="k", queue_ids=["q"], folder=tmp_path)
