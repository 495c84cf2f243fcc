"""What viewers hear of a long call while it runs: whole lines alone, masked, and nothing twice."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest

from tests.tools.conftest import Call
from worker_core.sandbox.processes.output import OutputKeeper
from worker_core.tools import report
from worker_core.tools.shell import ShellTool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are POSIX")


def kept(*pieces: bytes, limit_bytes: int = 1000) -> bytes:
    keeper = OutputKeeper(limit_bytes=limit_bytes, whole_limit_bytes=10_000)
    for piece in pieces:
        keeper.feed(piece)
    try:
        return keeper.latest_line()
    finally:
        keeper.close()


def test_the_last_whole_line() -> None:
    assert kept() == kept(b"not yet who") == b""
    assert kept(b"one\ntwo\n", b"thr") == b"two"
    assert kept(b"one\n\n  \n") == b"one"
    assert kept(b"10 %\r20 %\r30") == b"20 %", "a progress bar"
    assert kept(b"x" * 5000 + b"\nlast\nbeg", limit_bytes=100) == b"last"
    assert kept(b"a\n" + b"x" * 5000 + b"\n", limit_bytes=100) == b"", (
        "its beginning is not kept: it may be half a secret"
    )


async def test_viewers_hear_of_a_long_call(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PROGRESS_EVERY", timedelta(seconds=0.02))
    said: list[str] = []
    heard = asyncio.Event()

    def hear(line: str) -> None:
        said.append(line)
        if "second" in line:
            heard.set()

    script = (
        "echo first SECRET; until [ -e on ]; do sleep 0.05; done; echo second; until [ -e over ]; do sleep 0.05; done"
    )
    running = asyncio.create_task(
        call(ShellTool(), {"command": script}, say_progress=hear, mask=lambda text: text.replace("SECRET", "***"))
    )
    while not said:
        await asyncio.sleep(0.01)
    await call(ShellTool(), {"command": "touch on"})
    await heard.wait()
    await call(ShellTool(), {"command": "touch over"})
    assert (await running).succeeded
    assert said == ["first ***", "second"]
    told = len(said)
    await asyncio.sleep(0.1)
    assert len(said) == told
