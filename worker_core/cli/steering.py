"""What pause, resume and stop share: which worker is meant, and how its answer is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from worker_core.cli.situation import paths
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.control_socket.client import RunningWorker
    from worker_core.snapshot import EngineSnapshot


def the_worker(wanted: str) -> RunningWorker:
    """The one with this name, queue or pid, or the only one.

    Raises:
        NoWorker: none fits.
    """
    from worker_core.daemon.instances import chosen

    return chosen(paths().runtime, wanted).the_worker()


def steer(command: Callable[[RunningWorker], EngineSnapshot], *, wanted: str, as_json: bool) -> None:
    """Give one worker a command, and show what it became."""
    show(command(the_worker(wanted)), as_json=as_json)


def show(snapshot: EngineSnapshot, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        from worker_core.basics.sentences import in_english
        from worker_core.cli.screen import say_json

        say_json(in_english(msgspec.to_builtins(snapshot)))
    else:
        say(f"{snapshot.state.value}  {snapshot.reason}")
