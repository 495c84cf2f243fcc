"""A server that asks its user in the middle of a call: `python asking_server.py stdio|streamable-http [PORT]`.

Written with the SDK, which asks in the way of the revision that its client speaks.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp.server.request_state import RequestStateSecurity
from pydantic import BaseModel, Field


class Order(BaseModel):
    size: Literal["small", "large"] = Field(title="Which\u202e size")
    name: str = Field(description="Whose order it is")
    copies: int = Field(default=1, ge=1, le=5)
    express: bool = False


class Login(BaseModel):
    password: str


async def order(context: Context) -> Elicit[Order]:
    return Elicit("What shall be ordered?", Order)


async def login(context: Context) -> Elicit[Login]:
    return Elicit("Please sign in", Login)


server = MCPServer("shop", request_state_security=RequestStateSecurity(keys=[b"of the tests alone, 32 bytes long"]))


@server.tool()
async def buy(what: str, how: Annotated[ElicitationResult[Order], Resolve(order)]) -> str:
    """Orders something."""
    with Path(os.environ.get("SHOP", "shop.txt")).open("a") as file:
        file.write(f"{what} {how.action}\n")
    if not isinstance(how, AcceptedElicitation):
        return f"not ordered: {how.action}"
    data = how.data
    return f"ordered {data.copies} {data.size} {what} for {data.name}, express: {data.express}"


@server.tool()
async def sign_in(how: Annotated[ElicitationResult[Login], Resolve(login)]) -> str:
    """Wants a password."""
    return f"sign-in: {how.action}"


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
