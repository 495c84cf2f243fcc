"""Where there is no sandbox."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.reachable import Network
from worker_core.sandbox.gate import limited
from worker_core.sandbox.launcher import Command, Holds, on_loopback
from worker_core.sandbox.limits import Limits


@dataclass(frozen=True, slots=True)
class DirectLauncher:
    """No sandbox: only what the process runner itself gives (own process group, scrubbed environment, limits)."""

    limits: Limits | None = None
    name: str = field(default="none", init=False)

    @property
    def enforces(self) -> frozenset[str]:
        held = {Holds.PROCESS_GROUP, Holds.ENVIRONMENT}
        return frozenset(held | ({Holds.LIMITS} if self.limits is not None else set()))

    def door(self, port: int) -> str | None:
        return on_loopback(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:  # noqa: ARG002
        if command.gpus is not None:
            command = replace(command, environment=command.gpus.visible(command.environment))
        if self.limits is None:
            return command
        return limited(command, command.limits or self.limits, workspace=workspace)
