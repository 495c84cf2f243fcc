"""An address for answers that is not as it should be, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.asking import asks, button, from_topic, question, rigged
from tests.support.http_server import Answer, Request, serving
from tests.support.processes import eventually
from tests.support.topics import Topics
from worker_core.errors import ConfigurationError
from worker_core.hooks import answer_stream, answering
from worker_core.network.backoff import Backoff
from worker_core.settings import load

pytestmark = pytest.mark.usefixtures("no_long_rests")

NOISE = [
    ("it answered 302", lambda _: Answer(status=302, headers={"Location": "http://127.0.0.1:1/"})),
    ("it answered 404", lambda _: Answer(status=404)),
    ("a line of more than", lambda _: Answer(parts=(b"x" * 20_000,))),
    ("is no answer", lambda _: Answer(parts=(b"<html>\n<body>\n",))),
    ("bytes", lambda _: Answer(parts=(b'{"event": "keepalive"}\n' * 1_000,) * 100)),
    ("DecodingError", lambda _: Answer(headers={"Content-Encoding": "gzip"}, parts=(b"x",))),
]


@pytest.mark.parametrize(("why", "answer"), NOISE, ids=[why for why, _ in NOISE])
async def test_it_is_left_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, why: str, answer: Callable[[Request], Answer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(answering, "Backoff", lambda: answering_backoff(timedelta(milliseconds=10)))
    with serving(answer) as bad:
        address = f"http://127.0.0.1:{bad.port}/path-that-is-a-secret/json"
        async with rigged(tmp_path, notify_command="true", notify_answers=address) as rig:
            asks(rig, question())
            await eventually(lambda: len(bad.requests) > 2)
            assert rig.answers == []
    assert caplog.text.count("Answers cannot be read") == 1
    assert why in caplog.text
    assert "path-that-is-a-secret" not in caplog.text


def answering_backoff(limit: timedelta) -> Any:
    return Backoff(first=limit, limit=limit)


async def test_a_slow_drip_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_stream, "LINE_LIMIT", timedelta(milliseconds=200))
    monkeypatch.setattr(answering, "Backoff", lambda: answering_backoff(timedelta(milliseconds=10)))
    over, gone = asyncio.Event(), asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not over.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        with pytest.raises(answer_stream.StreamFailed, match=r"no line came for 0\.2 s"):
            await anext(answer_stream.lines(address, since=timedelta(seconds=1), ca_file=None))
        over.set()
        await gone.wait()


async def test_thousands_of_answers_are_heard_without_a_word(
    tmp_path: Path, server: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        for number in range(3_000):
            server.publish("answers", json.dumps({"answer": "deny", "code": f"{number:032x}"}))
        asks(rig, question())
        server.publish("answers", (await button(server))["body"])
        await eventually(lambda: rig.answers)
    assert caplog.text.count("does not count") == 1


async def test_an_address_that_ends_is_asked_again(tmp_path: Path) -> None:
    """A plain file of lines will do, whose last one has no end."""
    replies: list[bytes] = []
    with serving(lambda request: Answer(parts=tuple(replies) if request.method == "GET" else ())) as plain:
        address = f"http://127.0.0.1:{plain.port}/answers?key=1"
        options = {"notify_webhook": f"http://127.0.0.1:{plain.port}/hook", "notify_answers": address}
        async with rigged(tmp_path, **options) as rig:
            asks(rig, question())
            await eventually(lambda: len([one for one in plain.requests if one.method == "GET"]) > 2)
            notice = next(json.loads(one.body) for one in plain.requests if one.method == "POST")
            replies.append(json.dumps({"answer": "deny", "code": notice["code"]}).encode())
            await eventually(lambda: rig.answers)
        assert {one.path.partition("=6")[0] for one in plain.requests if one.method == "GET"} == {
            "/answers?key=1&since"
        }


def test_since_is_asked_for_unless_the_address_does() -> None:
    ask = answer_stream.with_since
    assert ask("https://x.example/a/json", timedelta(seconds=90)) == "https://x.example/a/json?since=90s"
    assert ask("https://x.example/a?auth=1", timedelta(minutes=1)) == "https://x.example/a?auth=1&since=60s"
    assert ask("https://x.example/a?since=all", timedelta(minutes=1)) == "https://x.example/a?since=all"


@pytest.mark.parametrize("text", ["http://example.com/x", "commands", "https://user:pass@example.com"])
def test_where_anybody_could_answer_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"it must begin with https|it holds a user name"):
        load(environ={}, flags={"notify_answers": text})
    assert load(environ={}, flags={"notify_answers": "Command"}).notify_answers == "command"
