"""The context graph, by the worker's own client, from a control plane on a real socket."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.http_server import Answer, Request, Server, serving
from tests.tools.conftest import Call
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.secrets import Secret
from worker_core.tools.knowledge import GraphTool
from worker_core.tools.memory import RecallTool, StoreTool
from worker_core.tools.registry import SkillDefinition, offer

KEY = "a-key-of-the-worker"
PREFIX = "/api/v1/context-graph/api/v1/graph"


class ControlPlane:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.status = 200
        self.answers: dict[str, Any] = {
            "/datasets": [{"id": "d-1", "name": "default"}, {"id": "d-2", "name": "team"}],
            "/memory/store": {"memory_id": "m-7", "status": "processing"},
            "/memory/recall": {"memories": [{"content": "the port is 8123"}]},
        }

    def __call__(self, request: Request) -> Answer:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        parts = urlsplit(request.path)
        assert parts.path.startswith(PREFIX)
        path = parts.path.removeprefix(PREFIX)
        body = json.loads(request.body) if request.body else None
        self.asked.append((request.method, path, dict(parse_qsl(parts.query)), body))
        answer = {"detail": "no"} if self.status >= 400 else self.answers.get(path, {"nodes": [{"id": path}]})
        return Answer(self.status, {"Content-Type": "application/json"}, (json.dumps(answer).encode(),))


@pytest.fixture
def plane() -> ControlPlane:
    return ControlPlane()


@pytest.fixture
def server(plane: ControlPlane) -> Iterator[Server]:
    with serving(plane) as running:
        yield running


@pytest.fixture
async def api(server: Server) -> AsyncIterator[ControlPlaneClient]:
    client = ControlPlaneClient(base_url=f"http://127.0.0.1:{server.port}", api_key=Secret(KEY))
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("name", "arguments", "asked"),
    [
        ("overview", {}, ("GET", "/stats", {"limit": "50"}, None)),
        ("overview", {"what": "labels"}, ("GET", "/labels", {"limit": "50"}, None)),
        ("overview", {"integration": "a"}, ("GET", "/stats", {"limit": "50", "integration": "a"}, None)),
        ("search", {}, ("GET", "/nodes", {"limit": "50"}, None)),
        (
            "search",
            {"text": "api", "label": "Service", "skip": 50},
            ("POST", "/nodes/search/text", {"limit": "50", "skip": "50"},
             {"property_name": "name", "search_text": "api", "label": "Service"}),
        ),
        (
            "search",
            {"property_name": "region", "property_value": "eu"},
            ("POST", "/nodes/search", {"limit": "50"}, {"property_name": "region", "property_value": "eu"}),
        ),
        ("node", {"node_id": "a/b?c", "depth": 0}, ("GET", "/nodes/a%2Fb%3Fc", {}, None)),
        ("node", {"node_id": "..", "depth": 0}, ("GET", "/nodes/%2E%2E", {}, None)),
        ("node", {"node_id": ".."}, ("GET", "/nodes/%2E%2E/relationships", {"limit": "50"}, None)),
        ("node", {"node_id": "a/../..", "depth": 0}, ("GET", "/nodes/a%2F..%2F..", {}, None)),
        (
            "node",
            {"node_id": "n", "relationship_types": ["USES"]},
            ("GET", "/nodes/n/relationships", {"limit": "50", "relationship_type": "USES"}, None),
        ),
        (
            "node",
            {"node_id": "n", "depth": 3, "relationship_types": ["A", "B"]},
            ("POST", "/subgraph", {}, {"node_id": "n", "depth": 3, "relationship_types": ["A", "B"]}),
        ),
        ("query", {"query": "MATCH (n) RETURN n"}, ("POST", "/query", {}, {"query": "MATCH (n) RETURN n"})),
    ],
)  # fmt: skip
async def test_what_the_graph_is_asked(
    call: Call, plane: ControlPlane, api: ControlPlaneClient, name: str, arguments: dict[str, Any], asked: Any
) -> None:
    result = await call(GraphTool(name=f"context_graph_{name}"), arguments, api=api)
    assert result.succeeded, result.error
    assert plane.asked == [asked]
    assert "nodes" in result.output


async def test_answers_are_kept_for_a_while(call: Call, plane: ControlPlane, api: ControlPlaneClient) -> None:
    kept = GraphTool(name="context_graph_overview")
    fresh = GraphTool(name="context_graph_overview", kept=timedelta(microseconds=1))
    outputs = {(await call(kept, {}, api=api)).output for _ in range(3)}
    assert len(outputs) == 1
    assert len(plane.asked) == 1
    await call(fresh, {}, api=api)
    await call(kept, {"what": "labels"}, api=api)
    assert len(plane.asked) == 3


async def test_answers_go_with_the_connection_that_gave_them(call: Call, plane: ControlPlane, server: Server) -> None:
    """The next one may get the same place in memory, and be another organization's."""
    connections: list[ControlPlaneClient] = []

    async def connect() -> int:
        connections.append(ControlPlaneClient(base_url=f"http://127.0.0.1:{server.port}", api_key=Secret(KEY)))
        await call(GraphTool(name="context_graph_overview"), {}, api=connections[-1])
        return id(connections[-1])

    places = set()
    for number in range(1, 30):
        places.add(await connect())
        assert len(plane.asked) == number
        await connections[-1].aclose()
        connections.clear()
        gc.collect()
    assert len(places) < 29  # else the test shows nothing


