"""The policy file as the settings page edits it: text that the worker itself can read, or nothing is saved."""

from __future__ import annotations

from pathlib import Path

from desktop.look.language import fact
from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError
from worker_core.policy.file import TEMPLATE, BrokenPolicy, parse, read_text
from worker_core.policy.rules import Rule
from worker_core.settings import text_file


class PolicyStore:
    """Of one machine. A running worker takes a change up by itself."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def text(self) -> str:
        """What stands in it; a template where there is none yet.

        Raises:
            KubiyaError: it cannot be read.
        """
        return read_text(self._file)[0] if self._file.exists() else TEMPLATE

    def read(self, text: str) -> tuple[tuple[Rule, ...] | None, str]:
        """The rules of a text in their order, and a sentence on what is wrong: one of the two."""
        try:
            return parse(text, file=self._file.name), ""
        except BrokenPolicy as error:
            return None, fact(error)

    def save(self, text: str) -> None:
        """Raises KubiyaError: the text is no policy, or cannot be written."""
        parse(text, file=self._file.name)
        try:
            text_file.replace(self._file, text)
        except OSError as error:
            said = worded(
                "The policy file {file} cannot be written: {why}.", file=str(self._file), why=str(error.strerror)
            )
            raise KubiyaError(said) from error
