"""Sizes for people."""

from __future__ import annotations


def size(count: float) -> str:
    """`840 B`, `1.2 kB`, `12 MB`, `1.0 TB`: powers of 1000."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
