"""What a worker asks for a program without a key: what a window needs, nothing else, and never with the key in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_control_plane import API_KEY, FakeControlPlane, Reply
from worker_core.basics.sentences import Worded
from worker_core.control_plane import errors
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.connections import HttpAnswer
from worker_core.control_plane.relay import LIMIT_SECONDS, RelayedCall
from worker_core.errors import KubiyaError
from worker_core.secrets import Secret


@pytest.fixture
async def window(client: ControlPlaneClient) -> AsyncIterator[ControlPlaneClient]:
    made = ControlPlaneClient.by_way_of(client.pass_on, base_url=client.base_url)
    yield made
    await made.aclose()


def written_down() -> tuple[ControlPlaneClient, list[tuple[str, float]]]:
    """A worker's client, and which paths it asks for, and for how long."""
    calls: list[tuple[str, float]] = []

    class Asked:
        async def send(self, _method: str, path: str, *_: object, limit_seconds: float, **_how: object) -> HttpAnswer:
            calls.append((path, limit_seconds))
            return HttpAnswer(status=200, headers={}, content=b"{}")

        def hide(self, content: bytes) -> bytes:
            return content

    worker = ControlPlaneClient(base_url="https://plane.example", api_key=Secret(API_KEY))
    worker._caller = Asked()  # type: ignore[assignment]
    return worker, calls


async def test_the_worker_asks_with_its_key(plane: FakeControlPlane, window: ControlPlaneClient) -> None:
    plane.on("POST", "/executions/e1/message", lambda _: Reply(body={"success": True}))
    await window.send_message("e1", "go on äöü")
    [request] = [one for one in plane.requests if one.path.endswith("/message")]
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.json() == {"message": "go on äöü", "role": "user"}
    plane.on("GET", "/worker-queues/q1/executions", lambda _: Reply(body={"executions": []}))
    assert await window.queue_executions("q1", limit=7) == []
    assert plane.requests[-1].query == {"limit": "7", "status": "all"}
    assert window.clock_skew is not None


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(status=404, body={"detail": "Execution not found"}), errors.NotFound, "e1"),
        (Reply(status=429, headers={"Retry-After": "7"}), errors.RateLimited, "429|later|too many|often"),
        (Reply(status=302, headers={"Location": "https://elsewhere.test/x"}), errors.ServerTrouble, "elsewhere"),
        (Reply(behaviour="garbage"), errors.Unreachable, "Your worker"),
        (Reply(behaviour="reset"), errors.Unreachable, "Your worker"),
    ],
)
async def test_refusals_and_silence_mean_what_they_mean_to_the_worker(
    plane: FakeControlPlane, window: ControlPlaneClient, reply: Reply, kind: type[KubiyaError], said: str
) -> None:
    plane.on("GET", "/executions/e1", lambda _: reply)
    with pytest.raises(kind, match=said) as refused:
        await window.get_execution("e1")
    assert isinstance(refused.value.fact, Worded), "a window says it in its language"


async def test_no_answer_holds_the_key(plane: FakeControlPlane, client: ControlPlaneClient) -> None:
    plane.on("GET", "/agents", lambda _: Reply(status=400, body={"detail": f"no: Bearer {API_KEY}, {API_KEY}"}))
    answer = await client.pass_on(RelayedCall(method="GET", path="/agents"))
    assert API_KEY.encode() not in answer.content
    assert b"no: Bearer ****, ****" in answer.content
    assert "set-cookie" not in answer.headers


REFUSED = [
    ("GET", ""),
    ("GET", "agents"),
    ("GET", "/"),
    ("GET", "/agents/"),
    ("GET", "/agents/a1"),
    ("GET", "//agents"),
    ("GET", "/agents?x=1"),
    ("GET", "/agents#x"),
    ("GET", "/agents\r\n"),
    ("GET", "/executions/../agents"),
    ("GET", "/executions/%2e%2e/session"),
    ("GET", "/executions/.."),
    ("GET", "/executions/a/b/session"),
    ("GET", "/worker-queues/q1"),
    ("GET", "/auth/validate"),
    ("get", "/agents"),
    ("DELETE", "/worker-queues/q1"),
    ("POST", "/worker-queues/q1/start"),
    ("POST", "/executions/e1/events"),
    ("POST", "/executions/e1/session"),
    ("PATCH", "/executions/e1"),
    ("POST", "/enforcer/enforce"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED)
async def test_what_a_window_has_no_need_of_is_not_asked(
    plane: FakeControlPlane, client: ControlPlaneClient, method: str, path: str
) -> None:
    with pytest.raises(errors.Rejected, match="does not make this call"):
        await client.pass_on(RelayedCall(method=method, path=path))
    assert plane.requests == []


@given(st.text(alphabet="./%2eE\\@:?# \r\n\t0aé", max_size=12))
async def test_no_id_leads_elsewhere(text: str) -> None:
    worker, calls = written_down()
    try:
        await worker.pass_on(RelayedCall(method="GET", path=f"/executions/{text}"))
    except errors.Rejected:
        assert calls == []
    else:
        [(path, _)] = calls
        parts = path.split("/")
        assert (parts[0], parts[1], len(parts)) in {("", "executions", 3), ("", "executions", 4)}
        assert not any(part.startswith(".") or set(part) & set("%\\@:?# \r\n\t") for part in parts)


@pytest.mark.parametrize("asked", [1.0, LIMIT_SECONDS, 2 * LIMIT_SECONDS])
async def test_nothing_waits_for_longer_than_it_may(asked: float) -> None:
    worker, calls = written_down()
    await worker.pass_on(RelayedCall(method="GET", path="/agents", limit_seconds=asked))
    assert calls == [("/agents", min(asked, LIMIT_SECONDS))]
