"""From a process to a tool result: masked, cut for the model, the whole kept in the workspace."""

from __future__ import annotations

from datetime import timedelta

from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.process import WHOLE_OUTPUT_LIMIT_BYTES, ProcessResult, run_process
from worker_core.sandbox.workspace import OutsideWorkspace
from worker_core.tools.arguments import failed
from worker_core.tools.base import ToolContext, ToolResult

_LINE_BREAK_WITHIN = 200
"""A cut moves this far, at most, to fall on a line's end."""


async def run_and_report(
    argv: list[str], context: ToolContext, *, timeout: timedelta, working_directory: str = "", stdin: bytes = b""
) -> ToolResult:
    """Start a command in the workspace and describe how it went. Raises only CancelledError."""
    try:
        folder = context.workspace.resolve(working_directory or ".")
        command = Command(
            argv=argv,
            cwd=folder,
            environment=tool_environment(context.environment, call_mark=f"{context.execution_id}/{context.call_id}"),
        )
        result = await run_process(
            context.launcher.wrap(command, workspace=context.workspace.path),
            timeout=min(timeout, context.timeout),
            output_limit_bytes=context.output_limit_bytes,
            stdin=stdin,
            before_start=context.before_effect,
        )
    except OutsideWorkspace as error:
        return failed(error.sentence)
    except OSError as error:
        return ToolResult(
            succeeded=False, output="", error=f"The command could not be started: {error.strerror or error}."
        )
    try:
        return _describe(result, context, min(timeout, context.timeout))
    finally:
        result.output.close()


def _describe(result: ProcessResult, context: ToolContext, timeout: timedelta) -> ToolResult:
    head, tail = result.output.ends()
    saved_to: str | None = None
    if result.output.was_cut:
        whole = context.mask(result.output.whole().decode("utf-8", "replace"))
        saved_to = context.workspace.save_output(context.call_id, whole.encode("utf-8", "replace"))
        text = cut(whole, limit_bytes=context.output_limit_bytes, saved_to=saved_to)
    else:
        text = context.mask((head + tail).decode("utf-8", "replace"))
    return ToolResult(
        succeeded=result.exit_code == 0 and not result.timed_out and not result.too_much_output,
        output=text,
        error=_error(result, timeout),
        output_bytes=result.output.total_bytes,
        saved_to=saved_to,
        metadata={"exit_code": result.exit_code, "duration_ms": round(result.duration / timedelta(milliseconds=1))},
    )


def _error(result: ProcessResult, timeout: timedelta) -> str | None:
    if result.timed_out:
        return f"It did not end within {timeout.total_seconds():g} s and was stopped."
    if result.too_much_output:
        return f"It printed more than {WHOLE_OUTPUT_LIMIT_BYTES // (1024 * 1024)} MB and was stopped."
    if result.exit_code < 0:
        return f"It was ended by signal {-result.exit_code}."
    if result.exit_code != 0:
        return f"It exited with code {result.exit_code}."
    return None


def cut(text: str, *, limit_bytes: int, saved_to: str) -> str:
    """Beginning and end of a text, with a line between them that says what is left out and where it is.

    Cut text is at most `limit_bytes` of UTF-8 plus that line.
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return text
    half = limit_bytes // 2
    head = data[:half].decode("utf-8", "ignore")
    tail = data[len(data) - half :].decode("utf-8", "ignore")
    if (end := head.rfind("\n", max(0, len(head) - _LINE_BREAK_WITHIN))) >= 0:
        head = head[: end + 1]
    if (begin := tail.find("\n", 0, _LINE_BREAK_WITHIN)) >= 0:
        tail = tail[begin + 1 :]
    left_out = len(data) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[... {left_out} bytes left out; the whole output is in {saved_to} ...]\n{tail}"
