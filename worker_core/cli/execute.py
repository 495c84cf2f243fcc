"""`kubiya-worker execute`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from worker_core.basics.home import expanded
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.whole_text import whole
from worker_core.cli.root import Examples
from worker_core.cli.setting_options import CONTROL_PLANE, setting_options
from worker_core.cli.situation import json_option
from worker_core.cli.terminal import say
from worker_core.cli.words import read_stdin, words

if TYPE_CHECKING:
    from worker_core.cli.conversation import TerminalConversation, TurnOutcome
    from worker_core.cli.stream_view import JsonView, StreamView
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the command line asked for."""

    prompt: str
    agent: str
    execution: str
    follow: str
    follows: bool
    interactive: bool
    as_json: bool
    model: str | None
    system_prompt: str | None
    cwd: str


@click.command(
    cls=Examples,
    help="""Submit a prompt to an agent and follow what happens, live.

    PROMPT - reads it from stdin. It ends when the agent is done or waits for you; --execution ID then continues the
    conversation. Ctrl-C ends the watching alone: the execution goes on.

    The exit code is 7 where the execution failed, and 8 where it was cancelled.""",
    examples=(
        'kubiya-worker execute --agent demo-agent "What is in this folder?"',
        'kubiya-worker execute --execution ID "And how big is it?"',
        "git diff | kubiya-worker execute --agent reviewer -",
        "kubiya-worker execute --agent demo-agent -i",
        'kubiya-worker execute --cwd ~/repo "Mend the failing test"',
        "kubiya-worker execute --follow ID",
    ),
)
@click.argument("prompt", type=words, required=False, default="")
@click.option("--agent", type=words, default="", metavar="ID", help="Id or name; not needed where there is only one.")
@click.option("--queue-id", default="", metavar="ID", help="Queue whose workers do it (QUEUE_ID).")
@click.option("--execution", default="", metavar="ID", help="Continue this conversation.")
@click.option("-i", "--interactive", is_flag=True, help="Ask for the next message after each turn.")
@click.option("--follow", default="", metavar="ID", help="Follow an execution that runs already.")
@click.option("--no-follow", is_flag=True, help="Submit, print the execution's id, and leave.")
@click.option("--mark-done", default="", metavar="ID", help="End a conversation that waits for input.")
@click.option("--cancel", default="", metavar="ID", help="Cancel an execution.")
@click.option("--model", type=words, metavar="NAME", help="Instead of the agent's own.")
@click.option("--system-prompt", type=words, metavar="TEXT", help="Instead of the agent's own.")
@click.option(
    "--cwd",
    type=words,
    default="",
    metavar="FOLDER",
    help="Work in this folder, or in a copy of its git repository, as the worker's owner has granted it (`folders`).",
)
@setting_options(*CONTROL_PLANE)
@json_option
def command(
    *,
    prompt: str,
    agent: str,
    queue_id: str,
    execution: str,
    interactive: bool,
    follow: str,
    no_follow: bool,
    mark_done: str,
    cancel: str,
    model: str | None,
    system_prompt: str | None,
    cwd: str,
    as_json: bool,
    **flags: Any,
) -> int:
    from worker_core.cli.situation import load_settings

    if sum(map(bool, (execution, follow, mark_done, cancel))) > 1:
        raise click.UsageError("--execution, --follow, --mark-done and --cancel exclude each other.")
    settings = load_settings({"queue_ids": (queue_id,) if queue_id else (), **flags})
    if cancel or mark_done:
        return _command(settings, cancel=cancel, mark_done=mark_done, as_json=as_json)
    if prompt == "-":
        prompt = read_stdin()
    if cwd and (execution or follow):
        raise click.UsageError("--cwd is for a new execution: one that there is works where it was begun.")
    if follow and (prompt or no_follow):
        raise click.UsageError("--follow goes neither with a prompt nor with --no-follow.")
    if not follow and not interactive and not prompt.strip():
        raise click.UsageError("There is no prompt. Give one, or `-` to read it from stdin.")
    if interactive and no_follow:
        raise click.UsageError("--interactive and --no-follow exclude each other.")
    wish = _Wish(
        prompt=prompt, agent=agent, execution=execution, follow=follow, follows=not no_follow,
        interactive=interactive, as_json=as_json, model=model, system_prompt=system_prompt,
        cwd=str(expanded(cwd).absolute()) if cwd else "",
    )  # fmt: skip
    with asyncio.Runner() as runner:
        return _execute(runner, settings, wish)


