"""A command line in a setting: words, without a shell."""

from __future__ import annotations

import os
import shlex

from worker_core.basics.sentences import worded


def command_words(text: str) -> list[str]:
    """The program and its arguments. Quotes hold words together; nothing is expanded.

    Raises:
        ValueError: there is none; the message goes on from "X is Y; ".
    """
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError:
        raise ValueError(worded("a quotation mark in it is not closed")) from None
    if os.name == "nt":  # there, backslashes belong to paths, and quotes stay
        words = [word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else word for word in words]
    if not words or not words[0]:
        raise ValueError(worded("it must be a program and its arguments"))
    if "\0" in text:
        raise ValueError(worded("it holds a character that no command line can hold"))
    return words


def command_line(text: str) -> str:
    """The text itself, where it is a command line. Raises ValueError as `command_words`."""
    command_words(text)
    return text
