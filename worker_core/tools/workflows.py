"""`workflow_executor`: configured workflows, run step by step on this machine, in the execution's workspace.

A workflow is JSON (`name`, `env`, `params`, and `steps` with `name`, `command`, `depends`, `dir`, `env`, `output`,
`continue_on_failure`), or a Python program that leaves such an object, or one with `to_dict()`, in `workflow`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.sandbox.interpreter import interpreter_path
from worker_core.tools import arguments, workflow_steps
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import run_and_report
from worker_core.tools.shell import default_shell
from worker_core.tools.workflow_steps import Step, Workflow, WrongWorkflow
from worker_core.workspaces import anchored
from worker_core.workspaces.workspace import OWN_FOLDER

DEFAULT_TIMEOUT = timedelta(seconds=3600)
SHORTEST_TIMEOUT = timedelta(seconds=30)
LONGEST_TIMEOUT = timedelta(seconds=7200)
_LONGEST_VARIABLE = 32_000
_LARGEST_DEFINITION_BYTES = 1024 * 1024

_RUNNER = """
import json, sys
given = json.load(sys.stdin)
scope = {"__name__": "__main__"}
sys.path.insert(0, "")
exec(compile(given["code"], "<workflow>", "exec"), scope)
found = scope.get("workflow")
if found is None:
    sys.exit("The program leaves nothing in the variable `workflow`.")
if hasattr(found, "to_dict"):
    found = found.to_dict()
with open(given["target"], "w", encoding="utf-8") as file:
    json.dump(found, file)
