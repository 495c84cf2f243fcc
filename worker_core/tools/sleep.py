"""`sleep`: let some time pass."""

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

LONGEST = timedelta(minutes=5)


class SleepArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    seconds: Annotated[float, msgspec.Meta(description="How long, 300 at most.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepTool:
    """Waits, in the worker; nothing is started."""

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="sleep",
            description=f"Wait for some seconds, {LONGEST.total_seconds():g} at most, before you go on.",
            parameters=arguments.schema(SleepArguments),
            read_only=True,
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:  # noqa: ARG002 -- none
        return ()

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(SleepArguments, arguments_)
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        if not 0 <= asked.seconds <= LONGEST.total_seconds():
            return arguments.failed(
                f"seconds is {asked.seconds:g}; it must be between 0 and {LONGEST.total_seconds():g}."
            )
        seconds = min(asked.seconds, context.timeout.total_seconds())
        await asyncio.sleep(seconds)
        return ToolResult(succeeded=True, output=f"{seconds:g} seconds have passed.")


def make(configuration: Configuration) -> dict[str, Tool]:  # noqa: ARG001 -- it has no settings
    return {"sleep": SleepTool()}
