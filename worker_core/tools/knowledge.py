"""`contextual_awareness` and `knowledge_api`: what the organization's context graph knows.

The control plane passes the calls on (protocol, section 8.10); paths and bodies are those of its published API
description, below `/api/v1/context-graph`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.network.urls import segment
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import report_text

GRAPH = "/api/v1/graph"
DEFAULT_TIMEOUT = timedelta(seconds=60)
SHORTEST_TIMEOUT = timedelta(seconds=10)
LONGEST_TIMEOUT = timedelta(seconds=300)
DEFAULT_RESULTS = 50
MOST_RESULTS = 500
DEFAULT_KEPT = timedelta(seconds=300)
_MOST_KEPT = 200


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


_Integration = Annotated[str, msgspec.Meta(description="Only what came from this integration.")]
_Skip = Annotated[int, msgspec.Meta(description="Leave out so many, to read on.", ge=0)]


class OverviewArguments(_Arguments, kw_only=True):
    what: Annotated[
        Literal["stats", "labels", "relationship-types", "integrations"],
        msgspec.Meta(description="Numbers, the labels of nodes, the kinds of relationships, or the integrations."),
    ] = "stats"
    integration: _Integration = ""


class SearchArguments(_Arguments, kw_only=True):
    text: Annotated[str, msgspec.Meta(description="Text to look for in the property.")] = ""
    property_name: Annotated[str, msgspec.Meta(description="Property to look in.")] = "name"
    property_value: Annotated[str, msgspec.Meta(description="Exact value of the property, instead of a text.")] = ""
    label: Annotated[str, msgspec.Meta(description="Only nodes with this label.")] = ""
    integration: _Integration = ""
    skip: _Skip = 0


class NodeArguments(_Arguments, kw_only=True):
    node_id: Annotated[str, msgspec.Meta(description="Id of the node.", min_length=1)]
    depth: Annotated[
        int,
        msgspec.Meta(description="0: it alone; 1: its relationships; up to 5: what is around it.", ge=0, le=5),
    ] = 1
    relationship_types: Annotated[list[str], msgspec.Meta(description="Follow these alone.")] = []
    integration: _Integration = ""


class QueryArguments(_Arguments, kw_only=True):
    query: Annotated[str, msgspec.Meta(description="A Cypher query that only reads.", min_length=1)]


_OPERATIONS: Mapping[str, tuple[type[_Arguments], str]] = {
    "context_graph_overview": (OverviewArguments, "See what the organization's context graph holds."),
    "context_graph_search": (SearchArguments, "Find nodes of the organization's context graph."),
    "context_graph_node": (NodeArguments, "Look at a node of the context graph and at what is connected with it."),
    "context_graph_query": (QueryArguments, "Ask the context graph with a Cypher query."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)


class _Answers:
    """Answers of the last minutes, of one connection to the control plane: another may be another organization's."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, str]] = {}

    @classmethod
    def of(cls, api: object) -> _Answers:
        """Those of a connection; they go with it. An id would not do: the next connection may get the same."""
        return _ANSWERS.setdefault(api, cls())

    def get(self, key: bytes, *, kept: timedelta) -> str | None:
        at, text = self._known.get(key, (0.0, ""))
        return text if text and time.monotonic() - at < kept.total_seconds() else None

    def put(self, key: bytes, text: str) -> None:
        self._known.pop(key, None)
        self._known[key] = (time.monotonic(), text)
        while len(self._known) > _MOST_KEPT:
            del self._known[next(iter(self._known))]


