"""Settings and policy as files that people edit: read with a sentence for what is wrong, and replaced whole."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from worker_core.basics.files import write_private
from worker_core.errors import ConfigurationError
from worker_core.paths import private_directory

LARGEST_BYTES: Final = 1_000_000
_MARK: Final = "\ufeff"


class Unreadable(ConfigurationError):
    """There is a file, and it is no text that can be used; the sentence says why."""


def read(path: Path, *, what: str) -> tuple[str, str]:
    """What stands in a file, and the byte order mark in front of it, which some editors write; both empty where there
    is no file.

    Args:
        path: of the file.
        what: its name in a sentence, such as `policy file`.

    Raises:
        Unreadable: it cannot be read, is no UTF-8 text, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        return "", ""
    except OSError as error:
        raise Unreadable(f"The {what} {path} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST_BYTES:
        raise Unreadable(f"The {what} {path} is larger than {LARGEST_BYTES} bytes.")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable(f"{path}, line 1: this is UTF-16, not UTF-8 text. Save it as UTF-8.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"{path}, line {line}: this is not UTF-8 text. Save it as UTF-8.") from error
    return (text[1:], text[0]) if text.startswith(_MARK) else (text, "")


def replace(path: Path, text: str) -> None:
    """Write it whole or not at all; where `path` is a link, as those of dotfiles are, what it leads to.

    Raises:
        OSError: it cannot be written.
    """
    target = path.resolve()
    private_directory(target.parent)
    write_private(target, text.encode(), durable=True)
