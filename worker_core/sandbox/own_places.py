"""What of a machine is the worker's own, and no tool's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.key_sources import CREDENTIALS_VARIABLE
from worker_core.paths import Paths
from worker_core.sandbox.walls import real

if TYPE_CHECKING:
    from worker_core.settings import Settings


def own_places(settings: Settings, paths: Paths) -> tuple[Path, ...]:
    """Folders and files of the worker, which no tool sees but what it gives it."""
    return (paths.state, paths.config, paths.runtime, *_places_of_keys(settings))


def _places_of_keys(settings: Settings) -> Iterator[Path]:
    """Key files; of one that a link in its folder leads to, as in volumes of Kubernetes, the folder: tomorrow's lies
    there, too.
    """
    for file in (settings.api_key_file, settings.llm_api_key_file, settings.notify_webhook_secret_file):
        if file is not None:
            folder = real(file.parent)
            yield folder if real(file).parent != folder and real(file).is_relative_to(folder) else file
    if folder_of_credentials := os.environ.get(CREDENTIALS_VARIABLE):
        yield Path(folder_of_credentials)
