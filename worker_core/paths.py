"""Every path the worker uses, decided once.

`KUBIYA_WORKER_HOME` moves them all below one folder (tests, portable installations, several workers of one user).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP_NAME = "kubiya-worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Folders of one installation. Nothing is created by asking for a path."""

    config: Path
    state: Path
    runtime: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        if home := environ.get("KUBIYA_WORKER_HOME"):
            base = Path(home).expanduser()
            return cls(config=base / "config", state=base / "state", runtime=base / "run")
        return cls(
            config=platformdirs.user_config_path(APP_NAME, appauthor=False),
            state=platformdirs.user_state_path(APP_NAME, appauthor=False),
            runtime=platformdirs.user_state_path(APP_NAME, appauthor=False) / "run",
        )

    @property
    def settings_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def policy_file(self) -> Path:
        return self.config / "policy.toml"

    @property
    def approvals(self) -> Path:
        return self.state / "approvals"

    @property
    def audit_file(self) -> Path:
        return self.state / "audit" / "audit.jsonl"

    @property
    def host_id_file(self) -> Path:
        return self.state / "host-id"

    @property
    def workspaces(self) -> Path:
        return self.state / "workspaces"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def playground(self) -> Path:
        return self.state / "playground"


def private_directory(path: Path) -> Path:
    """Create `path` (and its parents) readable by its owner alone, and return it.

    Raises:
        OSError: the folder cannot be made.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
