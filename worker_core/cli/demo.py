"""`kubiya-worker playground --demo`: one agent task with tools, live, and a summary."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from worker_core.basics.quick_dataclass import dataclass
from worker_core.cli import screen
from worker_core.cli.backend import backend_and_worker
from worker_core.cli.conversation import TerminalConversation, TurnOutcome
from worker_core.cli.stream_view import StreamView, tokens_of
from worker_core.control_plane.models import Execute
from worker_core.errors import ExitCode, KubiyaError
from worker_core.playground.stage import DEMO_PROMPT, Stage

REAL_MODEL_LIMIT: Final = timedelta(seconds=30)
"""For a model that was found on this machine: a slow one must not keep the demo from ending within a minute."""
LIMIT: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    outcome: TurnOutcome
    view: StreamView
    model_calls: int
    files: list[Path]

    @property
    def convinces(self) -> bool:
        return self.outcome.exit_code is ExitCode.OK and self.view.tools > 0

    @property
    def exit_code(self) -> ExitCode:
        """An agent goes on behind a tool that failed; the demo is there to show that tools work."""
        failed = self.outcome.exit_code is ExitCode.OK and self.view.tools_failed > 0
        return ExitCode.EXECUTION_FAILED if failed else self.outcome.exit_code


def demonstrate(*, data_dir: Path | None, port: int, llm_url: str | None, model: str | None, only_user: bool) -> int:
    """Run the demo; the exit code. Nothing runs afterwards; the files that the agent wrote are left."""
    console = screen.console()
    try:
        with _folder(data_dir, console) as folder:
            for discover in (True, False) if llm_url is None else (True,):
                run = _attempt(
                    console, folder, port=port, llm_url=llm_url, model=model, only_user=only_user, discover=discover
                )
                if run is not None:
                    break
            assert run is not None  # the last attempt gives a result or raises
    except KeyboardInterrupt:
        console.print()
        console.print("Stopped; nothing is left running.")
        return 130
    _summary(console, run)
    return int(run.exit_code)


def _attempt(
    console: Console,
    folder: Path,
    *,
    port: int,
    llm_url: str | None,
    model: str | None,
    only_user: bool,
    discover: bool,
) -> _Run | None:
    """One run. None: the model that was found on this machine did not do it, another attempt may."""
    began = time.monotonic()
    with backend_and_worker(
        data_dir=folder, port=port, llm_url=llm_url, model=model, only_user=only_user, discover=discover
    ) as running:
        ready = time.monotonic() - began
        scripted = bool(running.info.llm_api_key)
        found = not scripted and llm_url is None
        _introduce(console, running, ready)
        view = StreamView(console)
        view.prompt(DEMO_PROMPT)
        try:
            with asyncio.Runner() as runner:
                outcome = runner.run(_execute(running, view, REAL_MODEL_LIMIT if found else LIMIT))
        except TimeoutError:
            if not found:
                raise KubiyaError(f"The demo did not end within {LIMIT.total_seconds():g} s.") from None
            view.note(f"{running.info.llm_name} needs too long for a demo; the scripted model shows it instead.")
            return None
        view.end(outcome)
        workspace = running.paths.workspaces / outcome.execution_id
        run = _Run(
            outcome=outcome,
            view=view,
            model_calls=running.backend.model_calls(outcome.execution_id),
            files=_files(workspace),
        )
        if found and not run.convinces:
            view.note(f"{running.info.llm_name} used no tool; the scripted model shows what a tool call looks like.")
            return None
        return run


async def _execute(running: Stage, view: StreamView, limit: timedelta) -> TurnOutcome:
    client = running.backend.client()
    conversation = TerminalConversation(client, show=view.take, trouble=view.note)
    try:
        async with asyncio.timeout(limit.total_seconds()):
            wish = Execute(prompt=DEMO_PROMPT, worker_queue_id=running.info.queue_id)
            await conversation.begin(running.info.agent_id, wish)
            return await conversation.first_turn()
    except TimeoutError:
        with suppress(KubiyaError):
            await client.cancel(conversation.execution_id)
        raise
    finally:
        await client.aclose()


def _introduce(console: Console, running: Stage, ready: float) -> None:
    console.print(Text("Kubiya Worker demo", style="strong"))
    console.print()
    info = running.info
    pairs: list[tuple[str, screen.Cell]] = [
        ("control plane", f"{info.control_plane_url} (a playground on this machine)"),
        ("Temporal", f"{info.temporal_host} (dev server)"),
        ("model", info.llm_name),
        ("worker", f"ready after {screen.duration(ready)}, polls queue {info.queue_id}"),
    ]
    screen.fields(console, pairs, indent="  ")
    console.print()


def _summary(console: Console, run: _Run) -> None:
    outcome, view = run.outcome, run.view
    console.print()
    pairs: list[tuple[str, screen.Cell]] = [
        ("execution", outcome.execution_id),
        ("duration", f"{screen.duration(outcome.seconds)} from submit to done"),
        ("tool calls", f"{view.tools}" + (f", {view.tools_failed} failed" if view.tools_failed else "")),
        ("model calls", f"{run.model_calls}"),
    ]
    if tokens := tokens_of(outcome.usage):
        pairs.append(("tokens", f"{tokens:,}"))
    for number, file in enumerate(run.files):
        pairs.append(("file" if number == 0 else "", str(file)))
    screen.fields(console, pairs, indent="  ")
    console.print()
    if run.exit_code is ExitCode.OK:
        console.print(Text("Nothing is left running. Next: kubiya-worker playground", style="quiet"))
    elif outcome.exit_code is ExitCode.OK:
        console.print(
            Text("A tool call failed, so something on this machine is not as it should be. Next: kubiya-worker doctor"),
            style="bad",
        )


@contextmanager
def _folder(data_dir: Path | None, console: Console) -> Iterator[Path]:
    """Where the demo keeps its state: the given folder, or a temporary one of which only the workspaces stay."""
    if data_dir is not None:
        yield data_dir
        return
    folder = Path(tempfile.mkdtemp(prefix="kubiya-demo-"))
    try:
        yield folder
    except Exception:
        console.print(f"The logs of this demo are in {folder}.", soft_wrap=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        _keep_workspaces(folder)


def _keep_workspaces(folder: Path) -> None:
    kept = folder / "worker" / "state" / "workspaces"
    for path in folder.iterdir():
        if path.name != "worker":
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for path in (*(folder / "worker").iterdir(), *kept.parent.iterdir()):
        if path not in {kept, kept.parent}:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _files(workspace: Path) -> list[Path]:
    """What the agent wrote, at most ten; hidden files are the worker's own."""
    if not workspace.is_dir():
        return []
    found = sorted(
        path
        for path in workspace.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(workspace).parts)
    )
    return found[:10]
