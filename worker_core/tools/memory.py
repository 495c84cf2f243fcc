"""`cognitive_memory`: what agents of the organization wrote down for later, kept by the context graph.

Paths and bodies as its clients send them, below `/api/v1/context-graph` (protocol, section 8.10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.knowledge import GRAPH, ask
from worker_core.tools.report import report_text

TIMEOUT = timedelta(seconds=120)
DATASET_VARIABLE = "MEMORY_DATASET_NAME"
DEFAULT_DATASET = "default"
_MOST = 50


class StoreArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(description="What it is about, in a few words.", min_length=1)]
    content: Annotated[str, msgspec.Meta(description="What to remember, so that it is understood alone.", min_length=1)]
    tags: Annotated[list[str], msgspec.Meta(description="Words to find it by.")] = []


class RecallArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, msgspec.Meta(description="What you want to know.", min_length=1)]
    limit: Annotated[int, msgspec.Meta(description="How many memories at most.", ge=1, le=_MOST)] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _MemoryTool:
    """`dataset` and `search_type` as configured; the dataset of the execution's environment where none is."""

    dataset: str = ""
    search_type: str = ""

    async def _dataset_id(self, context: ToolContext) -> str | ToolResult:
        wanted = self.dataset or context.environment.get(DATASET_VARIABLE, "").strip() or DEFAULT_DATASET
        answer = await ask("GET", f"{GRAPH}/datasets", context, timeout=TIMEOUT)
        if isinstance(answer, ToolResult):
            return answer
        listed = answer.get("datasets") if isinstance(answer, dict) else answer
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and wanted in {one.get("name"), one.get("id")} and one.get("id"):
                return str(one["id"])
        return arguments.failed(
            f"There is no memory dataset {wanted[:100]!r} yet. Make one on the control plane, or name another in the "
            "skill's configuration."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTool(_MemoryTool):
    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="store_memory",
            description="Remember something for later executions, of this agent and of others.",
            parameters=arguments.schema(StoreArguments),
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.sent(arguments_)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(StoreArguments, arguments_)
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        dataset = await self._dataset_id(context)
        if isinstance(dataset, ToolResult):
            return dataset
        await asyncio.to_thread(context.before_effect)
        body = {
            "dataset_id": dataset,
            "context": {"title": context.mask(asked.title), "content": context.mask(asked.content)},
            "tags": [context.mask(tag) for tag in asked.tags],
        }
        answer = await ask("POST", f"{GRAPH}/memory/store", context, body=body, timeout=TIMEOUT)
        if isinstance(answer, ToolResult):
            return answer
        identity = answer.get("memory_id") if isinstance(answer, dict) else None
        return await report_text(f"It is remembered{f' ({identity})' if identity else ''}.", context)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallTool(_MemoryTool):
    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="recall_memory",
            description="Look for what was remembered in earlier executions.",
            parameters=arguments.schema(RecallArguments),
            read_only=True,
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.sent(arguments_)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(RecallArguments, arguments_)
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        dataset = await self._dataset_id(context)
        if isinstance(dataset, ToolResult):
            return dataset
        body = {"query": asked.query, "dataset_id": dataset, "limit": asked.limit}
        if self.search_type:
            body["search_type"] = self.search_type
        answer = await ask("POST", f"{GRAPH}/memory/recall", context, body=body, timeout=TIMEOUT)
        if isinstance(answer, ToolResult):
            return answer
        found = next((answer[key] for key in ("memories", "results") if key in answer), answer) if isinstance(
            answer, dict
        ) else answer  # fmt: skip
        if not found:
            return await report_text("(nothing is remembered about it)", context)
        return await report_text(msgspec.json.format(msgspec.json.encode(found), indent=1).decode(), context)


def make(configuration: Configuration) -> dict[str, Tool]:
    dataset = configuration.text("dataset_id", "dataset_name", "dataset")
    search_type = configuration.text("search_type")
    return {
        "store_memory": StoreTool(dataset=dataset, search_type=search_type),
        "recall_memory": RecallTool(dataset=dataset, search_type=search_type),
    }
