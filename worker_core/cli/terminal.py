"""The one way to standard output and standard error: what a server said never moves the cursor there."""

from __future__ import annotations

import click

from worker_core.basics.plain import plain


def say(text: str = "", *, err: bool = False, nl: bool = True, styled: str = "") -> None:
    """Print a text without terminal escapes and control characters; tabs and line breaks stay.

    Args:
        text: from anywhere.
        err: to standard error.
        nl: with a line break behind it.
        styled: a word of ours in front of it, with its colours.
    """
    click.echo(f"{styled}{plain(text)}", err=err, nl=nl, color=True if styled else None)
