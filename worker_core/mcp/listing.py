"""A page of a server's tools or resources, taken apart before the SDK sees it.

The SDK checks a page as a whole, so that one bad tool costs them all and a hundred thousand take half a minute; and it
checks each result against a schema of the server's with Python's regular expressions, in which a pattern of a few
characters can run for ever. So it gets the names alone, with parameters that it cannot object to.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from worker_core.mcp.memory import LONGEST_FRESH
from worker_core.mcp.offering import MOST_TOOLS, Listing, ServerTool, kept_output_schema

if TYPE_CHECKING:
    from mcp import ClientSession

    from worker_core.mcp.flow import Flow

_PAGES: Final = 20

MOST_LISTED: Final = 500
"""Tools of one page that are looked at. Models take 128 in all."""

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


async def listed(session: ClientSession, flow: Flow) -> Listing:
    """All that a server offers, as far as it is looked at.

    Raises:
        MCPError: it does not say.
    """
    from mcp.types import PaginatedRequestParams

    offered = session.server_capabilities
    about = Listing(
        instructions=session.instructions or "",
        has_resources=offered is not None and offered.resources is not None,
    )
    if offered is not None and offered.tools is None and offered.resources is not None:
        return about  # it has none, and may not know the question
    found: list[ServerTool] = []
    cursor: str | None = None
    fresh_for = LONGEST_FRESH
    names_headers = False
    for _ in range(_PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
        fresh_for = min(fresh_for, timedelta(milliseconds=min(page.ttl_ms or 0, 10**9)))
        names_headers = names_headers or any("x-mcp-header" in str(tool.input_schema) for tool in page.tools)
        found.extend(
            ServerTool(
                name=str(tool["name"]),
                description=_text(tool, "description") or _text(tool, "title"),
                schema=tool.get("inputSchema"),
                # What a server says of itself is not believed: each call counts as one with an effect.
                read_only=False,
                output_schema=kept_output_schema(tool.get("outputSchema")),
            )
            for tool in flow.listed
        )
        cursor = page.next_cursor
        if not cursor or len(found) >= MOST_TOOLS:
            break
    return replace(about, tools=tuple(found), more=bool(cursor), fresh_for=fresh_for, names_headers=names_headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePage:
    """`listed` as the server described them, each with an address: nothing else of them is checked."""

    listed: tuple[Mapping[str, Any], ...]
    next_cursor: str


async def resource_page(session: ClientSession, flow: Flow, cursor: str) -> ResourcePage:
    """A page of what can be read; with the first one, the patterns of addresses as well.

    Raises:
        MCPError: it does not say.
    """
    from mcp import MCPError
    from mcp.types import PaginatedRequestParams

    page = await session.list_resources(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
    found = list(flow.listed)
    if not cursor:
        with suppress(MCPError):  # many have none, and know no such question
            await session.list_resource_templates()
            found += flow.listed
    return ResourcePage(listed=tuple(found), next_cursor=page.next_cursor or "")


def _text(tool: Mapping[str, Any], key: str) -> str:
    value = tool.get(key)
    return value if isinstance(value, str) else ""


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
