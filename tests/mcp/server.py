"""A real server, written with the SDK: `python -m tests.mcp.server stdio|streamable-http|sse [PORT]`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp_types import EmbeddedResource, ResourceLink, TextResourceContents

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


def build() -> MCPServer:
    server = MCPServer("notes", instructions="Keeps notes.\u202e Token: swordfish-4711")

    @server.resource("notes://all", title="All notes", mime_type="text/plain", description="Every note there is.")
    def everything() -> str:
        return "one\ntwo"

    @server.resource("notes://picture", mime_type="image/png")
    def drawn() -> bytes:
        return PNG

    @server.resource("notes://by-title/{title}")
    def by_title(title: str) -> str:
        return f"the note {title}"

    @server.tool()
    def where() -> ResourceLink:
        """Says where the notes are."""
        return ResourceLink(type="resource_link", uri="notes://all", name="all", mime_type="text/plain")

    @server.tool()
    def embedded() -> EmbeddedResource:
        """A note, all of it."""
        return EmbeddedResource(
            type="resource", resource=TextResourceContents(uri="notes://one", mime_type="text/plain", text="the one")
        )

    @server.tool()
    def add(title: str) -> str:
        """Append a note."""
        with Path("notes.txt").open("a") as file:
            file.write(f"{title}\n")
        return f"added {title}"

    @server.tool()
    def variables(names: list[str]) -> dict[str, str | None]:
        """What this process was given."""
        return {name: os.environ.get(name) for name in names}

    @server.tool()
    def picture() -> Image:
        """A picture."""
        return Image(data=PNG, format="png")

    @server.tool()
    def peek(path: str) -> str:
        """Read any file."""
        return Path(path).read_text()

    @server.tool()
    def store(path: str, text: str) -> str:
        """Write any file."""
        Path(path).write_text(text)
        return "stored"

    @server.tool()
    def fail() -> str:
        """Always fails."""
        raise ValueError("this is what it does")

    @server.tool()
    def die() -> str:
        """Ends the server in mid-call."""
        os._exit(3)

    @server.tool()
    async def slow(ctx: Context, seconds: float) -> str:
        """Takes its time, and says how far it is."""
        await ctx.report_progress(1, 2, "half")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            Path("cancelled").write_text("yes")
            raise
        return "slept"

    return server


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "stdio":
        build().run("stdio")
    else:
        build().run(kind, host="127.0.0.1", port=int(sys.argv[2]))
