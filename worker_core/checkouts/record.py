"""Which execution has a working copy of which repository: outside of workspaces, where no tool comes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.files import write_private
from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError
from worker_core.paths import is_private, private_directory
from worker_core.workspaces.workspace import safe_name


class CheckoutError(KubiyaError):
    """A working copy could not be made, looked at or merged; the sentence says why, and what is left as it was."""


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """One working copy. `base` is the commit that it began with."""

    execution_id: str
    repository: str
    """The top folder of the owner's checkout."""

    base: str
    branch: str
    within: str = ""
    """The folder in it that was asked for; empty: the top."""

    state: Literal["making", "open", "merged", "discarded"] = "open"
    """`making`: no tool has been in its workspace so far."""


class CheckoutRecords:
    """All of this machine. Blocks; usable from any thread and process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> Iterator[Checkout]:
        """What cannot be read is passed over."""
        for file in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            if (one := self._read(file)) is not None:
                yield one

    def find(self, execution_id: str) -> Checkout | None:
        return self._read(self._file(execution_id))

    def one(self, beginning: str) -> Checkout:
        """The only one whose execution's id begins so.

        Raises:
            CheckoutError: there is none, or there are several.
        """
        found = [one for one in self.all() if one.execution_id.startswith(beginning)]
        exact = [one for one in found if one.execution_id == beginning]
        if len(exact or found) != 1 or not beginning:
            named = repr(beginning[:40])
            raise CheckoutError(
                worded("Several executions with a working copy begin with the id {id}.", id=named)
                if found
                else worded("No execution has a working copy with the id {id}.", id=named)
            ).with_repair("`kubiya-worker changes` lists them.")
        return (exact or found)[0]

    def keep(self, one: Checkout) -> None:
        """Raises CheckoutError."""
        try:
            private_directory(self._folder)
            write_private(self._file(one.execution_id), msgspec.json.encode(one), durable=True)
        except OSError as error:
            raise CheckoutError(
                worded(
                    "The working copy cannot be noted down ({why}); nothing was changed.",
                    why=str(error.strerror or error),
                )
            ) from error

    def forget(self, execution_id: str) -> None:
        with contextlib.suppress(OSError):
            self._file(execution_id).unlink(missing_ok=True)

    def _file(self, execution_id: str) -> Path:
        return self._folder / f"{safe_name(execution_id)}.json"

    def _read(self, file: Path) -> Checkout | None:
        try:
            return typed_json.decode(file.read_bytes(), Checkout) if is_private(file) else None
        except (OSError, msgspec.DecodeError):
            return None
