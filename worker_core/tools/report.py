"""From a process to a tool result: masked, cut for the model, the whole kept in the workspace."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import chain
from pathlib import Path

from worker_core.basics.plain import one_line
from worker_core.basics.shortage import more_files
from worker_core.basics.threads import uninterrupted
from worker_core.basics.windows_names import LONGEST_WORKING_FOLDER, at_any_length, is_too_long_to_begin_in
from worker_core.errors import KubiyaError
from worker_core.sandbox.call import WHOLE_OUTPUT_LIMIT_BYTES, ProcessResult, run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.processes.output import Ends, OutputKeeper
from worker_core.tools.arguments import failed
from worker_core.tools.base import ToolContext, ToolResult
from worker_core.tools.code_page import CODE_PAGE, in_utf8
from worker_core.tools.exit_codes import how_it_ended
from worker_core.tools.masking import masked
from worker_core.tools.powershell import framed
from worker_core.tools.terminal_text import TerminalText, is_plain
from worker_core.workspaces.anchored import short
from worker_core.workspaces.workspace import OutsideWorkspace

PROGRESS_EVERY = timedelta(seconds=10)
"""Between two lines of a call's output that viewers are told while it runs."""

_PROGRESS_CHARACTERS = 200
_LINE_BREAK_WITHIN = 200
"""A cut moves this far, at most, to fall on a line's end."""

_TOO_LONG_ON_WINDOWS = 206
"""ERROR_FILENAME_EXCED_RANGE, which `CreateProcess` also gives for a command line that is too long."""

_WHOLE_MB = WHOLE_OUTPUT_LIMIT_BYTES // (1024 * 1024)


async def run_and_report(
    argv: list[str],
    context: ToolContext,
    *,
    timeout: timedelta,
    asked_folder: str = "",
    configured_folder: str = "",
    stdin: bytes = b"",
) -> ToolResult:
    """Start a command in the workspace and describe how it went.

    Args:
        argv: the command.
        context: of the call.
        timeout: of the call; that of the context where it is shorter.
        asked_folder: where the model wants it to run; it must exist.
        configured_folder: of the workspace, where it runs by default; made where it is missing. Empty: where the
            execution works.
        stdin: what the command may read.

    Raises:
        asyncio.CancelledError: nothing of the command is left running.
        Exception: what `context.before_effect` raised; nothing was started.

    """
    limit = min(timeout, context.timeout)
    try:
        folder = _folder(context, asked_folder, configured_folder)
    except KubiyaError as error:
        return failed(error.sentence)
    except OSError as error:
        return failed(not_started(error))
    command = Command(
        argv=framed(argv),
        cwd=folder,
        environment=tool_environment(context.environment, call_mark=f"{context.execution_id}/{context.call_id}"),
        folders=context.place.folders,
        is_call=True,
    )
    progress = _Progress(context)
    try:
        result = await run_process(
            await asyncio.to_thread(context.launcher.wrap, command, workspace=context.workspace.path),
            timeout=limit,
            output_limit_bytes=context.output_limit_bytes,
            stdin=stdin,
            before_start=context.before_effect,
            on_output=progress.begin,
        )
    except OSError as error:
        return failed(not_started(error))
    finally:
        progress.end()
    return await uninterrupted(asyncio.to_thread(_describe, result, context, limit))