"""


class RunArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    workflow: Annotated[str, msgspec.Meta(description="Its name.")]
    inputs: Annotated[
        dict[str, str], msgspec.Meta(description="Values for its parameters; its steps see them as variables.")
    ] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A workflow as configured: a definition, or the code of a program that makes one."""

    name: str
    description: str = ""
    definition: object = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTool:
    workflows: tuple[Configured, ...]
    timeout: timedelta = DEFAULT_TIMEOUT

    @property
    def spec(self) -> ToolSpec:
        listed = "; ".join(f"{one.name}: {one.description}" if one.description else one.name for one in self.workflows)
        parameters = arguments.schema(RunArguments)
        parameters["properties"]["workflow"] = {
            **parameters["properties"]["workflow"],
            "enum": [one.name for one in self.workflows],
        }
        return ToolSpec(
            name="run_workflow",
            description=f"Run a workflow step by step in the workspace. Workflows: {listed.rstrip('.')}.",
            parameters=parameters,
        )

    def details(self, arguments_: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Every step, or the program that makes the steps: the call itself only names the workflow."""
        chosen = self._chosen(arguments_.get("workflow"))
        if chosen is None:
            return []
        if chosen.code:
            return [("program that makes the steps", chosen.code)]
        try:
            workflow = _read(chosen)
        except WrongWorkflow as error:
            return [("steps", f"None: {error}")]
        found = [("variables", _listed_variables({**workflow.environment, **workflow.inputs}))]
        for number, step in enumerate(workflow.steps, 1):
            found.append((f"step {number}, {step.name}", step.command))
            found.append((f"step {number}, folder", step.folder))
            found.append((f"step {number}, variables", _listed_variables(step.environment)))
        return [(name, text) for name, text in found if text]

    def _chosen(self, name: object) -> Configured | None:
        return next((one for one in self.workflows if one.name == name), None)

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        """Of all steps. Those that a program makes are looked at when it has."""
        chosen = self._chosen(arguments.read(RunArguments, arguments_).workflow)
        if chosen is None:
            return
        if chosen.code:
            yield from reader.code(chosen.code)
            return
        try:
            workflow = _read(chosen)
        except WrongWorkflow as error:
            raise arguments.WrongArguments(str(error)) from None
        yield from _touched(workflow, reader)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(RunArguments, arguments_)
            chosen = self._chosen(asked.workflow)
            if chosen is None:
                names = ", ".join(one.name for one in self.workflows)
                raise WrongWorkflow(f"There is no workflow {asked.workflow[:100]!r}; there are: {names}.")
            once = replace(context, before_effect=_once(context.before_effect))
            deadline = time.monotonic() + min(self.timeout, context.timeout).total_seconds()
            workflow = await _built(chosen, once, deadline) if chosen.code else _read(chosen)
            if isinstance(workflow, ToolResult):
                return workflow
            if chosen.code and (refused := await context.may_touch(lambda reader: _touched(workflow, reader))):
                raise WrongWorkflow(f"The steps that the workflow's program made may not run: {refused}")
            if strange := [name for name in asked.inputs if name not in workflow.inputs]:
                takes = ", ".join(workflow.inputs) or "none"
                raise WrongWorkflow(f"The workflow has no parameter {strange[0][:50]!r}; it takes: {takes}.")
        except (arguments.WrongArguments, WrongWorkflow) as error:
            return arguments.failed(str(error))
        return await _run(workflow, asked.inputs, once, deadline)


def _listed_variables(variables: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in variables.items())


def _read(chosen: Configured) -> Workflow:
    return workflow_steps.read(chosen.definition, name=chosen.name)


async def _built(chosen: Configured, context: ToolContext, deadline: float) -> Workflow | ToolResult:
    """What the program leaves; a failed result where it fails."""
    interpreter = interpreter_path()
    if interpreter is None:
        raise WrongWorkflow("There is no Python interpreter on this machine; the workflow is a Python program.")
    target = f"{OWN_FOLDER}/workflow-{os.urandom(6).hex()}.json"
    try:
        context.workspace.make_folder(OWN_FOLDER)
    except (OSError, KubiyaError) as error:
        raise WrongWorkflow(f"The workspace cannot be used: {error}.") from None
    result = await run_and_report(
        [interpreter, "-I", "-X", "utf8", "-c", _RUNNER],
        context,
        timeout=timedelta(seconds=max(1.0, deadline - time.monotonic())),
        stdin=msgspec.json.encode({"code": chosen.code, "target": str(context.workspace.path / target)}),
    )
    if not result.succeeded:
        return replace(result, error=f"The workflow's program failed. {result.error or ''}".strip())
    try:
        content = await asyncio.to_thread(
            anchored.read_bounded, context.workspace.path, target, limit_bytes=_LARGEST_DEFINITION_BYTES + 1
        )
        if len(content) > _LARGEST_DEFINITION_BYTES:
            raise WrongWorkflow("The workflow's program made a definition of more than 1 MB.")
        return workflow_steps.read(content.decode("utf-8", "replace"), name=chosen.name)
    except (OSError, KubiyaError) as error:
        raise WrongWorkflow(f"The definition that the program made cannot be read: {error}.") from None
    finally:
        with contextlib.suppress(OSError, KubiyaError):
            anchored.remove(context.workspace.resolve(OWN_FOLDER), target.rpartition("/")[2])


async def _run(workflow: Workflow, inputs: Mapping[str, str], context: ToolContext, deadline: float) -> ToolResult:
    said: list[str] = []
    variables = {**context.environment, **workflow.environment, **workflow.inputs, **inputs}
    failed: list[str] = []
    for number, step in enumerate(workflow.steps):
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            failed.append(f"there was no time left for step {step.name!r}")
            said += [f"## {later.name}: not run" for later in workflow.steps[number:]]
            break
        result = await _step(step, number, len(workflow.steps), variables, context, seconds)
        said.append(f"## {step.name}: {'done' if result.succeeded else result.error}\n{result.output}".rstrip())
        if step.output:
            variables[step.output] = result.output.strip()[:_LONGEST_VARIABLE]
        if not result.succeeded:
            failed.append(f"step {step.name!r} failed")
            if not step.goes_on:
                said += [f"## {later.name}: not run" for later in workflow.steps[number + 1 :]]
                break
    text = "\n\n".join(said)
    error = f"The workflow {workflow.name!r} did not succeed: {'; '.join(failed)}." if failed else None
    return ToolResult(
        succeeded=not failed,
        output=text,
        error=error,
        output_bytes=len(text.encode()),
        metadata={"steps": len(workflow.steps), "failed": len(failed)},
    )


async def _step(
    step: Step, number: int, steps: int, variables: Mapping[str, str], context: ToolContext, seconds: float
) -> ToolResult:
    own = replace(
        context,
        call_id=f"{context.call_id}-{number + 1}",
        environment={**variables, **step.environment},
        output_limit_bytes=max(500, context.output_limit_bytes // steps),
    )
    return await run_and_report(_argv(step), own, timeout=timedelta(seconds=seconds), configured_folder=step.folder)


def _argv(step: Step) -> list[str]:
    return [*default_shell(), step.command]


def _touched(workflow: Workflow, reader: Reader) -> Iterator[Subject]:
    for step in workflow.steps:
        yield from reader.started(_argv(step), configured=step.folder)


def _once(function: Callable[[], None]) -> Callable[[], None]:
    """One tool call has one effect in the journal, however many steps it has."""
    done: list[bool] = []

    def call() -> None:
        if not done:
            function()
            done.append(True)

    return call


def make(configuration: Configuration) -> dict[str, Tool]:
    configuration.not_honoured("default_runner", "workflows run on this worker itself")
    checked = configuration.switch("validation_enabled", default=True)
    found: dict[str, Configured] = {}
    for number, one in enumerate(_listed(configuration), 1):
        if checked and not one.code:
            try:
                _read(one)
            except WrongWorkflow as error:
                configuration.unknown.append(f"The workflow {one.name[:100]!r} is not offered. {error}")
                continue
        name = one.name if one.name not in found else f"{one.name}-{number}"
        found[name] = replace(one, name=name)
    if not found:
        return {}
    timeout = configuration.seconds(
        "timeout", default=DEFAULT_TIMEOUT, shortest=SHORTEST_TIMEOUT, longest=LONGEST_TIMEOUT
    )
    return {"run_workflow": WorkflowTool(workflows=tuple(found.values()), timeout=timeout)}


def _listed(configuration: Configuration) -> list[Configured]:
    """The one of `workflow_definition` or `python_dsl_code`, and those of the list `workflows`."""
    values = configuration.values
    several = values.get("workflows")
    raw: list[Mapping[str, Any]] = [
        {
            "type": values.get("workflow_type"),
            "definition": values.get("workflow_definition"),
            "code": values.get("python_dsl_code"),
        },
        *(one for one in (several if isinstance(several, list) else ()) if isinstance(one, dict)),
    ]
    found = []
    for number, one in enumerate(raw):
        definition, code = one.get("definition"), one.get("code")
        has_code = isinstance(code, str) and bool(code.strip())
        by_program = has_code and (one.get("type") == "python_dsl" or not definition)
        if not definition and not by_program:
            continue
        inner: Any = definition
        if isinstance(inner, str):
            with contextlib.suppress(msgspec.DecodeError, RecursionError):
                inner = msgspec.json.decode(inner)
        about = inner if isinstance(inner, dict) and not by_program else {}
        name = one.get("name") or about.get("name") or f"workflow-{number + 1}"
        described = about.get("description")
        found.append(
            Configured(
                name=str(name)[:100],
                description=described.strip()[:300] if isinstance(described, str) else "",
                definition=None if by_program else definition,
                code=str(code) if by_program else "",
            )
        )
    return found
