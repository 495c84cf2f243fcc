"""A workflow's definition: named steps, what each runs, and in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass

MOST_STEPS = 100
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class WrongWorkflow(Exception):
    """The sentence says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    command: str
    folder: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    output: str = ""
    """Variable that later steps find what it printed in."""

    goes_on: bool = False
    """Whether the steps after it run where it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    name: str
    description: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Defaults of what a call may set."""

    steps: tuple[Step, ...] = ()
    """In the order in which they run: each after those that it depends on."""


_WORKFLOW_KEYS = frozenset(
    {"name", "description", "env", "params", "steps", "type", "version", "runner", "tags", "schedule"}
)
_STEP_KEYS = frozenset(
    {"name", "id", "description", "command", "run", "script", "dir", "env", "depends", "output", "continue_on_failure",
     "continueOn", "executor", "args"}
)  # fmt: skip


def read(raw: object, *, name: str = "") -> Workflow:
    """A workflow from its JSON object, or from JSON text.

    Raises:
        WrongWorkflow: it is none, or asks for what is not done here.
    """
    if isinstance(raw, str):
        try:
            raw = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise WrongWorkflow(f"The definition is not valid JSON: {error}.") from None
    if not isinstance(raw, dict):
        raise WrongWorkflow("The definition is not a JSON object.")
    if strange := [key for key in raw if key not in _WORKFLOW_KEYS]:
        raise WrongWorkflow(f"The definition asks for {strange[0][:50]!r}, which is not done here.")
    listed = raw.get("steps")
    if not isinstance(listed, list) or not listed:
        raise WrongWorkflow("The definition has no steps.")
    if len(listed) > MOST_STEPS:
        raise WrongWorkflow(f"The definition has {len(listed)} steps; {MOST_STEPS} are the limit.")
    steps = [_step(one, number) for number, one in enumerate(listed, 1)]
    return Workflow(
        name=_text(raw, "name") or name or "workflow",
        description=_text(raw, "description"),
        environment=_variables(raw.get("env"), "env"),
        inputs=_variables(raw.get("params"), "params"),
        steps=_ordered(steps),
    )


def _step(raw: object, number: int) -> Step:
    if not isinstance(raw, dict):
        raise WrongWorkflow(f"Step {number} is not a JSON object.")
    name = _text(raw, "name") or _text(raw, "id") or f"step-{number}"
    if strange := [key for key in raw if key not in _STEP_KEYS]:
        raise WrongWorkflow(f"Step {name[:50]!r} asks for {strange[0][:50]!r}, which is not done here.")
    executor = raw.get("executor")
    kind = executor.get("type") if isinstance(executor, dict) else executor
    if kind not in {None, "", "command", "shell"}:
        raise WrongWorkflow(f"Step {name[:50]!r} wants the executor {str(kind)[:50]!r}; commands are run here alone.")
    settings = executor.get("config") if isinstance(executor, dict) else None
    source = {**(settings if isinstance(settings, dict) else {}), **raw}
    command = next((text for key in ("command", "run", "script") if (text := _text(source, key))), "")
    if not command:
        raise WrongWorkflow(f"Step {name[:50]!r} has no command.")
    if raw.get("args"):
        raise WrongWorkflow(f"Step {name[:50]!r} has its arguments apart; write them into the command.")
    depends = raw.get("depends") or ()
    output = _text(raw, "output")
    if output and not _VARIABLE.fullmatch(output):
        raise WrongWorkflow(f"Step {name[:50]!r} puts its output into {output[:50]!r}, which is no variable.")
    further = raw.get("continueOn")
    return Step(
        name=name,
        command=command,
        folder=_text(raw, "dir"),
        environment=_variables(raw.get("env"), name),
        depends=(depends,) if isinstance(depends, str) else tuple(str(one) for one in depends),
        output=output,
        goes_on=raw.get("continue_on_failure") is True
        or (isinstance(further, dict) and further.get("failure") is True),
    )


def _ordered(steps: list[Step]) -> tuple[Step, ...]:
    names = [step.name for step in steps]
    for step in steps:
        if names.count(step.name) > 1:
            raise WrongWorkflow(f"Two steps are called {step.name[:50]!r}.")
        for other in step.depends:
            if other not in names:
                raise WrongWorkflow(f"Step {step.name[:50]!r} depends on {other[:50]!r}, which is no step.")
    ordered: list[Step] = []
    waiting = list(steps)
    while waiting:
        done = {step.name for step in ordered}
        ready = next((step for step in waiting if done.issuperset(step.depends)), None)
        if ready is None:
            raise WrongWorkflow(f"The steps depend on each other in a circle ({waiting[0].name[:50]!r} is in it).")
        waiting.remove(ready)
        ordered.append(ready)
    return tuple(ordered)


def _variables(raw: object, where: str) -> dict[str, str]:
    """An object, or a list of `NAME=value` or of objects with one key each."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(raw, dict):
        pairs = list(raw.items())
    elif isinstance(raw, list):
        for one in raw:
            if isinstance(one, dict):
                pairs += one.items()
            elif isinstance(one, str) and "=" in one:
                pairs.append(tuple(one.split("=", 1)))  # type: ignore[arg-type]
            else:
                raise WrongWorkflow(f"The variables of {where[:50]!r} are not like NAME=value.")
    elif raw is not None:
        raise WrongWorkflow(f"The variables of {where[:50]!r} are not an object.")
    for name, _ in pairs:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise WrongWorkflow(f"{str(name)[:50]!r} is no name of a variable.")
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() if value is not None else ""
        for name, value in pairs
    }


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return value.strip() if isinstance(value, str) else ""
