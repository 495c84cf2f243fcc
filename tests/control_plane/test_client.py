"""The client on real sockets: every answer and non-answer becomes a typed error with one sentence, without the key."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_control_plane import API_KEY, FakeControlPlane, Reply
from tests.support.temporal import free_port
from worker_core.control_plane import errors, models
from worker_core.control_plane.caller import Caller
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.network import http
from worker_core.network.sse import SseParser
from worker_core.secrets import Secret

EXECUTION = "/executions/e1"


ANSWERS: list[tuple[Reply, type[errors.ControlPlaneError], bool, str]] = [
    (Reply(status=400, body={"detail": "no such thing"}), errors.Rejected, False, "no such thing"),
    (Reply(status=401, body={"detail": {"error": "U", "message": "expired", "hint": "h"}}), errors.CredentialsRefused,
     False, "login"),
    (Reply(status=403, body={"detail": "not yours"}), errors.CredentialsRefused, False, ""),
    (Reply(status=404, body={"detail": "Execution not found"}), errors.NotFound, False, "e1"),
    (Reply(status=409, body={"detail": "conflict"}), errors.Rejected, False, "conflict"),
    (Reply(status=410, body={"detail": "gone"}), errors.Rejected, False, "gone"),
    (Reply(status=422, body={"detail": [{"loc": ["body", "x"], "msg": "wrong type", "type": "t"}]}), errors.Rejected,
     False, "wrong type"),
    (Reply(status=429, headers={"Retry-After": "7"}), errors.RateLimited, True, ""),
    (Reply(status=500, body=b"Internal Server Error"), errors.ServerTrouble, True, "500"),
    (Reply(status=502, body=b"<html><title>Bad</title></html>"), errors.ServerTrouble, True, "502"),
    (Reply(status=302, headers={"Location": "https://elsewhere.test/x"}), errors.ServerTrouble, True, ""),
    (Reply(status=200, body=b"{not json"), errors.ServerTrouble, True, "JSON"),
    (Reply(status=200, body=b""), errors.ServerTrouble, True, ""),
    (Reply(status=200, body=[1, 2]), errors.ServerTrouble, True, ""),
    (Reply(status=200, body={"status": "running"}), errors.ServerTrouble, True, ""),
    (Reply(behaviour="garbage"), errors.ControlPlaneError, True, ""),
    (Reply(behaviour="half_close"), errors.ControlPlaneError, True, ""),
    (Reply(behaviour="reset"), errors.Unreachable, True, ""),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "retryable", "word"), ANSWERS, ids=lambda value: str(value)[:40])
async def test_every_answer_is_a_typed_sentence(
    plane: FakeControlPlane,
    client: ControlPlaneClient,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
    kind: type[errors.ControlPlaneError],
    retryable: bool,
    word: str,
) -> None:
    plane.on("GET", EXECUTION, reply)
    with caplog.at_level(logging.DEBUG), pytest.raises(kind) as caught:
        await client.get_execution("e1")
    error = caught.value
    assert error.retryable is retryable
    assert error.sentence.endswith(".")
    assert "\n" not in error.sentence
    assert word in error.sentence
    assert API_KEY not in caplog.text + repr(error) + error.sentence + repr(client)
    if isinstance(error, errors.RateLimited):
        assert error.retry_after_seconds == 7


async def test_a_server_that_echoes_the_key_is_not_quoted(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    plane.on("GET", EXECUTION, Reply(status=400, body={"detail": f"bad header Bearer {API_KEY}"}))
    with pytest.raises(errors.Rejected) as caught:
        await client.get_execution("e1")
    assert API_KEY not in caught.value.sentence


async def test_nobody_there_and_nobody_answering(monkeypatch: pytest.MonkeyPatch, plane: FakeControlPlane) -> None:
    nobody = ControlPlaneClient(base_url=f"http://127.0.0.1:{free_port()}", api_key=Secret(API_KEY))
    with pytest.raises(errors.Unreachable, match="refused"):
        await nobody.get_execution("e1")
    await nobody.aclose()
    plane.on("GET", "/worker-queues", Reply(behaviour="hang"))
    silent = Caller(base_url=plane.url, api_key=Secret(API_KEY))
    with pytest.raises(errors.Unreachable):
        await silent.call("GET", "/worker-queues", "the list", limit_seconds=0.2)
    await silent.aclose()
    assert http.TOTAL_LIMIT_SECONDS <= 60


@pytest.mark.parametrize("key", ["", "with space", "ümlaut", "line\nbreak"])
async def test_a_key_that_cannot_be_one_is_never_sent(plane: FakeControlPlane, key: str) -> None:
    client = ControlPlaneClient(base_url=plane.url, api_key=Secret(key))
    with pytest.raises(errors.CredentialsRefused, match="kubiya-worker login"):
        await client.get_execution("e1")
    await client.aclose()
    assert not plane.requests


async def test_success_in_the_status_is_not_believed(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    refusal = {"success": False, "error": "no database"}
    plane.on("POST", f"{EXECUTION}/session", Reply(status=201, body=refusal))
    plane.on("POST", f"{EXECUTION}/events", Reply(status=202, body=refusal))
    with pytest.raises(errors.ServerTrouble, match="no database"):
        await client.save_session("e1", messages=[])
    with pytest.raises(errors.ServerTrouble, match="no database"):
        await client.publish_event("e1", models.ExecutionEvent(event_type="x", data={}))


async def test_what_the_server_uses_for_nothing_is_empty(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    for status in (404, 500):
        plane.on("GET", "/execution-environment/.*", Reply(status=status, body=b"none"))
        plane.on("GET", "/skills/.*", Reply(status=status, body=b"none"))
        assert (await client.resolved_environment("agents", "a")).env_vars == {}
        assert await client.resolved_skills("agents", "a") == []
    assert await client.load_session("unknown") is None


async def test_nulls_and_wrong_types_do_not_matter_where_there_are_defaults(
    plane: FakeControlPlane, client: ControlPlaneClient
) -> None:
    plane.on("GET", EXECUTION, Reply(body={"id": "e1", "status": None, "usage": 7, "execution_metadata": None}))
    record = await client.get_execution("e1")
    assert (record.status, record.usage, record.execution_metadata) == ("", {}, {})
    plane.on("GET", "/execution-environment/.*", Reply(body={"env_vars": {"N": 1, "B": True, "S": "s", "X": None}}))
    environment = await client.resolved_environment("agents", "a")
    assert environment.env_vars == {"N": "1", "B": "true", "S": "s"}
    assert "s" not in repr(environment).replace("env_vars", "").replace("mcp_servers", "").replace("ResolvedE", "")


async def test_ids_are_path_segments(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    await client.patch_execution("../e 1", models.ExecutionPatch(status="running"))
    [patch] = plane.received("PATCH", ".*")
    assert patch.segments == ("executions", "../e 1")
    assert patch.json() == {"status": "running"}


async def test_the_clock_is_compared_with_the_servers(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    assert client.clock_skew is None
    plane.date = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    await client.get_execution("e1")
    assert client.clock_skew is not None
    assert abs(client.clock_skew + timedelta(hours=1)) < timedelta(seconds=10)


@pytest.mark.parametrize("days", [1, -1, -20_000])
async def test_a_clock_that_is_set_does_not_move_the_servers(plane: FakeControlPlane, days: int) -> None:
    wall, passed = [time.time()], [0.0]
    client = ControlPlaneClient(
        base_url=plane.url, api_key=Secret(API_KEY), now=lambda: wall[0], steady=lambda: passed[0]
    )  # fmt: skip
    try:
        said = datetime.now(UTC).replace(microsecond=0)
        plane.date = format_datetime(said, usegmt=True)
        await client.get_execution("e1")
        wall[0] += timedelta(days=days).total_seconds()
        passed[0] += 60.0  # asleep, as like as not
        assert client.server_time == said + timedelta(seconds=60.5)
        assert client.on_its_clock(datetime.fromtimestamp(wall[0], UTC)) == client.server_time
        assert client.clock_skew is not None
        assert abs(client.clock_skew + timedelta(days=days) - timedelta(seconds=60)) < timedelta(seconds=10)
    finally:
        await client.aclose()


async def test_connections_are_kept_and_can_be_made_anew(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    for _ in range(5):
        await client.get_execution("e1")
    assert plane.connections_made == 1
    client.reset_connections()
    await client.get_execution("e1")
    assert plane.connections_made == 2


async def test_proxies_come_from_the_environment_but_not_for_loopback(
    plane: FakeControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    here = ControlPlaneClient(base_url=plane.url, api_key=Secret(API_KEY))
    assert (await here.get_execution("e1")).id == "e1"
    await here.aclose()
    far = ControlPlaneClient(base_url="http://control-plane.example.test", api_key=Secret(API_KEY), allow_http=True)
    with pytest.raises(errors.Unreachable):
        await far.get_execution("e1")
    await far.aclose()


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@given(
    events=st.lists(
        st.tuples(
            st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs", "Cc"]))
        ),
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_a_stream_reads_the_same_however_it_is_cut(
    events: list[tuple[str, str]], cuts: list[int], newline: str
) -> None:
    lines = [
        f"id: {number}{newline}event: {name}{newline}data: {text}{newline}: comment{newline}{newline}"
        for number, (name, text) in enumerate(events)
    ]
    whole = "".join(lines).encode()
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    parser = SseParser()
    found: list[Any] = []
    for start, end in itertools.pairwise(places):
        found.extend(parser.feed(whole[start:end]))
    assert [(event.event, event.id) for event in found] == [(name, str(n)) for n, (name, _) in enumerate(events)]
