"""A page of a server's tools, taken apart before the SDK sees it.

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

LARGEST_PAGE_BYTES: Final = 2 * 1024 * 1024
"""Of a message that answers no call: the tools of the largest servers take a few hundred kilobytes."""


def taken_apart(result: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """The page for the SDK, and the tools as their server described them: objects with a name, the rest unchecked."""
    raw = result.get("tools")
    tools = [
        tool
        for tool in islice(raw if isinstance(raw, list) else (), MOST_LISTED)
        if isinstance(tool, Mapping) and isinstance(tool.get("name"), str)
    ]
    page = {**result, "tools": [{"name": tool["name"], "inputSchema": _harmless(tool)} for tool in tools]}
    if not isinstance(page.get("nextCursor"), str):
        page.pop("nextCursor", None)
    return page, tools


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
