"""Settings and policy as files that people edit: read with a sentence for what is wrong, and replaced whole."""

from __future__ import annotations

import codecs
import os
import shlex
import stat
from pathlib import Path
from typing import Final

from worker_core.basics.files import write_private
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.paths import private_directory, who_else_writes

LARGEST_BYTES: Final = 1_000_000
_MARK: Final = "\ufeff"


class Unreadable(ConfigurationError):
    """There is a file, and it is no text that can be used; the sentence says why, and `line` where, from 1."""

    def __init__(self, sentence: str, *, line: int = 0) -> None:
        super().__init__(sentence)
        self.line = line


def read(path: Path, *, what: str) -> tuple[str, str]:
    """What stands in a file, and the byte order mark in front of it, which some editors write; both empty where there
    is no file.

    Args:
        path: of the file.
        what: its name in a sentence, such as `policy file`.

    Raises:
        Unreadable: it cannot be read, is no file, no UTF-8 text or too large, or others could have written it.
    """
    named = str(path)
    try:
        # A pipe would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) and path.resolve() != Path(os.devnull):
                raise Unreadable(worded("The {what} {path} is no file.", what=what, path=named))
            if who := who_else_writes(path.resolve(), found):
                raise Unreadable(
                    worded(
                        "{who} could have written the {what} {path}, so it is not believed. Look into it, then make it "
                        "yours alone: {command}",
                        who=who,
                        what=what,
                        path=named,
                        command=f"chmod go-w {shlex.quote(named)}",
                    )
                )
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        if path.is_symlink():
            raise Unreadable(worded("The {what} {path} is a link that leads nowhere.", what=what, path=named)) from None
        return "", ""
    except OSError as error:
        why = str(error.strerror)
        raise Unreadable(worded("The {what} {path} cannot be read: {why}.", what=what, path=named, why=why)) from error
    if len(content) > LARGEST_BYTES:
        raise Unreadable(worded("The {what} {path} is larger than {n} bytes.", what=what, path=named, n=LARGEST_BYTES))
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable(
            worded("{path}, line {line}: this is UTF-16, not UTF-8 text. Save it as UTF-8.", path=named, line="1"),
            line=1,
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        said = worded("{path}, line {line}: this is not UTF-8 text. Save it as UTF-8.", path=named, line=str(line))
        raise Unreadable(said, line=line) from error
    return (text[1:], text[0]) if text.startswith(_MARK) else (text, "")


def replace(path: Path, text: str) -> None:
    """Write it whole or not at all; where `path` is a link, as those of dotfiles are, what it leads to.

    Raises:
        OSError: it cannot be written.
    """
    target = path.resolve()
    private_directory(target.parent)
    write_private(target, text.encode(), durable=True)
