"""What the command line tells a supervisor, once and over a pipe: keys stand in no argument, file or environment."""

from __future__ import annotations

from typing import Any, NamedTuple


class Brief(NamedTuple):
    """Times in seconds. No dataclass: that would be a megabyte of every supervisor."""

    name: str
    pid: int
    """The supervisor's, as the command line sees it."""

    born: float
    """Its start, as `control_socket/endpoint.py` measures it."""

    mark: str
    """Its birth mark, likewise."""

    worker: tuple[str, ...]
    """The worker's program and arguments."""

    recorder: tuple[str, ...]
    """Likewise: masks what it reads on stdin (`record.py`), and writes it to the log file."""

    environment: dict[str, str]
    """Of both; it holds no key of ours."""

    keys: dict[str, str]
    """Variables that the worker is told over its stdin."""

    folder: str
    """Where the worker works."""

    runtime: str
    """`paths.runtime`, which is there and private."""

    socket_path: str
    """Where the supervisor listens; empty: at a port of the loopback."""

    log_file: str
    restart_after: float
    restart_after_limit: float
    hung_after: float

    @classmethod
    def of(cls, told: dict[str, Any]) -> Brief:
        return cls(**{**told, "worker": tuple(told["worker"]), "recorder": tuple(told["recorder"])})

    def __repr__(self) -> str:
        return f"Brief({self.name})"
