"""Polling that outlives expired keys, dead connections, sleep and changed networks. A real Temporal behind a proxy."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.cut_proxy import CutProxy
from tests.support.engine import Rig, home, new_queue, running_engine
from tests.support.executions import tool
from tests.support.fake_control_plane import FakeControlPlane, Reply, Request
from tests.support.playground import Stage
from tests.support.refusing_temporal import PERMISSION_DENIED, UNAUTHENTICATED, RefusingTemporal
from worker_core.basics.sentences import english
from worker_core.engine.serving import QueueServer, Timing
from worker_core.events import PollingStalled, PollingStarted, QueueRegistered, WokeUp
from worker_core.snapshot import EngineState
from worker_core.status_server.readiness import Patience, readiness
from worker_core.summary import Standing, summary


def token(lives_for: timedelta, serial: int = 0) -> str:
    """A key like Temporal Cloud's: a JWT that says when it ends."""
    claims = {"exp": (datetime.now(UTC) + lives_for).timestamp(), "serial": serial}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.signature"


@contextlib.asynccontextmanager
async def relay(stage: Stage, **changes: Any) -> AsyncIterator[FakeControlPlane]:
    """The playground's control plane, with changes to what a registration answers."""
    async with FakeControlPlane(api_key=stage.info.api_key) as plane, stage.client() as api:

        async def forward(request: Request) -> Reply:
            answer = await api.request(
                request.method, request.path, content=request.body, params=request.query,
                headers={"content-type": "application/json"},
            )  # fmt: skip
            body: Any = answer.json() if answer.content else b""
            if request.path.endswith("/start") and answer.status_code == 200:
                body |= {key: value() if callable(value) else value for key, value in changes.items()}
            return Reply(status=answer.status_code, body=body)

        for method in ("GET", "POST", "PATCH"):
            plane.on(method, ".*", forward)
        yield plane


async def works(rig: Rig, word: str) -> None:
    execution_id = await rig.execute(f"{word} {id(rig)}\n!instant")
    await rig.reach(execution_id, "waiting_for_input")


async def test_a_key_is_renewed_before_it_ends_and_no_poll_is_lost(stage: Stage, tmp_path: Path) -> None:
    served = 0

    def next_key() -> str:
        nonlocal served
        served += 1
        return token(timedelta(seconds=2 if served == 1 else 3600), served)

    timing = Timing(refresh_rest=timedelta(seconds=0.1))
    async with (
        relay(stage, temporal_api_key=next_key) as plane,
        running_engine(stage, tmp_path, url=plane.url, timing=timing) as rig,
    ):
        execution_id = await rig.execute(f"renewal {id(rig)}\n!stream 60 50")
        await rig.until(lambda: len(rig.published(QueueRegistered)) == 2)
        first, second = rig.published(QueueRegistered)
        await rig.reach(execution_id, "waiting_for_input")
        assert first.worker_id != second.worker_id == rig.snapshot.queues[0].worker_id
        assert len(rig.published(PollingStarted)) == 1
        assert not rig.published(PollingStalled)
        assert len(stage.model_calls(f"renewal {id(rig)}")) == 1
        await works(rig, "after")
        [gone] = plane.received("POST", f"/workers/{first.worker_id}/disconnect")
        assert gone.json()["reason"] == "credentials renewed"


async def test_a_renewal_that_is_refused_is_tried_until_the_key_ends(stage: Stage, tmp_path: Path) -> None:
    timing = Timing(refresh_rest=timedelta(seconds=0.1))
    async with (
        relay(stage, temporal_api_key=lambda: token(timedelta(seconds=2))) as plane,
        running_engine(stage, tmp_path, url=plane.url, timing=timing) as rig,
    ):
        refused = Reply(status=401, body={"detail": {"message": "no longer"}})
        plane.on("POST", r"/worker-queues/[^/]+/start", refused)
        final = await rig.stopped()
    assert (final.state, final.exit_code) == (EngineState.FAILED, 4)
    assert len(plane.received("POST", r"/worker-queues/[^/]+/start")) > 2


