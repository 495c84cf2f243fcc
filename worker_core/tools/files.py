"""The file tools: read, write, edit, list and search, inside the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.process import run_process
from worker_core.tools import arguments
from worker_core.tools.base import ToolContext, ToolResult, ToolSpec
from worker_core.tools.python import interpreter_path
from worker_core.tools.report import cut

TIMEOUT = timedelta(seconds=30)
_ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
_CHILD = Path(__file__).with_name("files_child.py")

_PathArgument = Annotated[str, msgspec.Meta(description="Path inside the workspace.", min_length=1)]


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class ReadArguments(_Arguments, kw_only=True):
    path: _PathArgument
    offset: Annotated[int, msgspec.Meta(description="First line to read, from 1.", ge=1)] | None = None
    limit: Annotated[int, msgspec.Meta(description="How many lines to read.", ge=1)] | None = None


class WriteArguments(_Arguments, kw_only=True):
    path: _PathArgument
    content: Annotated[str, msgspec.Meta(description="The whole new content.")]


class EditArguments(_Arguments, kw_only=True):
    path: _PathArgument
    old_text: Annotated[str, msgspec.Meta(description="The text to replace, exactly as it stands.", min_length=1)]
    new_text: Annotated[str, msgspec.Meta(description="What to put in its place.")]
    replace_all: Annotated[bool, msgspec.Meta(description="Replace every place, not just one.")] = False


class ListArguments(_Arguments, kw_only=True):
    path: Annotated[str, msgspec.Meta(description="Folder inside the workspace; all of it by default.")] = ""
    recursive: Annotated[bool, msgspec.Meta(description="Folders below as well.")] = False
    pattern: Annotated[str | None, msgspec.Meta(description="Only names that fit, e.g. *.py")] = None


class SearchArguments(_Arguments, kw_only=True):
    pattern: Annotated[str, msgspec.Meta(description="Regular expression, looked for line by line.", min_length=1)]
    path: Annotated[str, msgspec.Meta(description="File or folder inside the workspace; all of it by default.")] = ""
    glob: Annotated[str | None, msgspec.Meta(description="Only files whose name fits, e.g. *.py")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTool:
    """One file operation. `base` is a folder of the workspace that it is confined to."""

    name: str
    base: str = ""

    OPERATIONS: ClassVar[Mapping[str, tuple[type[_Arguments], str, bool]]] = {
        "read_file": (ReadArguments, "Read a text file of the workspace.", True),
        "write_file": (
            WriteArguments,
            "Write a text file in the workspace, replacing it if it is there.",
            False,
        ),
        "edit_file": (EditArguments, "Replace a piece of text in a file of the workspace.", False),
        "list_files": (ListArguments, "List files and folders of the workspace with their sizes.", True),
        "search_files": (SearchArguments, "Search text files of the workspace by a regular expression.", True),
    }

    @property
    def spec(self) -> ToolSpec:
        model, description, read_only = self.OPERATIONS[self.name]
        return ToolSpec(
            name=self.name, description=description, parameters=arguments.schema(model), read_only=read_only
        )

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        model, _, _ = self.OPERATIONS[self.name]
        try:
            asked = arguments.read(model, arguments_)
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        interpreter = interpreter_path()
        if interpreter is None:
            return arguments.failed("There is no Python interpreter on this machine; the file tools need one.")
        root = context.workspace.resolve(self.base or ".")
        root.mkdir(parents=True, exist_ok=True)
        request = {"root": str(root), "operation": self.name, "arguments": asked}
        command = Command(
            argv=[interpreter, "-I", "-S", "-X", "utf8", str(_CHILD)],
            cwd=root,
            environment=tool_environment({}, call_mark=f"{context.execution_id}/{context.call_id}"),
        )
        try:
            result = await run_process(
                context.launcher.wrap(command, workspace=context.workspace.path),
                timeout=min(TIMEOUT, context.timeout),
                output_limit_bytes=_ANSWER_LIMIT_BYTES,
                stdin=msgspec.json.encode(request),
                before_start=context.before_effect,
            )
        except OSError as error:
            return arguments.failed(f"The file tool could not be started: {error.strerror or error}.")
        try:
            if result.timed_out:
                return arguments.failed(f"It did not end within {TIMEOUT.total_seconds():g} s and was stopped.")
            return _read_answer(b"".join(result.output.ends()), context)
        finally:
            result.output.close()


class _Answer(msgspec.Struct):
    ok: bool
    output: str = ""
    error: str | None = None


def _read_answer(content: bytes, context: ToolContext) -> ToolResult:
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except msgspec.DecodeError:
        said = context.mask(content[-300:].decode("utf-8", "replace"))
        return arguments.failed(f"The file tool broke off: {said}")
    text = context.mask(answer.output)
    size = len(text.encode("utf-8", "replace"))
    saved_to = None
    if size > context.output_limit_bytes:
        saved_to = context.workspace.save_output(context.call_id, text.encode("utf-8", "replace"))
        text = cut(text, limit_bytes=context.output_limit_bytes, saved_to=saved_to)
    error = None if answer.error is None else context.mask(answer.error)
    return ToolResult(succeeded=answer.ok, output=text, error=error, output_bytes=size, saved_to=saved_to)
