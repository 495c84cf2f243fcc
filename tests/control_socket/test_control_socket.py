"""The control socket with a real engine behind it, real sockets and real files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.engine import LIMIT_SECONDS, make_engine
from worker_core.basics.sentences import Phrase, Worded, english, told, worded
from worker_core.control_plane.relay import RelayedCall
from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.client import (
    News,
    RunningWorker,
    Watch,
    WorkerSilent,
    running_workers,
)
from worker_core.control_socket.endpoint import Endpoint, Transport, found
from worker_core.control_socket.server import CONNECTION_LIMIT, ControlSocket
from worker_core.control_socket.visitor import REQUEST_LIMIT_BYTES
from worker_core.engine.engine import Engine
from worker_core.errors import KubiyaError
from worker_core.events import EngineStateChanged, WokeUp
from worker_core.logs.ring import LogLine, LogRing, now
from worker_core.snapshot import EngineSnapshot, EngineState

TRANSPORTS: list[Transport] = ["tcp"] if sys.platform == "win32" else ["unix", "tcp"]
QUEUE = "01234567-89ab-4def-8123-456789abcdef"


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    chosen: Transport = request.param
    return chosen


@asynccontextmanager
async def serving(
    folder: Path, transport: Transport = TRANSPORTS[0], *, runtime: Path | None = None
) -> AsyncIterator[tuple[Engine, LogRing, Path]]:
    """An engine that starts for ever (nothing listens where its control plane would be), and its socket."""
    engine = make_engine(url="http://127.0.0.1:1", key="key-0123456789", queue_ids=[QUEUE], folder=folder)
    ring, runtime = LogRing(), runtime or folder / "run"
    control = ControlSocket(engine=engine, log_ring=ring, folder=runtime, name="rack-7", transport=transport)
    await engine.start()
    control.open()
    try:
        yield engine, ring, runtime
    finally:
        await engine.stop()
        async with asyncio.timeout(LIMIT_SECONDS):
            await engine.wait_stopped()
        control.close()


def the_worker(runtime: Path) -> RunningWorker:
    [one] = running_workers(runtime)
    return one


def line(message: str) -> LogLine:
    return LogLine(at=now(), level="INFO", logger="test", message=message)


async def raw(endpoint: Endpoint, content: bytes, *, end: bool = True) -> dict[str, Any]:
    """What the socket answers to bytes of any kind."""

    def ask() -> dict[str, Any]:
        with endpoint.connect(limit_seconds=LIMIT_SECONDS) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough, and answered
                connection.sendall(content)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline())
                return answer

    return await asyncio.to_thread(ask)


async def test_status_pause_and_resume(tmp_path: Path, transport: Transport) -> None:
    async with serving(tmp_path, transport) as (engine, _, runtime):
        worker = await asyncio.to_thread(the_worker, runtime)
        assert worker.pid == os.getpid()
        seen = await asyncio.to_thread(worker.status)
        assert isinstance(seen, EngineSnapshot)
        assert (seen.state, seen.queues[0].queue_id) == (EngineState.STARTING, QUEUE)
        paused = await asyncio.to_thread(lambda: worker.pause(reason="On battery."))
        assert (paused.state, paused.reason) == (EngineState.PAUSED, "On battery.")
        assert engine.snapshot.state is EngineState.PAUSED
        assert (await asyncio.to_thread(worker.resume)).state is EngineState.STARTING


async def test_what_sentences_are_made_of_comes_with_them(tmp_path: Path, transport: Transport) -> None:
    """A window says them in its language: those of the engine and of its queues, as they are and as they happen."""
    async with serving(tmp_path, transport) as (engine, _, runtime):
        worker = await asyncio.to_thread(the_worker, runtime)
        watch = await asyncio.to_thread(worker.watch)
        told = iter(watch)
        try:
            news = await asyncio.to_thread(next, told)
            while (trouble := news.snapshot.queues[0].trouble) is None:
                news = await asyncio.to_thread(next, told)
            assert english(trouble.said) == trouble.sentence
            assert trouble.said[0].text == "The {called} {server} refused the connection: nothing listens there."
            assert trouble.said[0].values == {"called": (Phrase("control plane"),), "server": "127.0.0.1:1"}
            engine.reconnect(worded("The network changed."))
            await engine.pause()
            events = list(news.events)
            while not any(isinstance(one, EngineStateChanged) for one in events):
                news = await asyncio.to_thread(next, told)
                events += news.events
            assert (news.snapshot.reason, news.snapshot.said) == (
                "Paused by the user.",
                (Phrase("Paused by the user."),),
            )
            assert [one.said for one in events if isinstance(one, EngineStateChanged)] == [news.snapshot.said]
            assert [one.reason for one in events if isinstance(one, WokeUp)] == ["The network changed."]
        finally:
            await asyncio.to_thread(watch.close)


async def test_a_window_s_reason_for_a_pause_is_english_and_can_be_translated(tmp_path: Path) -> None:
    reason = worded("Paused by you until {time}.", time=worded("tomorrow {time}", time="08:00"))
    async with serving(tmp_path) as (engine, _, runtime):
        worker = await asyncio.to_thread(the_worker, runtime)
        paused = await asyncio.to_thread(lambda: worker.pause(reason=reason))
        assert paused.reason == engine.snapshot.reason == "Paused by you until tomorrow 08:00."
        assert paused.said == reason.said
        for said in ([{"text": "Something else."}], "no list", [{"values": 3}]):
            await asyncio.to_thread(worker.resume)
            [endpoint] = found(runtime)
            ask = {"verb": "pause", "reason": "Lunch.", "said": said, "token": endpoint.token}
            answer = await raw(endpoint, json.dumps(ask).encode() + b"\n")
            assert answer["snapshot"]["reason"] == "Lunch."
            assert answer["snapshot"]["said"] == []


async def test_whether_the_loop_turns(tmp_path: Path, transport: Transport) -> None:
    async with serving(tmp_path, transport) as (_, _, runtime):
        [endpoint] = found(runtime)
        assert endpoint.name == "rack-7"
        ask = json.dumps({"verb": "pulse", "token": endpoint.token}).encode() + b"\n"
        assert (await raw(endpoint, ask))["silent_seconds"] == 0

        def asked_twice_meanwhile() -> list[float]:
            with ThreadPoolExecutor() as pool:  # the loop waits for it, and does not turn
                return [pool.submit(asyncio.run, raw(endpoint, ask)).result()["silent_seconds"] for _ in "12"]

        first, second = asked_twice_meanwhile()
        assert second > first == 0
        await asyncio.sleep(0)
        assert (await raw(endpoint, ask))["silent_seconds"] == 0


async def test_stop_waits_and_tells_how_it_ended(tmp_path: Path, transport: Transport) -> None:
    engine = make_engine(url="http://127.0.0.1:1", key="key-0123456789", queue_ids=[QUEUE], folder=tmp_path)
    control = ControlSocket(engine=engine, log_ring=LogRing(), folder=tmp_path / "run", transport=transport)
    await engine.start()
    control.open()
    seen: list[EngineSnapshot] = []
    [endpoint] = found(tmp_path / "run")

    def stop() -> None:
        # Not RunningWorker.stop: that waits for this very process to end.
        with endpoint.connect(limit_seconds=LIMIT_SECONDS) as connection:
            ask = {"verb": "stop", "mode": "drain", "wait": True, "token": endpoint.token}
            connection.sendall(json.dumps(ask).encode() + b"\n")
            with connection.makefile("rb") as answers:
                seen.extend(msgspec.convert(json.loads(answer)["snapshot"], EngineSnapshot) for answer in answers)

    stopping = asyncio.create_task(asyncio.to_thread(stop))
    async with asyncio.timeout(LIMIT_SECONDS):
        await engine.wait_stopped()
        control.close()
        await stopping
    assert (seen[-1].state, seen[-1].exit_code) == (EngineState.STOPPED, 0)
    assert running_workers(tmp_path / "run") == []


async def test_logs_follow_until_the_worker_ends(tmp_path: Path, transport: Transport) -> None:
    seen: list[str] = []
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()
    async with serving(tmp_path, transport) as (_, ring, runtime):
        for number in range(500):
            ring.append(line(f"old {number}"))
        worker = await asyncio.to_thread(the_worker, runtime)

        def read() -> None:
            for answer in worker.logs(last=3, follow=True):
                seen.extend(one["message"] for one in answer["lines"])
                loop.call_soon_threadsafe(arrived.set)

        reading = asyncio.create_task(asyncio.to_thread(read))
        async with asyncio.timeout(LIMIT_SECONDS):
            await arrived.wait()
            for number in range(3):
                arrived.clear()
                ring.append(line(f"new {number}"))
                await arrived.wait()
    async with asyncio.timeout(LIMIT_SECONDS):
        await reading
    assert seen == ["old 497", "old 498", "old 499", "new 0", "new 1", "new 2"]


async def test_logs_come_whole_in_several_answers(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, ring, runtime):
        for number in range(1000):
            ring.append(line(f"line {number}"))
        worker = await asyncio.to_thread(the_worker, runtime)
        answers = await asyncio.to_thread(lambda: list(worker.logs(last=900, follow=False)))
    messages = [one["message"] for answer in answers for one in answer["lines"]]
    assert messages == [f"line {number}" for number in range(100, 1000)]
    assert len(answers) > 1


async def test_whoever_leaves_makes_room(tmp_path: Path, transport: Transport) -> None:
    async with serving(tmp_path, transport) as (_, __, runtime):
        [endpoint] = found(runtime)
        ask = json.dumps({"verb": "logs", "follow": True, "token": endpoint.token}).encode() + b"\n"

        def crowd() -> None:
            guests = []
            for _ in range(CONNECTION_LIMIT):
                guest = endpoint.connect(limit_seconds=LIMIT_SECONDS)
                guests.append(guest)
                guest.sendall(ask)
                assert guest.recv(1)
            for _ in range(20):  # over TCP, an answer to a request that nobody read is lost to the reset
                with pytest.raises(KubiyaError, match="as many others as it can"):
                    the_worker(runtime).status()
            for guest in guests:
                guest.close()

        await asyncio.to_thread(crowd)
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                try:
                    await asyncio.to_thread(lambda: the_worker(runtime).status())
                    break
                except KubiyaError:
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"garbage\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[" * 5000 + b"\n", "not JSON"),
        (b"[1]\n", "no JSON object"),
        (b'{"verb": "status"', "not complete"),
        (b"", "not complete"),
        (b"x" * (REQUEST_LIMIT_BYTES + 1), "too long"),
        (b"x" * REQUEST_LIMIT_BYTES * 2, "too long"),
        (b'{"verb": "ask_control_plane"}\n', "no call"),
        (b'{"verb": "ask_control_plane", "call": {"method": "GET", "path": 7}}\n', "no call"),
        (b'{"verb": "ask_control_plane", "call": {"method": "GET", "path": "/keys"}}\n', "does not make this call"),
        (b'{"verb": "explode"}\n', "no verb 'explode'"),
        (b"{}\n", "no verb 'None'"),
        (b'{"verb": "stop", "mode": "gently"}\n', "drain, cancel or now"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="without a token, Windows says no more than that it is wrong")
async def test_nonsense_is_refused_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    async with serving(tmp_path, "unix") as (engine, _, runtime):
        [endpoint] = found(runtime)
        answer = await raw(endpoint, content)
        assert answer["ok"] is False
        assert said in answer["error"]
        assert (await raw(endpoint, b'{"verb": "status"}\n'))["ok"] is True
        assert engine.snapshot.state is EngineState.STARTING


async def test_a_control_plane_that_cannot_be_reached_is_said(tmp_path: Path, transport: Transport) -> None:
    async with serving(tmp_path, transport) as (_, _, runtime):
        call = RelayedCall(method="GET", path="/agents")
        with pytest.raises(KubiyaError, match=r"127\.0\.0\.1:1"):
            await asyncio.to_thread(the_worker(runtime).ask_control_plane, call)


async def test_a_refusal_says_what_it_is_made_of_to_windows_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, _, runtime):
        [endpoint] = found(runtime)
        call = {"method": "GET", "path": "/keys"}
        ask = {"verb": "ask_control_plane", "call": call, "token": endpoint.token}
        answer = await raw(endpoint, json.dumps(ask).encode() + b"\n")
        text = "This worker does not make this call for others."
        assert answer == {"ok": False, "error": text, "said": [{"text": text, "values": {}}]}
        with pytest.raises(KubiyaError) as refused:
            await asyncio.to_thread(the_worker(runtime).ask_control_plane, RelayedCall(method="GET", path="/keys"))
        assert refused.value.sentence == text
        assert isinstance(refused.value.fact, Worded)


def test_what_an_answer_says_its_sentence_is_made_of_counts_where_it_makes_that_sentence() -> None:
    made = worded("{n} of it.", n=2)
    assert told("2 of it.", [{"text": "{n} of it.", "values": {"n": 2}}]) == made
    assert isinstance(told("2 of it.", [{"text": "{n} of it.", "values": {"n": 2}}]), Worded)
    for said in (None, [], "no list", [{"text": "Something else."}], [{"values": 3}], {"text": "2 of it."}):
        assert not isinstance(told("2 of it.", said), Worded)


async def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, "tcp") as (engine, _, runtime):
        [endpoint] = found(runtime)
        assert endpoint.token
        assert endpoint.token not in repr(endpoint)
        for token in ({"token": "wrong"}, {"token": None}, {"token": "é"}, {}):
            answer = await raw(endpoint, json.dumps({"verb": "stop", "mode": "now", **token}).encode() + b"\n")
            assert answer == {"ok": False, "error": "The token is wrong."}
        assert engine.snapshot.state is EngineState.STARTING


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes; the folder is in the user's profile")
async def test_others_cannot_reach_it(short: Path, transport: Transport) -> None:
    (short / "run").mkdir(mode=0o755)
    async with serving(short, transport) as (_, __, runtime):
        assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
        files = list(runtime.iterdir())
        assert len(files) == (2 if transport == "unix" else 1)
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert list(runtime.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' Python has no Unix sockets")
async def test_a_long_folder_name_is_gone_around(tmp_path: Path) -> None:
    runtime = tmp_path / ("x" * 90) / "run"
    async with serving(tmp_path, "unix", runtime=runtime):
        [endpoint] = found(runtime)
        assert len(os.fsencode(endpoint.path)) <= endpoints.SOCKET_PATH_LIMIT_BYTES
        assert stat.S_IMODE(Path(endpoint.path).parent.stat().st_mode) == 0o700
        status = await asyncio.to_thread(lambda: the_worker(runtime).status())
        assert status.state is EngineState.STARTING
    assert not Path(endpoint.path).parent.exists()


async def test_a_worker_that_does_not_answer_is_called_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, __, runtime):
        [endpoint] = found(runtime)
    with pytest.raises(WorkerSilent, match="does not answer"):
        await asyncio.to_thread(RunningWorker(endpoint).status)


async def test_an_unusable_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engine = make_engine(url="http://127.0.0.1:1", key="key-0123456789", queue_ids=[QUEUE], folder=tmp_path)
    control = ControlSocket(engine=engine, log_ring=LogRing(), folder=tmp_path / "file" / "run")
    with pytest.raises((NotADirectoryError, FileExistsError, FileNotFoundError)):
        control.open()
    control.close()
    await engine.stop()


async def test_it_logs_nothing_when_guests_come_and_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as (_, __, runtime):
        [endpoint] = found(runtime)

        def knock() -> None:
            for _ in range(3):
                endpoint.connect(limit_seconds=LIMIT_SECONDS).close()

        await asyncio.to_thread(knock)
        await asyncio.to_thread(lambda: the_worker(runtime).status())
    noise = [record for record in caplog.records if "control_socket" in record.name and record.levelno > logging.INFO]
    assert noise == []


async def test_a_watcher_is_told_of_every_change_until_the_end(tmp_path: Path, transport: Transport) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[News | None] = asyncio.Queue()

    def look(watch: Watch) -> None:
        for news in watch:
            loop.call_soon_threadsafe(told.put_nowait, news)
        loop.call_soon_threadsafe(told.put_nowait, None)

    async def next_one() -> News | None:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await told.get()

    async with serving(tmp_path, transport) as (engine, _, runtime):
        watching = asyncio.create_task(asyncio.to_thread(look, await asyncio.to_thread(the_worker(runtime).watch)))
        first = await next_one()
        assert first is not None
        assert first.snapshot.state is EngineState.STARTING
        await engine.pause("For a test.")
        changes: list[EngineStateChanged] = []
        news: News | None = first
        while not changes:
            news = await next_one()
            assert news is not None
            changes = [event for event in news.events if isinstance(event, EngineStateChanged)]
        assert (changes[0].after, changes[0].reason) == (EngineState.PAUSED, "For a test.")
        assert news is not None
        assert (news.snapshot.reason, news.dropped) == ("For a test.", 0)
    last = news
    while (news := await next_one()) is not None:
        last = news
    assert last.snapshot.state is EngineState.STOPPED
    await watching


async def test_a_watch_can_be_closed_from_outside(tmp_path: Path, transport: Transport) -> None:
    async with serving(tmp_path, transport) as (_, _, runtime):
        watch = await asyncio.to_thread(the_worker(runtime).watch)
        looking = asyncio.create_task(asyncio.to_thread(list, watch))
        watch.close()
        async with asyncio.timeout(LIMIT_SECONDS):
            assert len(await looking) <= 1
