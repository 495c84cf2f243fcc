"""What the program was started with: its options, its environment without keys, its folders."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.paths import Paths
from worker_core.secrets import API_KEY_VARIABLE, KEY_VARIABLES, Secret

if TYPE_CHECKING:
    from worker_core.playground.stage import Backend

RING_LINES: Final = 10_000
"""What may be written between two looks of the window, a tenth of a second apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of the command line."""

    at_login: bool = False
    playground: bool = False
    demo: bool = False
    data_dir: Path | None = None
    ask: bool = False
    """Ask for a new task at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Made once. Nothing is written."""

    options: Options
    environ: dict[str, str] = field(repr=False)
    """With the keys that the process's own has no more."""

    paths: Paths
    backend: Backend | None
    """Of a playground, which is not started yet; None: the user's own control plane is used."""

    redactor: Redactor
    ring: LogRing

    @classmethod
    def of(cls, options: Options, environ: MutableMapping[str, str] = os.environ) -> Launch:
        """Raises ConfigurationError: the folders are not usable as they are given."""
        own, redactor = dict(environ), Redactor()
        for name in KEY_VARIABLES:
            redactor.add(environ.pop(name, ""))
        paths, backend = Paths.from_environment(own), None
        if options.playground or options.demo:
            from worker_core.playground.server import Playground
            from worker_core.playground.stage import Backend

            folder = options.data_dir or paths.playground
            backend = Backend(Playground(data_dir=folder), folder=folder)
            paths = backend.worker_paths
        return cls(
            options=options, environ=own, paths=paths, backend=backend, redactor=redactor, ring=LogRing(RING_LINES)
        )

    def use_key(self, key: Secret) -> None:
        """A key that is kept nowhere: it serves until the program ends."""
        self.redactor.add(key)
        self.environ[API_KEY_VARIABLE] = key.reveal()
