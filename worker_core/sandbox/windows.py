"""Windows: a restricted token of low integrity, in a job object with limits. Not run by us on Windows yet.

Low integrity keeps a tool from writing anything but its workspace and from touching other programs' windows and
processes. It does not keep it from reading, nor from the network. A folder of the owner's that is granted for writing
can only be read: it would need a label of low integrity, for good. `windows_child.py` makes the token and starts the
tool with it; the job object (`windows_job.py`) holds both.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from worker_core.network.reachable import Network
from worker_core.sandbox.interpreter import interpreter_path
from worker_core.sandbox.launcher import Command, Holds, on_loopback
from worker_core.sandbox.walls import Walls, sandboxed_environment

CHILD = Path(__file__).with_name("windows_child.py")


class RestrictedToken:
    """Starts commands through `windows_child.py`. It cannot enforce a network policy, and says so."""

    name = "restricted-token"

    def __init__(self, *, walls: Walls) -> None:
        self._walls = walls

    @property
    def enforces(self) -> frozenset[str]:
        return frozenset({Holds.PROCESS_GROUP, Holds.ENVIRONMENT, Holds.PRIVILEGES, Holds.LIMITS})

    def door(self, port: int) -> str | None:
        return on_loopback(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:  # noqa: ARG002
        interpreter = interpreter_path()
        if interpreter is None:
            raise FileNotFoundError(2, "There is no Python interpreter, which starts tools with fewer rights")
        home = command.home or workspace / ".kubiya" / "home"
        environment = sandboxed_environment(
            command.environment, home=home, proxy=None, keeps_proxies=True, tmp=str(workspace / ".kubiya" / "tmp")
        )
        written = [str(workspace), *([] if command.home is None else [str(command.home)])]
        environment |= dict.fromkeys(("TEMP", "TMP"), environment["TMPDIR"]) | {"USERPROFILE": str(home)}
        return replace(
            command,
            argv=[interpreter, "-I", "-S", str(CHILD), *written, "--", *command.argv],
            environment=environment,
            limits=command.limits or self._walls.limits,
            workspace=workspace,
        )