def _execute(runner: asyncio.Runner, settings: Settings, wish: _Wish) -> int:
    from worker_core.cli import screen
    from worker_core.cli.conversation import TerminalConversation
    from worker_core.cli.situation import open_client
    from worker_core.cli.stream_view import JsonView, StreamView

    view = JsonView(artefacts=_artefacts) if wish.as_json else StreamView(screen.console())
    client = runner.run(open_client(settings))
    conversation = TerminalConversation(
        client, show=view.take, trouble=view.note, execution_id=wish.execution or wish.follow
    )
    try:
        if not wish.prompt and not wish.follow:  # interactive: the first message is asked for
            typed = next_message()
            if typed is None:
                return 0
        else:
            typed = wish.prompt
        if wish.follow:
            outcome = runner.run(conversation.first_turn())
        elif wish.execution:
            if not wish.follows:
                runner.run(client.send_message(wish.execution, typed))
                _submitted(wish.execution, as_json=wish.as_json)
                return 0
            outcome = runner.run(conversation.turn(typed))
        else:
            queue_id = runner.run(_begin(client, conversation, settings, wish, typed))
            if not wish.follows:
                _submitted(conversation.execution_id, as_json=wish.as_json)
                return 0
            outcome = runner.run(_first_turn(client, conversation, queue_id, view))
        outcome = converse(
            runner, conversation, view, outcome, ask=lambda: next_message() if wish.interactive else None
        )
        if outcome.status == "waiting_for_input" and not wish.as_json:
            _how_to_go_on(outcome.execution_id)
        return int(outcome.exit_code)
    except KeyboardInterrupt:
        if conversation.execution_id:
            _goes_on(conversation.execution_id)
        else:
            say(err=True)
        return 130
    finally:
        runner.run(client.aclose())


def converse(
    runner: asyncio.Runner,
    conversation: TerminalConversation,
    view: StreamView | JsonView,
    outcome: TurnOutcome,
    *,
    ask: Callable[[], str | None],
) -> TurnOutcome:
    """Show how the turn ended; while there is a next message, take the next turn."""
    view.end(outcome)
    while outcome.status == "waiting_for_input" and (message := ask()) is not None:
        outcome = runner.run(conversation.turn(message))
        view.end(outcome)
    return outcome


def next_message() -> str | None:
    """What the user types next; None at the end of input or for `/quit`."""
    from worker_core.logs.sinks import wants_colour

    terminal = sys.stdin.isatty()
    # readline counts what stands between \x01 and \x02 as no columns.
    mark = "\x01\x1b[36m\x02› \x01\x1b[0m\x02" if wants_colour(sys.stderr) and sys.platform != "win32" else "> "
    if terminal:
        import contextlib

        with contextlib.suppress(ImportError):  # line editing and history, where the system has them
            import readline  # noqa: F401
        say()
    while True:
        try:
            typed = whole(input(mark if terminal else "")).strip()
        except EOFError:
            if terminal:
                say()
            return None
        if typed in {"/quit", "/exit"}:
            return None
        if typed:
            if terminal:
                say()
            return typed


async def _begin(
    client: ControlPlaneClient, conversation: TerminalConversation, settings: Settings, wish: _Wish, prompt: str
) -> str:
    """Submit the prompt; returns the id of the queue whose workers are to take it."""
    agent_id, queue_id = await asyncio.gather(_agent_id(client, wish.agent), _queue_id(client, settings))
    from worker_core.control_plane.models import Execute

    await conversation.begin(
        agent_id,
        Execute(
            prompt=prompt,
            worker_queue_id=queue_id,
            model_id=wish.model,
            system_prompt=wish.system_prompt,
            execution_environment={"working_dir": wish.cwd} if wish.cwd else None,
        ),
    )
    return queue_id


