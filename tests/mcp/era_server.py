"""A server of revision 2026-07-28, written with the SDK: `python era_server.py stdio|streamable-http [PORT] [new]`.

What it was asked, it notes in the file that ASKED names, or in `asked.txt`. `new`: it takes no `initialize`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from mcp import MCPError
from mcp.server.caching import CacheHint
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import UNSUPPORTED_PROTOCOL_VERSION
from pydantic import Field

ONE_HOUR = 3_600_000


async def noted(context: Any, call_next: Any) -> Any:
    with Path(os.environ.get("ASKED", "asked.txt")).open("a") as file:
        file.write(f"{context.method}\n")
    if context.method == "initialize" and "new" in sys.argv:
        about = {"supported": ["2026-07-28"], "requested": "2025-11-25"}
        raise MCPError(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", about)
    return await call_next(context)


def build() -> MCPServer:
    server = MCPServer(
        "eras", instructions="Says hello.", middleware=[noted], cache_hints={"tools/list": CacheHint(ttl_ms=ONE_HOUR)}
    )

    @server.tool()
    def hello(name: str) -> str:
        """Says hello."""
        return f"hello {name}"

    @server.tool()
    def regional(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
        """Takes a parameter that travels as a header too."""
        return f"in {region}"

    @server.tool()
    async def grow(context: Context) -> str:
        """Gets one more tool."""

        def more() -> str:
            return "more"

        server.add_tool(more)
        await context.notify_tools_changed()
        return "grown"

    return server


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "stdio":
        build().run("stdio")
    else:
        build().run(kind, host="127.0.0.1", port=int(sys.argv[2]))  # type: ignore[call-overload]