async def test_what_waits_is_known_as_soon_as_a_queue_is_polled(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, timing=Timing(look_every=timedelta(hours=1))) as rig:
        await rig.until(lambda: rig.snapshot.queues[0].statistics is not None)
        first = rig.snapshot.queues[0]
        assert first.polling
        assert first.statistics is not None
        assert (first.statistics.backlog, first.statistics.asked_at is None) == (0, False)
        await rig.until(lambda: (known := rig.snapshot.queues[0].statistics) is not None and known.pollers)


async def test_polling_that_silently_stopped_is_noticed_and_made_anew(stage: Stage, tmp_path: Path) -> None:
    port = int(stage.info.temporal_host.rpartition(":")[2])
    timing = Timing(look_every=timedelta(seconds=0.2), stalled_after=timedelta(seconds=1.0))
    async with (
        CutProxy(target_port=port) as proxy,
        relay(stage, temporal_host=lambda: proxy.address) as plane,
        running_engine(stage, tmp_path, url=plane.url, timing=timing) as rig,
    ):
        await rig.until(lambda: (known := rig.snapshot.queues[0].statistics) is not None and known.pollers)
        await proxy.hang()
        await rig.until(lambda: rig.published(PollingStalled))
        assert "no sign of polling" in rig.published(PollingStalled)[0].sentence
        await rig.until(lambda: not rig.snapshot.queues[0].polling)
        await proxy.cut()
        await proxy.restore()
        await rig.until(lambda: len(rig.published(PollingStarted)) == 2)
        await works(rig, "unstalled")


async def test_a_tool_call_goes_on_while_polling_is_made_anew(stage: Stage, tmp_path: Path) -> None:
    port = int(stage.info.temporal_host.rpartition(":")[2])
    timing = Timing(look_every=timedelta(seconds=0.2), stalled_after=timedelta(seconds=1.0))
    command = "echo began >> calls; while [ ! -e go ]; do sleep 0.1; done; echo over >> calls; echo well"
    async with (
        CutProxy(target_port=port) as proxy,
        relay(stage, temporal_host=lambda: proxy.address) as plane,
        running_engine(stage, tmp_path, url=plane.url, timing=timing) as rig,
    ):
        execution_id = await rig.execute(f"anew {id(rig)}\n{tool(command, '!say it ended')}")
        workspace = home(tmp_path).workspaces / execution_id
        await rig.until(lambda: (workspace / "calls").exists())
        await proxy.hang()
        await rig.until(lambda: rig.published(PollingStalled))
        await rig.until(lambda: not rig.snapshot.queues[0].polling)
        await proxy.cut()
        await proxy.restore()
        await rig.until(lambda: len(rig.published(PollingStarted)) == 2)
        (workspace / "go").touch()
        await rig.reach(execution_id, "waiting_for_input")
        [completed] = await rig.sent(execution_id, "tool_completed")
        assert (completed["data"]["status"], "well" in completed["data"]["tool_output"]) == ("success", True)
        assert (workspace / "calls").read_text().split() == ["began", "over"]


async def test_a_temporal_that_does_not_answer_is_said_until_it_does(stage: Stage, tmp_path: Path) -> None:
    """Long before polling counts as stalled: failed polls are counted by the SDK as well as those that wait."""
    port = int(stage.info.temporal_host.rpartition(":")[2])
    async with (
        CutProxy(target_port=port) as proxy,
        relay(stage, temporal_host=lambda: proxy.address) as plane,
        running_engine(stage, tmp_path, url=plane.url, timing=Timing(look_every=timedelta(seconds=0.2))) as rig,
    ):
        before = datetime.now(UTC)
        await proxy.refuse()
        await rig.until(lambda: summary(rig.snapshot).standing is Standing.NO_TEMPORAL)
        trouble = summary(rig.snapshot).trouble
        assert trouble is not None
        assert (trouble.what, trouble.sentence) == ("temporal_silent", "Temporal does not answer.")
        await rig.until(lambda: (now := rig.snapshot.queues[0].trouble) is not None and now.tries > 2)
        assert before < trouble.since == rig.snapshot.queues[0].trouble.since  # type: ignore[union-attr]
        await proxy.restore()
        await rig.until(lambda: summary(rig.snapshot).standing is Standing.IDLE)
        await works(rig, "answers")
        assert not rig.published(PollingStalled)


