"""Notices of three clouds, from a metadata service on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.engine import running_engine
from tests.support.executions import tool
from tests.support.playground import Stage
from worker_core.cli.notices import KEPT_FOR_LEAVING, noticing
from worker_core.errors import ExitCode
from worker_core.network.termination import Cloud, EndNotice, notice_of

OFTEN = timedelta(milliseconds=10)
LATER = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
AWS = "/latest/meta-data/spot/instance-action"
GOOGLE = "/computeMetadata/v1/instance/preempted"
AZURE = "/metadata/scheduledevents?api-version=2020-07-01"
AZURE_NAME = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"


class Metadata:
    """Answers what it was told to, by path: status and body. `asked` are paths with the header that each must have."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.token = "a token"
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                flavor = self.headers.get("Metadata-Flavor") or self.headers.get("Metadata") or ""
                service.asked.append((self.path, flavor))
                status, body = service.answers.get(self.path, (404, ""))
                token = self.headers.get("X-aws-ec2-metadata-token")
                if self.path.startswith("/latest/meta-data") and token != service.token:
                    status, body = 401, ""
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body.encode())

            def do_GET(self) -> None:
                self.answer()

            def do_PUT(self) -> None:
                service.answers["/latest/api/token"] = (200, service.token)
                self.answer()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(60):
            while len(self.asked) < times:
                await asyncio.sleep(0.01)


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    made = Metadata()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def seen(metadata: Metadata, cloud: Cloud, before: int, path: str, body: str) -> EndNotice:
    """What is noticed when an answer changes after so many questions."""
    waiting = asyncio.ensure_future(notice_of(cloud, service=metadata.url, every=OFTEN))
    await metadata.was_asked(before)
    assert not waiting.done()
    metadata.answers[path] = (200, body)
    async with asyncio.timeout(60):
        return await waiting


async def test_aws(metadata: Metadata) -> None:
    notice = await seen(metadata, "aws", 4, AWS, '{"action": "terminate", "time": "2031-05-06T07:08:09Z"}')
    assert notice == EndNotice(why="AWS takes this spot machine away (terminate)", at=LATER)


async def test_a_token_that_has_ended_is_asked_for_anew(metadata: Metadata) -> None:
    waiting = asyncio.ensure_future(notice_of("aws", service=metadata.url, every=OFTEN))
    await metadata.was_asked(3)
    metadata.token = "another"
    await metadata.was_asked(len(metadata.asked) + 4)
    metadata.answers[AWS] = (200, '{"action": "stop"}')
    async with asyncio.timeout(60):
        assert (await waiting).at is None


async def test_google(metadata: Metadata) -> None:
    metadata.answers[GOOGLE] = (200, "FALSE")
    notice = await seen(metadata, "gcp", 3, GOOGLE, "TRUE\n")
    assert notice.why == "Google Cloud takes this machine away"
    assert notice.at is not None
    assert {flavor for _, flavor in metadata.asked} == {"Google"}


async def test_azure_tells_of_others_too(metadata: Metadata) -> None:
    metadata.answers[AZURE_NAME] = (200, "mine")
    others = '{"Events": [{"EventType": "Preempt", "Resources": ["other"]}, {"EventType": "Freeze"}]}'
    metadata.answers[AZURE] = (200, others)
    mine = '{"EventType": "Preempt", "Resources": ["other", "mine"], "NotBefore": "Tue, 06 May 2031 07:08:09 GMT"}'
    notice = await seen(metadata, "azure", 4, AZURE, f'{{"Events": [{mine}]}}')
    assert notice == EndNotice(why="Azure ends this machine (Preempt)", at=LATER)
    assert {flavor for _, flavor in metadata.asked} == {"true"}


@pytest.mark.parametrize("body", ["", "[]", "{", "null", "[" * 10_000, "x" * 1_000_000], ids=range(6))
async def test_what_is_no_answer_is_no_notice(metadata: Metadata, body: str, caplog: pytest.LogCaptureFixture) -> None:
    metadata.answers[AWS] = (200, body)
    notice = await seen(metadata, "aws", 5, AWS, '{"action": "terminate", "time": "tomorrow"}')
    assert notice.at is None
    assert caplog.text.count("does not answer") == 1


async def test_nobody_there_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    waiting = asyncio.create_task(notice_of("gcp", service="http://127.0.0.1:9", every=OFTEN))
    async with asyncio.timeout(60):
        while "does not answer" not in caplog.text:
            await asyncio.sleep(0.01)
    await asyncio.wait([waiting], timeout=0.3)  # some questions more
    assert not waiting.done()
    waiting.cancel()
    assert caplog.text.count("The metadata service of gcp does not answer") == 1


async def test_the_drain_fits_into_what_is_left(stage: Stage, tmp_path: Path, metadata: Metadata) -> None:
    async with running_engine(stage, tmp_path) as rig:
        with noticing(rig.engine, "aws", drain_timeout=lambda: timedelta(minutes=5), service=metadata.url):
            await rig.execute("on a spot machine\n" + tool("sleep 1000"))
            await rig.until(lambda: rig.snapshot.executions)
            end = datetime.now(UTC) + KEPT_FOR_LEAVING + timedelta(seconds=1)
            metadata.answers[AWS] = (200, f'{{"action": "terminate", "time": "{end.isoformat()}"}}')
            final = await rig.stopped()
        assert final.exit_code == ExitCode.CANCELLED_WORK, final.reason
