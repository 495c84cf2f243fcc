"""What the SDK sees of an answer: of a page of tools or resources the names, of a result its first parts.

The SDK checks a page as a whole, so that one bad tool costs them all and a hundred thousand take half a minute; and it
checks each result against a schema of the server's with Python's regular expressions, in which a pattern of a few
characters can run for ever. So it gets the names alone, with parameters that it cannot object to.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

MOST_LISTED: Final = 500
"""Tools of one page that are looked at. Models take 128 in all."""

MOST_PARTS: Final = 1000
"""Of one result or resource. The SDK makes two kilobytes of each, however little is in it."""

LARGEST_PAGE_BYTES: Final = 2 * 1024 * 1024
"""Of a message that answers no call: the tools of the largest servers take a few hundred kilobytes."""

PAGES: Final = frozenset({"tools/list", "resources/list", "resources/templates/list"})
"""Methods whose answers are pages."""


def taken_apart(result: Mapping[str, Any], method: str) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """The page for the SDK, and what is on it as the server described it, each with the text that it is asked for by.

    Of resources the SDK sees none; all else of them is unchecked.
    """
    holder, key = {
        "tools/list": ("tools", "name"),
        "resources/list": ("resources", "uri"),
        "resources/templates/list": ("resourceTemplates", "uriTemplate"),
    }[method]
    raw = result.get(holder)
    listed = [
        one
        for one in islice(raw if isinstance(raw, list) else (), MOST_LISTED)
        if isinstance(one, Mapping) and isinstance(one.get(key), str)
    ]
    seen = [{"name": one["name"], "inputSchema": _harmless(one)} for one in listed] if holder == "tools" else []
    page = {**result, holder: seen}
    # What 2026-07-28 asks for in every answer: whoever leaves it out has not lost its list.
    ttl = page.get("ttlMs")
    page["ttlMs"] = max(0, ttl) if isinstance(ttl, int) and not isinstance(ttl, bool) else 0
    page["cacheScope"] = "private"
    page.setdefault("resultType", "complete")
    if not isinstance(page.get("nextCursor"), str):
        page.pop("nextCursor", None)
    return page, listed


PARTS: Final[Mapping[str, str]] = {"tools/call": "content", "resources/read": "contents"}
"""Methods whose answers have parts, and where."""


def first_parts(result: Mapping[str, Any], method: str) -> Mapping[str, Any]:
    """An answer with as many of its parts as are looked at, and a last one that says so where some are left out."""
    holder = PARTS[method]
    parts = result.get(holder)
    if not isinstance(parts, list) or len(parts) <= MOST_PARTS:
        return result
    said = f"[The server answered in {len(parts)} parts; only the first {MOST_PARTS} are here.]"
    last = {"type": "text", "text": said} if holder == "content" else {"uri": "about:left-out", "text": said}
    return {**result, holder: [*parts[:MOST_PARTS], last]}


def _harmless(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters where the SDK takes them (it makes headers of some), else those of a tool that has none."""
    from mcp_types import methods

    schema = tool.get("inputSchema")
    try:
        methods.validate_server_result(
            "tools/list", "2025-11-25", {"tools": [{"name": tool["name"], "inputSchema": schema}]}
        )
    except (ValueError, KeyError, RecursionError):
        return {"type": "object"}
    return dict(schema) if isinstance(schema, Mapping) else {"type": "object"}