async def test_failures_are_sentences_without_the_key(call: Call, plane: ControlPlane, api: ControlPlaneClient) -> None:
    for status in (403, 404, 422, 500):
        plane.status = status
        for tool in (GraphTool(name="context_graph_overview", kept=timedelta(0)), RecallTool()):
            result = await call(tool, {} if isinstance(tool, GraphTool) else {"query": "x"}, api=api)
            assert not result.succeeded
            assert str(status) in (result.error or "")
            assert KEY not in str(result)
    nobody = await call(GraphTool(name="context_graph_overview"), {})
    assert "no connection to the control plane" in (nobody.error or "")


async def test_memories_are_stored_and_found(call: Call, plane: ControlPlane, api: ControlPlaneClient) -> None:
    marks: list[int] = []
    stored = await call(
        StoreTool(),
        {"title": "Port", "content": "the port is s3cret", "tags": ["net"]},
        api=api,
        mask=lambda text: text.replace("s3cret", "***"),
        before_effect=lambda: marks.append(len(plane.asked)),
    )
    assert stored.output == "It is remembered (m-7)."
    assert marks == [1]
    body = {"dataset_id": "d-1", "context": {"title": "Port", "content": "the port is ***"}, "tags": ["net"]}
    assert plane.asked[-1] == ("POST", "/memory/store", {}, body)
    found = await call(
        RecallTool(search_type="GRAPH_COMPLETION"), {"query": "port"}, api=api,
        environment={"MEMORY_DATASET_NAME": "team"},
    )  # fmt: skip
    assert "the port is 8123" in found.output
    asked = {"query": "port", "dataset_id": "d-2", "limit": 5, "search_type": "GRAPH_COMPLETION"}
    assert plane.asked[-1] == ("POST", "/memory/recall", {}, asked)
    plane.answers["/memory/recall"] = {"memories": []}
    assert "nothing is remembered" in (await call(RecallTool(), {"query": "x"}, api=api)).output
    missing = await call(RecallTool(dataset="other"), {"query": "x"}, api=api)
    assert "no memory dataset 'other'" in (missing.error or "")


def test_settings() -> None:
    configuration = {"max_results": 9999, "cache_ttl": 1, "timeout": 1000, "label_presets": ["a"], "node_types": []}
    found = offer([SkillDefinition.from_wire({"type": "contextual_awareness", "configuration": configuration})])
    assert found.tools["context_graph_query"] == GraphTool(
        name="context_graph_query", results=500, kept=timedelta(seconds=1), timeout=timedelta(seconds=300)
    )
    assert found.unknown == (
        "The setting label_presets of a skill is not honoured: the agent chooses labels itself when it searches.",
    )
    found = offer([SkillDefinition.from_wire({"type": "cognitive_memory", "configuration": {"dataset_name": "team"}})])
    assert found.tools["recall_memory"] == RecallTool(dataset="team")