class _Progress:
    """Tells viewers of a long call the last line of its output, now and then."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._telling: asyncio.Task[None] | None = None

    def begin(self, output: OutputKeeper) -> None:
        self._telling = asyncio.create_task(self._tell(output))

    def end(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self, output: OutputKeeper) -> None:
        seen, said = 0, ""
        while True:
            await asyncio.sleep(PROGRESS_EVERY.total_seconds())
            if output.total_bytes == seen:
                continue
            seen = output.total_bytes
            line = await asyncio.to_thread(self._line, output)
            if line and line != said:
                said = line
                self._context.say_progress(line)

    def _line(self, output: OutputKeeper) -> str:
        data = next(iter(in_utf8([output.latest_line()], code_page=CODE_PAGE)), b"")
        return one_line(self._context.mask(data.decode("utf-8", "replace")), limit=_PROGRESS_CHARACTERS)


def _folder(context: ToolContext, asked: str, configured: str) -> Path:
    workspace, place = context.workspace, context.place
    if not asked:
        folder = place.start if place.start and not configured else workspace.make_folder(configured or ".")
    else:
        folder = _in_place(context, asked) if place.folders else workspace.resolve(asked)
    if asked and not os.path.isdir(at_any_length(str(folder))):  # noqa: PTH112 -- Path's raises where a name is too long
        where = "here" if place.folders else "in the workspace"
        raise KubiyaError(f"There is no folder {asked[:200]!r} {where}; nothing was run.")
    if is_too_long_to_begin_in(str(folder)):
        raise KubiyaError(
            f"The folder {(asked or configured or '.')[:200]!r} has more than the {LONGEST_WORKING_FOLDER} characters, "
            "from the drive on, that Windows lets a process begin in; nothing was run. Begin further up, or shorten "
            "its names; the file tools reach it."
        )
    return folder


def _in_place(context: ToolContext, asked: str) -> Path:
    """A folder of the workspace or of the owner's, seen from where the execution works."""
    workspace, place = context.workspace, context.place
    try:
        found = ((place.start or workspace.path) / asked).resolve()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return workspace.resolve(asked)  # it says so
    if not (place.holds(found) or found.is_relative_to(workspace.path)):
        raise OutsideWorkspace(
            f"The path {short(asked)} leads out of the workspace and of the folders that were granted; use one "
            "inside them."
        )
    return found


def not_started(error: OSError) -> str:
    """Why a command did not start, for the model."""
    if error.errno == errno.E2BIG or getattr(error, "winerror", 0) == _TOO_LONG_ON_WINDOWS:
        return "The command, or a variable of the execution, is too long for the system; nothing was run."
    where = f" ({str(error.filename)[:200]})" if error.filename else ""
    said = f"The command could not be started, nothing was run: {error.strerror or error}{where}."
    return f"{said} {more_files(error)}".rstrip()


def _describe(result: ProcessResult, context: ToolContext, limit: timedelta) -> ToolResult:
    try:
        text, saved_to = _shown(result.output, context)
    finally:
        result.output.close()
    return ToolResult(
        succeeded=result.exit_code == 0 and not result.timed_out and not result.too_much_output and not result.exceeded,
        output=text,
        error=_error(result, limit),
        output_bytes=result.output.total_bytes,
        saved_to=saved_to,
        metadata={
            "exit_code": result.exit_code,
            "duration_ms": round(result.duration / timedelta(milliseconds=1)),
            **({"timed_out": True} if result.timed_out else {}),
        },
    )


def _shown(output: OutputKeeper, context: ToolContext) -> tuple[str, str | None]:
    """What a person would see of it: progress bars are their last state. The whole is kept as it came."""
    screen = TerminalText()

    def came() -> Iterator[bytes]:
        return in_utf8(output.pieces(), code_page=CODE_PAGE)

    def seen() -> Iterator[bytes]:
        for piece in came():
            yield screen.feed(piece)
        yield screen.feed(b"", final=True)

    if all(is_plain(piece) for piece in came()):
        return fit(came(), context, is_whole=output.is_whole)  # masked once: what is seen is what is kept
    text, saved_to = fit(seen(), context, is_whole=output.is_whole, as_it_came=came)
    if not screen.drawn_over or saved_to is not None:
        return text, saved_to
    saved_to, where = _kept(masked(came(), context.mask), context, "the output as it came")
    line_break = "" if text.endswith("\n") else "\n"
    return f"{text}{line_break}[... what was drawn over, such as progress bars, is left out; {where} ...]\n", saved_to


def _kept(pieces: Iterable[bytes], context: ToolContext, what: str) -> tuple[str | None, str]:
    """Where in the workspace it is kept, and words that say so."""
    try:
        saved_to = context.workspace.save_output(context.call_id, pieces)
    except (OSError, KubiyaError) as error:
        return None, f"the whole could not be kept: {getattr(error, 'strerror', None) or error}"
    return saved_to, f"{what} is in {context.named(saved_to)}"


