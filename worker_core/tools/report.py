"""From a process to a tool result: masked, cut for the model, the whole kept in the workspace."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import chain
from pathlib import Path

from worker_core.errors import KubiyaError
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.processes.output import Ends, OutputKeeper
from worker_core.sandbox.processes.process import WHOLE_OUTPUT_LIMIT_BYTES, ProcessResult, run_process, uninterrupted
from worker_core.tools.arguments import failed
from worker_core.tools.base import ToolContext, ToolResult
from worker_core.tools.masking import masked
from worker_core.tools.terminal_text import TerminalText
from worker_core.workspaces.workspace import OutsideWorkspace, Workspace

_LINE_BREAK_WITHIN = 200
"""A cut moves this far, at most, to fall on a line's end."""

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
        configured_folder: where it runs by default; made where it is missing.
        stdin: what the command may read.

    Raises:
        asyncio.CancelledError: nothing of the command is left running.
        Exception: what `context.before_effect` raised; nothing was started.

    """
    limit = min(timeout, context.timeout)
    try:
        folder = _folder(context.workspace, asked_folder, configured_folder)
    except KubiyaError as error:
        return failed(error.sentence)
    except OSError as error:
        return failed(not_started(error))
    command = Command(
        argv=argv,
        cwd=folder,
        environment=tool_environment(context.environment, call_mark=f"{context.execution_id}/{context.call_id}"),
    )
    try:
        result = await run_process(
            await asyncio.to_thread(context.launcher.wrap, command, workspace=context.workspace.path),
            timeout=limit,
            output_limit_bytes=context.output_limit_bytes,
            stdin=stdin,
            before_start=context.before_effect,
        )
    except OSError as error:
        return failed(not_started(error))
    return await uninterrupted(asyncio.to_thread(_describe, result, context, limit))


def _folder(workspace: Workspace, asked: str, configured: str) -> Path:
    if not asked:
        return workspace.make_folder(configured or ".")
    folder = workspace.resolve(asked)
    if not os.path.isdir(folder):  # noqa: PTH112 -- Path's raises where a name is too long
        raise KubiyaError(f"There is no folder {asked[:200]!r} in the workspace; nothing was run.")
    return folder


def not_started(error: OSError) -> str:
    """Why a command did not start, for the model."""
    if error.errno == errno.E2BIG:
        return "The command, or a variable of the execution, is too long for the system; nothing was run."
    where = f" ({str(error.filename)[:200]})" if error.filename else ""
    return f"The command could not be started, nothing was run: {error.strerror or error}{where}."


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

    def seen() -> Iterator[bytes]:
        for piece in output.pieces():
            yield screen.feed(piece)
        yield screen.feed(b"", final=True)

    text, saved_to = fit(seen(), context, is_whole=output.is_whole, as_it_came=output.pieces)
    if not screen.drawn_over or saved_to is not None:
        return text, saved_to
    saved_to, where = _kept(masked(output.pieces(), context.mask), context, "the output as it came")
    line_break = "" if text.endswith("\n") else "\n"
    return f"{text}{line_break}[... what was drawn over, such as progress bars, is left out; {where} ...]\n", saved_to


def _kept(pieces: Iterable[bytes], context: ToolContext, what: str) -> tuple[str | None, str]:
    """Where in the workspace it is kept, and words that say so."""
    try:
        saved_to = context.workspace.save_output(context.call_id, pieces)
    except (OSError, KubiyaError) as error:
        return None, f"the whole could not be kept: {getattr(error, 'strerror', None) or error}"
    return saved_to, f"{what} is in {saved_to}"


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
        output=context.mask(f"{path} was written ({len(content)} bytes).{said}"),
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
    if result.exit_code < 0:
        return f"It was ended by signal {signal_name(-result.exit_code)}."
    if result.exit_code > 128 and (name := signal_name(result.exit_code - 128)).startswith("SIG"):
        return f"It exited with code {result.exit_code}: that is how shells report {name}."
    if result.exit_code != 0:
        return f"It exited with code {result.exit_code}."
    return None


_SIGNAL_REASONS = {
    "SIGKILL": "out of memory, or killed by somebody",
    "SIGXCPU": "it used up its processor time",
    "SIGXFSZ": "it wrote a file larger than is allowed",
    "SIGSYS": "it made a system call that is not allowed",
}


def signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return str(number)
    return f"{name} ({_SIGNAL_REASONS[name]})" if name in _SIGNAL_REASONS else name


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
