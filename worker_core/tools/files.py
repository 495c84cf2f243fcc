"""The file tools: read, write, edit, list and search, inside the workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.threads import uninterrupted
from worker_core.network.reachable import Network
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.sandbox.call import run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.interpreter import files_command, interpreter_path
from worker_core.sandbox.launcher import WORKSPACE_ALONE, Command
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.masking import safe_cut
from worker_core.tools.report import fit, not_started, readable
from worker_core.workspaces.workspace import OutsideWorkspace

TIMEOUT = timedelta(seconds=30)
_SEARCH_SHARE = 0.6
"""Of the time limit; then a search answers with what it has."""

_ANSWER_LIMIT_BYTES = 16 * 1024 * 1024

_PathArgument = Annotated[str, msgspec.Meta(description="Path inside the workspace.", min_length=1)]


_Count = Annotated[int, msgspec.Meta(ge=1)]


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class ReadArguments(_Arguments, kw_only=True):
    path: _PathArgument
    offset: Annotated[_Count | None, msgspec.Meta(description="First line to read, from 1.")] = None
    limit: Annotated[_Count | None, msgspec.Meta(description="How many lines to read; all by default.")] = None


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


_OPERATIONS: Mapping[str, tuple[type[_Arguments], bool, str]] = {
    "read_file": (
        ReadArguments,
        True,
        "Read a text file of the workspace. A long one is shown in part, with the offset at which to go on.",
    ),
    "write_file": (
        WriteArguments,
        False,
        "Write a text file in the workspace; one that is there is replaced as a whole, missing folders are made.",
    ),
    "edit_file": (
        EditArguments,
        False,
        "Replace a piece of text in a file of the workspace; everything else in it stays as it is.",
    ),
    "list_files": (ListArguments, True, "List files (with their sizes) and folders of the workspace."),
    "search_files": (
        SearchArguments,
        True,
        "Search the text files of the workspace for a regular expression; gives file, line number and line.",
    ),
}
"""Arguments, whether it only reads, and what the model is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTool:
    """One file operation. `base` is a folder of the workspace that it is confined to."""

    name: str
    base: str = ""

    @property
    def spec(self) -> ToolSpec:
        model, read_only, description = _OPERATIONS[self.name]
        if self.base:
            description += f" Paths begin in its folder {self.base!r}."
        return ToolSpec(
            name=self.name, description=description, parameters=arguments.schema(model), read_only=read_only
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        asked: Any = arguments.read(_OPERATIONS[self.name][0], arguments_)
        yield from reader.path(asked.path, folder=self.base) if self.base else reader.file(asked.path)
        yield from reader.sent({name: value for name, value in arguments_.items() if name != "path"})

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(_OPERATIONS[self.name][0], arguments_)
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        interpreter = interpreter_path()
        if interpreter is None:
            return arguments.failed("There is no Python interpreter on this machine; the file tools need one.")
        limit = min(TIMEOUT, context.timeout)
        try:
            place = WORKSPACE_ALONE if self.base else context.place
            own = context.workspace.make_folder(self.base or ".")
            root = place.start or own
            request = {
                "root": str(root),
                "roots": [(str(own), True), *((str(one.path), one.writable) for one in place.folders)],
                "operation": self.name,
                "arguments": asked,
                "seconds": limit.total_seconds() * _SEARCH_SHARE,
            }
            command = Command(
                argv=files_command(interpreter),
                cwd=root,
                environment=tool_environment({}, call_mark=f"{context.execution_id}/{context.call_id}"),
                folders=place.folders,
                is_call=True,
            )
            result = await run_process(
                await asyncio.to_thread(
                    context.launcher.wrap, command, workspace=context.workspace.path, network=Network.OFF
                ),
                timeout=limit,
                output_limit_bytes=_ANSWER_LIMIT_BYTES,
                stdin=msgspec.json.encode(request),
                before_start=context.before_effect,
            )
        except OutsideWorkspace as error:
            return arguments.failed(error.sentence)
        except OSError as error:
            return arguments.failed(not_started(error))
        content = b"".join(result.output.ends())
        result.output.close()
        if result.exceeded:
            return arguments.failed(result.exceeded)
        if result.timed_out:
            hint = " Use a simpler pattern, or search in fewer files." if self.name == "search_files" else ""
            return arguments.failed(f"It did not end within {limit.total_seconds():g} s and was stopped.{hint}")
        return await uninterrupted(asyncio.to_thread(_read_answer, content, asked, context))


class _Match(msgspec.Struct, array_like=True):
    place: str
    line: str
    """The line, or as much of it as is needed to mask what is shown."""

    begin: int
    end: int
    goes_on: bool


class _Answer(msgspec.Struct):
    ok: bool
    output: str = ""
    error: str | None = None
    more: bool = False
    matches: list[_Match] = []


def _read_answer(content: bytes, asked: _Arguments, context: ToolContext) -> ToolResult:
    try:
        answer = typed_json.decode(content, _Answer)
    except msgspec.DecodeError:
        said = context.mask(content[-2000:].decode("utf-8", "replace")).strip().splitlines() or [""]
        return arguments.failed(f"The file tool broke off: {said[-1][:300]}")
    if answer.error is not None:
        return arguments.failed(context.mask(answer.error))
    size = len(answer.output.encode())
    saved_to = None
    if isinstance(asked, ReadArguments):
        text = _lines(answer, context, first=asked.offset or 1)
    else:
        lines = [_shown(match, context.mask) for match in answer.matches]
        whole = "\n".join([*lines, answer.output] if answer.output else lines)
        size = len(whole.encode())
        text, saved_to = fit([whole.encode()], context)
    return ToolResult(succeeded=answer.ok, output=text, output_bytes=size, saved_to=saved_to)


def _lines(answer: _Answer, context: ToolContext, *, first: int) -> str:
    """Whole lines as far as they fit, and where to read on."""
    data = readable(context.mask(answer.output).encode()).encode()
    cut = data[: context.output_limit_bytes]
    if len(cut) == len(data):
        following = first + data.count(b"\n")
        return data.decode() + (f"[... the file goes on; read on with offset {following} ...]" if answer.more else "")
    whole_lines = cut[: cut.rfind(b"\n") + 1]
    if not whole_lines:
        shown = cut.decode("utf-8", "ignore")
        return f"{shown}\n[... line {first} is too long to be shown whole; the next one is at offset {first + 1} ...]"
    following = first + whole_lines.count(b"\n")
    return (
        f"{whole_lines.decode()}[... lines {first} to {following - 1} are shown; read on with offset {following} ...]"
    )


def _shown(match: _Match, mask: Callable[[str], str]) -> str:
    """Of a long line, the part around the match; no cut falls into a secret."""
    begin = safe_cut(match.line, match.begin, mask) if match.begin else 0
    end = safe_cut(match.line, match.end, mask) if match.end < len(match.line) else match.end
    if end <= begin or (match.begin and not begin):
        return f"{match.place}[a long line that cannot be shown in part]"
    ellipses = ("..." if begin else "", "..." if match.goes_on or end < len(match.line) else "")
    return f"{match.place}{ellipses[0]}{match.line[begin:end]}{ellipses[1]}"


_SWITCHES = {
    "read_file": "enable_read_file",
    "write_file": "enable_save_file",
    "edit_file": "enable_save_file",
    "list_files": "enable_list_files",
    "search_files": "enable_search_files",
}


def make(configuration: Configuration) -> dict[str, Tool]:
    base = configuration.folder("base_dir", "base_directory")
    allowed = {key: configuration.switch(key, default=True) for key in dict.fromkeys(_SWITCHES.values())}
    return {name: FileTool(name=name, base=base) for name, switch in _SWITCHES.items() if allowed[switch]}
