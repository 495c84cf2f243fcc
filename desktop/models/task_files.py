"""Files that go along with a task: their text stands behind the request, whichever machine then does it. No Qt."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Final

from desktop.look.language import tr
from desktop.look.wording import size_text
from desktop.models.export import fenced
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.visible import visible_line
from worker_core.errors import KubiyaError

LIMIT_BYTES: Final = 200_000
"""Of all files of a task together: they are in every call of the model, and in a history that takes 2 MB at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    name: str
    """Without its folders, on one line."""

    text: str = field(repr=False)

    @property
    def size_bytes(self) -> int:
        return len(self.text.encode())


def read_file(path: Path, *, room_bytes: int = LIMIT_BYTES) -> TaskFile:
    """A text file of at most `room_bytes`. Nothing but a regular file is opened: a pipe would never end.

    Raises:
        KubiyaError: it is something else, too large, no text, or cannot be read.
    """
    name = visible_line(path.name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise KubiyaError(tr("{file} is no file that can be given along.", file=name))
        with path.open("rb") as file:
            content = file.read(room_bytes + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise KubiyaError(tr("{file} cannot be read: {why}.", file=name, why=why)) from error
    if len(content) > room_bytes:
        room = size_text(LIMIT_BYTES)
        raise KubiyaError(
            tr("{file} is too large: all files of a task together have {room}, as they stand in its request.",
               file=name, room=room)
        )  # fmt: skip
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise KubiyaError(tr("{file} is no text (UTF-8), and a request has nothing but text.", file=name))
    return TaskFile(name=name, text=text)


def with_files(prompt: str, files: Iterable[TaskFile]) -> str:
    """The request as it is sent: each file below it, fenced, so that it cannot be taken for the person's words."""
    parts = [prompt]
    for one in files:
        suffix = Path(one.name).suffix.removeprefix(".")
        language = suffix if suffix.isascii() and suffix.isalnum() else ""
        shown = fenced(one.text, language) or ["(empty)", ""]
        parts.append("\n".join([f"File {one.name}:", "", *shown]).rstrip("\n"))
    return "\n\n".join(parts)