async def test_a_control_plane_that_goes_away_is_said_until_it_is_back(stage: Stage, tmp_path: Path) -> None:
    async with relay(stage) as plane, running_engine(stage, tmp_path, url=plane.url) as rig:
        beat = r"/workers/[^/]+/heartbeat"
        plane.on("POST", beat, Reply(status=503))
        rig.engine.reconnect("Now.")
        await rig.until(lambda: summary(rig.snapshot).standing is Standing.NO_CONTROL_PLANE)
        plane.on("POST", beat, Reply(status=200, body={}))
        rig.engine.reconnect("Now.")
        await rig.until(lambda: summary(rig.snapshot).standing is Standing.IDLE)


async def test_a_start_without_a_control_plane_says_so_and_when_it_is_tried_again(stage: Stage, tmp_path: Path) -> None:
    async with CutProxy(target_port=1) as proxy:
        await proxy.refuse()
        url = f"http://{proxy.address}"
        async with running_engine(stage, tmp_path, url=url, ready=False) as rig:
            await rig.until(lambda: summary(rig.snapshot).standing is Standing.NO_CONTROL_PLANE)
            assert rig.snapshot.state is EngineState.STARTING
            trouble = summary(rig.snapshot).trouble
            assert trouble is not None
            assert trouble.next_try_at is not None
            assert proxy.address in trouble.sentence
            await rig.engine.stop()


