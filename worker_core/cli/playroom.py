"""`kubiya-worker playground` without `--demo`: a prompt in the terminal; or, without one, backend and worker alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console
from rich.text import Text

from worker_core.cli import screen
from worker_core.cli.backend import backend, backend_and_worker
from worker_core.cli.conversation import TerminalConversation, TurnOutcome
from worker_core.cli.execute import next_message
from worker_core.cli.stream_view import StreamView
from worker_core.cli.terminal import say
from worker_core.control_plane.models import Execute
from worker_core.errors import KubiyaError
from worker_core.playground.stage import Stage, worker_settings
from worker_core.secrets import Secret


def play(*, data_dir: Path, port: int, llm_url: str | None, model: str | None, only_user: bool) -> int:
    """Ask for prompts until `/quit`, the end of input, or Ctrl-C at the prompt."""
    console = screen.console()
    console.print(Text("Starting a control plane, Temporal and a worker …", style="quiet"))
    with backend_and_worker(data_dir=data_dir, port=port, llm_url=llm_url, model=model, only_user=only_user) as running:
        _introduce(console, running)
        with asyncio.Runner() as runner:
            client = running.backend.client()
            try:
                conversation = None
                while (message := _ask(console)) is not None:
                    if message == "/new":
                        conversation = None
                        console.print(Text("A new conversation.", style="quiet"))
                        continue
                    view = StreamView(console, home=running.home)
                    if conversation is None:
                        conversation = TerminalConversation(client, show=view.take, trouble=view.note)
                    else:
                        conversation = TerminalConversation(
                            client, show=view.take, trouble=view.note, execution_id=conversation.execution_id
                        )
                    outcome = _turn(runner, conversation, running, message, console)
                    if outcome is not None:
                        view.end(outcome)
                    if outcome is None or outcome.status != "waiting_for_input":
                        conversation = None
                return 0
            except KeyboardInterrupt:
                say()
                return 0
            finally:
                runner.run(client.aclose())
                console.print(Text("Stopping …", style="quiet"))


def _turn(
    runner: asyncio.Runner, conversation: TerminalConversation, running: Stage, message: str, console: Console
) -> TurnOutcome | None:
    """One turn; None where it failed or Ctrl-C cancelled it."""

    async def take() -> TurnOutcome:
        if conversation.execution_id:
            return await conversation.turn(message)
        await conversation.begin(running.info.agent_id, Execute(prompt=message, worker_queue_id=running.info.queue_id))
        return await conversation.first_turn()

    try:
        return runner.run(take())
    except KubiyaError as error:
        console.print(Text().append(f"{screen.FAILED} ", style="bad").append_text(screen.text(error.sentence)))
    except KeyboardInterrupt:
        if conversation.execution_id:
            try:
                runner.run(conversation.cancel())
            except KubiyaError as error:
                console.print(screen.text(error.sentence, "careful"))
        console.print()
        console.print(Text(f"{screen.FAILED} cancelled", style="bad"))
    return None


def _ask(console: Console) -> str | None:
    message = next_message()
    if message in {"/help", "/?"}:
        console.print("/new begins a new conversation, /quit ends the playground; Ctrl-C cancels a turn.")
        return _ask(console)
    return message


def _introduce(console: Console, running: Stage) -> None:
    info = running.info
    pairs: list[tuple[str, screen.Cell]] = [
        ("control plane", info.control_plane_url),
        ("model", info.llm_name),
        ("workspaces", str(running.paths.workspaces)),
    ]
    console.print()
    screen.fields(console, pairs, indent="  ")
    console.print()
    console.print(Text("Type a prompt. /new begins a new conversation, /quit ends the playground.", style="quiet"))


def serve_with_worker(*, data_dir: Path, port: int, llm_url: str | None, model: str | None, only_user: bool) -> int:
    """Backend and worker, until a signal ends them."""
    from worker_core.cli.foreground import Foreground

    with backend(data_dir=data_dir, port=port, llm_url=llm_url, model=model, only_user=only_user) as started:
        info = started.info
        say(f"playground  control-plane={info.control_plane_url}  agent={info.agent_id}  model={info.llm_name}")
        foreground = Foreground(
            settings=worker_settings(info), api_key=Secret(info.api_key), paths=started.worker_paths
        )
        return asyncio.run(foreground.run())
