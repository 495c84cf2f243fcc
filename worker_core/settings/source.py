"""Where a worker's settings come from, so that they can be read again while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from worker_core.key_sources import CREDENTIALS_VARIABLE, LLM_API_KEY
from worker_core.settings.fields import SETTINGS
from worker_core.settings.reading import Reading, read

_OF_KEYS: Final = (CREDENTIALS_VARIABLE, LLM_API_KEY.variable, LLM_API_KEY.file_variable)


class SettingsSource:
    """The file anew each time; environment and flags as they were at the start: those of a process do not change."""

    def __init__(self, *, environ: Mapping[str, str], flags: Mapping[str, Any], file: Path) -> None:
        """Nothing is read.

        Args:
            environ: usually `os.environ`; the variables of settings are kept, before keys are taken out of it.
            flags: field name -> value; None and empty tuples mean "not given".
            file: TOML file; one that does not exist counts as empty.
        """
        variables = {*_OF_KEYS, *(one.variable for one in SETTINGS.values())}
        self._environ = {name: text for name, text in environ.items() if name in variables}
        self._flags = dict(flags)
        self._file = file

    def read(self) -> Reading:
        """All three as they are now. Never raises."""
        return read(environ=self._environ, flags=self._flags, file=self._file)
