"""All that a server offers, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.mcp.flow import Flow
from worker_core.mcp.memory import LONGEST_FRESH
from worker_core.mcp.offering import MOST_TOOLS, Listing, ServerTool, kept_output_schema

if TYPE_CHECKING:
    from mcp import ClientSession

_PAGES: Final = 20


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