async def report_text(text: str, context: ToolContext, *, saved_to: str | None = None) -> ToolResult:
    """What a tool of the worker's own found out: masked, cut, the whole kept, as with a process."""
    data = text.encode("utf-8", "replace")
    shown, kept = await uninterrupted(asyncio.to_thread(fit, [data], context))
    return ToolResult(succeeded=True, output=shown, output_bytes=len(data), saved_to=saved_to or kept)


async def write_and_report(relative: str, content: bytes, context: ToolContext, *, said: str = "") -> ToolResult:
    """Write a file of the workspace in the worker itself, and say so.

    Raises:
        Exception: what `context.before_effect` raised; nothing was written.

    """

    def begin() -> str:
        context.before_effect()
        return context.workspace.write(relative, [content])

    try:
        path = await uninterrupted(asyncio.to_thread(begin))
    except OutsideWorkspace as error:
        return failed(error.sentence)
    except OSError as error:
        return failed(f"The file {relative[:200]!r} cannot be written: {error.strerror or error}.")
    return ToolResult(
        succeeded=True,
        output=context.mask(f"{context.named(path)} was written ({len(content)} bytes).{said}"),
        saved_to=path,
        metadata={"path": path, "size_bytes": len(content)},
    )


def _error(result: ProcessResult, limit: timedelta) -> str | None:
    if result.timed_out:
        return f"It did not end within {limit.total_seconds():g} s and was stopped, with all that it had started."
    if result.too_much_output:
        return f"It printed more than {_WHOLE_MB} MB and was stopped. Let it print less, or into a file."
    if result.exceeded:
        return result.exceeded
    return how_it_ended(result.exit_code)


def fit(
    pieces: Iterable[bytes],
    context: ToolContext,
    *,
    is_whole: bool = True,
    as_it_came: Callable[[], Iterable[bytes]] | None = None,
) -> tuple[str, str | None]:
    """Output as the model reads it, and where in the workspace the whole is kept if it had to be cut.

    Args:
        pieces: the output, not masked yet.
        context: of the call.
        is_whole: False where `pieces` is only the beginning.
        as_it_came: what is kept instead of `pieces`.

    """
    ends = Ends(limit_bytes=context.output_limit_bytes)

    def counted() -> Iterator[bytes]:
        for piece in masked(pieces, context.mask):
            ends.feed(piece)
            yield piece

    stream = counted()
    early = []
    for piece in stream:
        early.append(piece)
        if ends.was_cut:
            break
    if is_whole and not ends.was_cut:
        text = readable(b"".join(early))
        if len(text.encode()) <= context.output_limit_bytes:
            return text, None
    if as_it_came is None:
        kept = chain(early, stream)
    else:
        for _ in stream:  # both read the same file, one after the other
            pass
        kept = chain(masked(as_it_came(), context.mask))
    saved_to, note = _kept(kept, context, "the whole output" if is_whole else "the beginning of it")
    for _ in stream:  # the end of it is shown, whatever was kept
        pass
    return _join(*ends.parts(), limit_bytes=context.output_limit_bytes, total=ends.total_bytes, note=note), saved_to


def _join(head: bytes, tail: bytes, *, limit_bytes: int, total: int, note: str) -> str:
    """Beginning and end, with a line between them that says what is left out and where it is.

    The text is at most `limit_bytes` of UTF-8 plus that line.
    """
    half = max(1, limit_bytes // 2)
    begin = readable(head).encode()[:half].decode("utf-8", "ignore")
    end = readable(tail).encode()[-half:].decode("utf-8", "ignore")
    if (at := begin.rfind("\n", max(0, len(begin) - _LINE_BREAK_WITHIN))) >= 0:
        begin = begin[: at + 1]
    if (at := end.find("\n", 0, _LINE_BREAK_WITHIN)) >= 0:
        end = end[at + 1 :]
    line_break = "" if begin.endswith("\n") else "\n"
    return f"{begin}{line_break}[... the middle of {total} bytes is left out; {note} ...]\n{end}"


def readable(data: bytes) -> str:
    """As text, whatever it is."""
    # A NUL is legal in JSON and refused by databases behind it.
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")
