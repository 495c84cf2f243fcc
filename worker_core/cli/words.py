"""What people write on the command line and into its input: text, also where its bytes are no UTF-8."""

from __future__ import annotations

import sys
from typing import Final

import click

from worker_core.basics.whole_text import whole

STDIN_LIMIT_BYTES: Final = 4 << 20
"""Of a prompt. An agent reads no more than 300 000 characters of one."""


def words(value: str) -> str:
    """The type of an argument for a model or a server. Bytes that are no UTF-8 become U+FFFD, as in an editor."""
    return whole(value)


def read_stdin() -> str:
    """All of the standard input: as UTF-8, or as the system's own encoding where it is none.

    Raises:
        click.UsageError: it is longer than 4 MB.
    """
    content: bytes = sys.stdin.buffer.read(STDIN_LIMIT_BYTES + 1)
    if len(content) > STDIN_LIMIT_BYTES:
        raise click.UsageError(
            f"What comes on stdin is longer than {STDIN_LIMIT_BYTES >> 20} MB; nothing was sent. Name a file or an "
            "address that the agent can read instead."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding = sys.stdin.encoding or "utf-8"
        return content.decode("utf-8" if encoding.lower() == "ascii" else encoding, "replace")