async def test_a_worker_looks_at_its_queues_for_as_long_as_it_runs(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause between the first looks doubles, and would leave what a time can be after 46 of them."""
    looks, look = 0, QueueServer.look

    async def counted(serving: QueueServer) -> None:
        nonlocal looks
        looks += 1
        await look(serving)

    monkeypatch.setattr(QueueServer, "look", counted)
    async with running_engine(stage, tmp_path, timing=Timing(look_every=timedelta(milliseconds=1))) as rig:
        await rig.until(lambda: looks > 100)
        assert readiness_of(rig) == "serving"
        await works(rig, "still served")


def readiness_of(rig: Rig) -> str:
    return readiness(rig.snapshot, clock=time.monotonic(), silent_seconds=0.0, patience=Patience())


async def test_a_key_that_temporal_refuses_is_renewed_and_said_meanwhile(stage: Stage, tmp_path: Path) -> None:
    """Within the minute for which the SDK bears a refusal: polling is not begun anew."""
    port = int(stage.info.temporal_host.rpartition(":")[2])
    timing = Timing(look_every=timedelta(seconds=0.1), refresh_rest=timedelta(seconds=0.1))
    async with (
        RefusingTemporal(PERMISSION_DENIED) as refusing,
        CutProxy(target_port=port) as proxy,
        relay(stage, temporal_host=lambda: proxy.address) as plane,
        running_engine(stage, tmp_path, url=plane.url, timing=timing) as rig,
    ):
        assert readiness_of(rig) == "serving"
        proxy.aim(refusing.port)
        await proxy.cut()
        await rig.until(lambda: readiness_of(rig) == "credentials")
        await rig.until(lambda: len(rig.published(QueueRegistered)) >= 2)
        proxy.aim(port)
        await proxy.cut()
        await works(rig, "taken again")
        await rig.until(lambda: readiness_of(rig) == "serving")
        assert len(rig.published(PollingStarted)) == 1


async def test_a_key_that_temporal_refuses_from_the_beginning_is_said(stage: Stage, tmp_path: Path) -> None:
    async with (
        RefusingTemporal(UNAUTHENTICATED) as refusing,
        relay(stage, temporal_host=f"127.0.0.1:{refusing.port}") as plane,
        running_engine(stage, tmp_path, url=plane.url, ready=False) as rig,
    ):
        await rig.until(lambda: rig.snapshot.queues[0].credentials_refused)
        assert "Key refused" in rig.snapshot.queues[0].reason
        assert [phrase.text for phrase in rig.snapshot.queues[0].said] == [
            "Temporal at {host} (namespace {namespace}, {manner}) cannot be reached: {why}.",
            "Trying again in {n} s.",
        ]


async def test_a_key_that_the_control_plane_refuses_is_said_until_it_takes_it_again(
    stage: Stage, tmp_path: Path
) -> None:
    async with relay(stage) as plane, running_engine(stage, tmp_path, url=plane.url) as rig:
        beat = r"/workers/[^/]+/heartbeat"
        plane.on("POST", beat, Reply(status=403, body={"detail": "no longer"}))
        rig.engine.reconnect("Now.")
        await rig.until(lambda: readiness_of(rig) == "credentials")
        plane.on("POST", beat, Reply(status=503))
        sent = len(plane.received("POST", beat))
        rig.engine.reconnect("Now.")
        await plane.wait_for(lambda: len(plane.received("POST", beat)) > sent)
        assert readiness_of(rig) == "credentials", "trouble says nothing about the key"
        plane.on("POST", beat, Reply(status=200, body={}))
        rig.engine.reconnect("Now.")
        await rig.until(lambda: readiness_of(rig) == "serving")


async def test_after_sleep_dead_connections_are_replaced_and_live_ones_kept(stage: Stage, tmp_path: Path) -> None:
    port = int(stage.info.temporal_host.rpartition(":")[2])
    async with (
        CutProxy(target_port=port) as proxy,
        relay(stage, temporal_host=lambda: proxy.address) as plane,
        running_engine(stage, tmp_path, url=plane.url) as rig,
    ):
        beats = len(plane.received("POST", "/workers/[^/]+/heartbeat"))
        rig.engine.reconnect("The network changed.")
        await plane.wait_for(lambda: len(plane.received("POST", "/workers/[^/]+/heartbeat")) > beats)
        await works(rig, "alive")
        assert len(rig.published(PollingStarted)) == 1
        await proxy.hang()
        rig.engine.reconnect("The machine woke from sleep.")
        await rig.until(lambda: rig.published(PollingStalled))
        await proxy.cut()
        await proxy.restore()
        await rig.until(lambda: len(rig.published(PollingStarted)) == 2)
        await works(rig, "awake")
        assert [event.reason for event in rig.published(WokeUp)] == [
            "The network changed.", "The machine woke from sleep.",
        ]  # fmt: skip


async def test_temporal_that_comes_later_is_waited_for(stage: Stage, tmp_path: Path) -> None:
    port = int(stage.info.temporal_host.rpartition(":")[2])
    async with CutProxy(target_port=port) as proxy:
        await proxy.refuse()
        async with (
            relay(stage, temporal_host=lambda: proxy.address) as plane,
            running_engine(stage, tmp_path, url=plane.url, ready=False) as rig,
        ):
            await rig.until(lambda: "cannot be reached" in rig.snapshot.queues[0].reason)
            assert rig.snapshot.state is EngineState.STARTING
            await plane.wait_for(lambda: plane.received("POST", "/workers/[^/]+/heartbeat"))
            await proxy.restore()
            await rig.until(lambda: rig.snapshot.state is EngineState.RUNNING)
            await works(rig, "late")


async def test_two_queues_share_one_connection(stage: Stage, tmp_path: Path) -> None:
    port = int(stage.info.temporal_host.rpartition(":")[2])
    queues = [await new_queue(stage), await new_queue(stage)]
    async with (
        CutProxy(target_port=port) as proxy,
        relay(stage, temporal_host=lambda: proxy.address) as plane,
        running_engine(stage, tmp_path, url=plane.url, queue_ids=queues) as rig,
    ):
        await works(rig, "shared")
        assert proxy.connections_made == 1


async def test_fail_fast_does_not_wait_for_temporal(stage: Stage, tmp_path: Path) -> None:
    async with CutProxy(target_port=1) as proxy:
        await proxy.refuse()
        async with (
            relay(stage, temporal_host=lambda: proxy.address) as plane,
            running_engine(stage, tmp_path, url=plane.url, ready=False, fail_fast=True) as rig,
        ):
            final = await rig.stopped()
    assert (final.state, final.exit_code) == (EngineState.FAILED, 6)
    assert "cannot be reached" in final.reason
    assert english(final.said) == english(final.queues[0].said) == final.reason