async def _first_turn(
    client: ControlPlaneClient, conversation: TerminalConversation, queue_id: str, view: StreamView | JsonView
) -> TurnOutcome:
    from worker_core.cli.unattended import noticed

    async with noticed(client, conversation.execution_id, queue_id, say=view.note):
        return await conversation.first_turn()


async def _agent_id(client: ControlPlaneClient, wanted: str) -> str:
    from uuid import UUID

    from worker_core.basics.plain import one_line
    from worker_core.errors import ConfigurationError

    try:
        return str(UUID(wanted))
    except ValueError:
        pass
    agents = await client.list_agents()
    fitting = [agent for agent in agents if not wanted or wanted in {agent.id, agent.name}]
    if len(fitting) == 1:
        return fitting[0].id
    if not agents:
        raise ConfigurationError("This organization has no agent yet. Make one on the control plane.")
    names = ", ".join(one_line(agent.name or agent.id, 60) for agent in agents[:20])
    more = f" and {len(agents) - 20} more" if len(agents) > 20 else ""
    if wanted and not fitting:
        raise ConfigurationError(f"There is no agent {wanted!r}. There are: {names}{more}.")
    raise ConfigurationError(f"Say which agent with --agent (by id where a name is used twice): {names}{more}.")


async def _queue_id(client: ControlPlaneClient, settings: Settings) -> str:
    from worker_core.basics.plain import one_line
    from worker_core.errors import ConfigurationError

    if len(settings.queue_ids) == 1:
        return settings.queue_ids[0]
    queues = [queue for queue in await client.list_queues() if queue.status in {"active", ""}]
    manned = [queue for queue in queues if queue.active_workers]
    for some in (queues, manned):
        if len(some) == 1:
            return some[0].id
    if not queues:
        raise ConfigurationError("This organization has no active worker queue: `kubiya-worker queues`.")
    names = ", ".join(f"{one_line(queue.name, 60)} ({queue.id})" for queue in queues[:10])
    raise ConfigurationError(f"Say which queue with --queue-id: {names}{', …' if len(queues) > 10 else ''}.")


def _artefacts(execution_id: str) -> list[dict[str, Any]] | None:
    """The files that the execution left, where this machine is the one that ran it."""
    from worker_core.paths import Paths
    from worker_core.workspaces.workspace import Workspace

    workspace = Workspace.find(Paths.from_environment().workspaces, execution_id)
    return None if workspace is None else [artefact.to_json() for artefact in workspace.artefacts()]


def _command(settings: Settings, *, cancel: str, mark_done: str, as_json: bool) -> int:
    from worker_core.cli.screen import say_json
    from worker_core.cli.situation import connected

    async def call() -> None:
        async with connected(settings) as client:
            if cancel:
                await client.cancel(cancel)
            else:
                await client.mark_done(mark_done)

    asyncio.run(call())
    did = "cancelled" if cancel else "marked as done"
    if as_json:
        say_json({"execution_id": cancel or mark_done, "done": did})
    else:
        say(f"The execution {cancel or mark_done} is {did}.")
    return 0


def _submitted(execution_id: str, *, as_json: bool) -> None:
    from worker_core.cli.screen import say_json

    if as_json:
        say_json({"event": "submitted", "execution_id": execution_id})
    else:
        say(execution_id)


def _how_to_go_on(execution_id: str) -> None:
    from rich.text import Text

    from worker_core.cli import screen

    console = screen.console(stderr=True)
    hint = f'  go on with: kubiya-worker execute --execution {execution_id} "…"'
    console.print(Text(hint, style="quiet"), soft_wrap=True)


def _goes_on(execution_id: str) -> None:
    say(
        f"\nThe execution goes on. Follow it: kubiya-worker execute --follow {execution_id}\n"
        f"Cancel it: kubiya-worker execute --cancel {execution_id}",
        err=True,
    )
