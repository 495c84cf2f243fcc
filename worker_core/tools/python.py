"""`python`: a piece of Python, run by an interpreter of its own in the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.sandbox.interpreter import interpreter_path
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import run_and_report
from worker_core.tools.shell import bounded

DEFAULT_TIMEOUT = timedelta(seconds=60)
LONGEST_TIMEOUT = timedelta(seconds=300)

_RUNNER = """
import builtins, json, linecache, sys, types
given = json.load(sys.stdin)
sys.path.insert(0, "")
main = sys.modules["__main__"] = types.ModuleType("__main__")
main.__builtins__ = builtins
allowed, blocked, code = given["allowed"], given["blocked"], given["code"]
linecache.cache["<program>"] = (len(code), None, code.splitlines(True), "<program>")
if allowed is not None or blocked:
    real = builtins.__import__
    def guarded(name, globals=None, *rest, **more):
        top = name.partition(".")[0]
        if globals is main.__dict__ and (top in blocked or (allowed is not None and top not in allowed)):
            raise ImportError("the skill's configuration does not allow to import " + top)
        return real(name, globals, *rest, **more)
    builtins.__import__ = guarded
def hook(kind, error, trace):
    shown = trace
    while shown and shown.tb_frame.f_code.co_filename != "<program>":
        shown = shown.tb_next
    import traceback  # the built-in hook does not know linecache
    traceback.print_exception(kind, error, shown)
sys.excepthook = hook
exec(compile(code, "<program>", "exec"), main.__dict__)
"""


class PythonArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(description="The program. Print what you want to read.", min_length=1)]
    timeout_seconds: Annotated[
        float | None, msgspec.Meta(description="Stop it after so many seconds; 300 at most, if nothing else is said.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonTool:
    """Runs code with the worker's own Python (a frozen worker: with the system's).

    `allowed_imports` and `blocked_imports` are a guard rail, not a wall: they stop what the code imports itself, not
    what it can reach through modules that are loaded already.
    """

    timeout: timedelta = DEFAULT_TIMEOUT
    allowed_imports: tuple[str, ...] | None = None
    blocked_imports: tuple[str, ...] = ()

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="python",
            description=(
                f"Run a Python program in the workspace and read what it prints. Each call is a new interpreter: "
                f"nothing is kept but files. It gets no input, and is stopped after {self.timeout.total_seconds():g} s "
                f"unless timeout_seconds says otherwise."
                + (f" It may import: {', '.join(self.allowed_imports)}." if self.allowed_imports else "")
                + (f" It may not import: {', '.join(self.blocked_imports)}." if self.blocked_imports else "")
            ),
            parameters=arguments.schema(PythonArguments),
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.code(arguments.read(PythonArguments, arguments_).code)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(PythonArguments, arguments_)
            timeout = bounded(
                asked.timeout_seconds,
                default=self.timeout,
                longest=context.at_most(LONGEST_TIMEOUT),
            )
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        interpreter = interpreter_path()
        if interpreter is None:
            return arguments.failed("There is no Python interpreter on this machine.")
        given = {"code": asked.code, "allowed": self.allowed_imports, "blocked": self.blocked_imports}
        return await run_and_report(
            [interpreter, "-I", "-u", "-X", "utf8", "-c", _RUNNER],
            context,
            timeout=timeout,
            stdin=msgspec.json.encode(given),
        )


def make(configuration: Configuration) -> dict[str, Tool]:
    if not configuration.switch("enable_code_execution", default=True):
        return {}
    return {
        "python": PythonTool(
            timeout=configuration.seconds("timeout", default=DEFAULT_TIMEOUT, longest=LONGEST_TIMEOUT),
            allowed_imports=configuration.names("allowed_imports"),
            blocked_imports=configuration.names("blocked_imports") or (),
        )
    }