_LARGEST_KEPT = 100_000
_ANSWERS: WeakKeyDictionary[object, _Answers] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTool:
    """One question. Answers are taken from memory for `kept`."""

    name: str
    timeout: timedelta = DEFAULT_TIMEOUT
    results: int = DEFAULT_RESULTS
    kept: timedelta = DEFAULT_KEPT

    @property
    def spec(self) -> ToolSpec:
        model, description = _OPERATIONS[self.name]
        return ToolSpec(name=self.name, description=description, parameters=arguments.schema(model), read_only=True)

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.sent(arguments_)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            call = self._call(arguments.read(_OPERATIONS[self.name][0], arguments_))
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        key = msgspec.json.encode([call.method, call.path, call.body, call.query])
        answers = _Answers() if context.api is None else _Answers.of(context.api)
        text = answers.get(key, kept=self.kept)
        if text is None:
            answer = await ask(call.method, call.path, context, body=call.body, query=call.query, timeout=self.timeout)
            if isinstance(answer, ToolResult):
                return answer
            text = msgspec.json.format(msgspec.json.encode(answer), indent=1).decode("utf-8", "replace")
            if len(text) <= _LARGEST_KEPT:
                answers.put(key, text)
        return await report_text(text, context)

    def _call(self, asked: _Arguments) -> _Call:
        match asked:
            case OverviewArguments():
                query = _only_given(integration=asked.integration, limit=str(self.results))
                return _Call(method="GET", path=f"{GRAPH}/{asked.what}", query=query)
            case SearchArguments():
                query = _only_given(
                    integration=asked.integration, limit=str(self.results), skip=str(asked.skip) if asked.skip else ""
                )
                if asked.text:
                    body = {"property_name": asked.property_name, "search_text": asked.text}
                    body |= _only_given(label=asked.label)
                    return _Call(method="POST", path=f"{GRAPH}/nodes/search/text", body=body, query=query)
                body = _only_given(label=asked.label, property_value=asked.property_value)
                if asked.property_value:
                    body["property_name"] = asked.property_name
                if not body:
                    return _Call(method="GET", path=f"{GRAPH}/nodes", query=query)
                return _Call(method="POST", path=f"{GRAPH}/nodes/search", body=body, query=query)
            case NodeArguments():
                node = f"{GRAPH}/nodes/{segment(asked.node_id)}"
                query = _only_given(integration=asked.integration)
                if asked.depth == 0:
                    return _Call(method="GET", path=node, query=query)
                if asked.depth == 1 and len(asked.relationship_types) <= 1:
                    query |= {"limit": str(self.results)}
                    query |= _only_given(relationship_type="".join(asked.relationship_types))
                    return _Call(method="GET", path=f"{node}/relationships", query=query)
                around: dict[str, Any] = {"node_id": asked.node_id, "depth": asked.depth}
                if asked.relationship_types:
                    around["relationship_types"] = asked.relationship_types
                return _Call(method="POST", path=f"{GRAPH}/subgraph", body=around, query=query)
            case QueryArguments():
                return _Call(method="POST", path=f"{GRAPH}/query", body={"query": asked.query})
        raise AssertionError(asked)


async def ask(
    method: Literal["GET", "POST"],
    path: str,
    context: ToolContext,
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    timeout: timedelta,
) -> Any:
    """The answer as JSON, or a failed ToolResult that says why there is none."""
    if context.api is None:
        return arguments.failed("This worker has no connection to the control plane here; do without its knowledge.")
    limit = min(timeout, context.timeout).total_seconds()
    try:
        async with asyncio.timeout(limit + 1.0):
            return await context.api.context_graph(method, path, body=body, query=query, limit_seconds=limit)
    except ControlPlaneError as error:
        return arguments.failed(error.sentence)
    except TimeoutError:
        return arguments.failed(f"The context graph did not answer within {limit:g} s. Ask for less.")


def _only_given(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def make(configuration: Configuration) -> dict[str, Tool]:
    configuration.not_honoured("stream", "answers come whole", unless=False)
    configuration.not_honoured("auto_inject", "the agent asks when it needs to know", unless=False)
    for key in configuration.values:
        if any(word in key for word in ("preset", "node_type", "label")):
            configuration.not_honoured(key, "the agent chooses labels itself when it searches")
    return {
        name: GraphTool(
            name=name,
            timeout=configuration.seconds(
                "timeout", default=DEFAULT_TIMEOUT, shortest=SHORTEST_TIMEOUT, longest=LONGEST_TIMEOUT
            ),
            results=configuration.count("max_results", default=DEFAULT_RESULTS, most=MOST_RESULTS),
            kept=configuration.seconds("cache_ttl", default=DEFAULT_KEPT, longest=timedelta(days=1)),
        )
        for name in _OPERATIONS
    }
