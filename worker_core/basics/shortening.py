"""Texts that may be longer than what can be kept."""

from __future__ import annotations

LONGEST_TEXT = 300_000
"""Characters of a prompt or of one message of the user. Temporal takes 2 MB at once, and a text may take six bytes a
character; longer ones lose their middle."""


def shortened(text: str, length: int) -> str:
    """`text`, without its middle where it is longer than `length`."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
