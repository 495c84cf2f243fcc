"""Parts of URLs."""

from __future__ import annotations

from urllib.parse import quote


def segment(text: str) -> str:
    """`text` as one path segment, whatever it holds."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" and quoted else quoted or "%20"
