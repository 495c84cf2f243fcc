"""A server that wants a token, written with the SDK: `python signed_in_server.py PORT ISSUER FILE`.

It takes the token that stands in FILE alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer


class Verifier:
    async def verify_token(self, token: str) -> AccessToken | None:
        if token != Path(sys.argv[3]).read_text():
            return None
        return AccessToken(
            token=token, client_id="worker", scopes=["notes"], resource=f"http://127.0.0.1:{sys.argv[1]}/mcp"
        )


server = MCPServer(
    "private",
    token_verifier=Verifier(),
    # As texts: an address as an object gets a slash at its end, and is another issuer then.
    auth=AuthSettings.model_validate(
        {
            "issuer_url": sys.argv[2],
            "resource_server_url": f"http://127.0.0.1:{sys.argv[1]}/mcp",
            "required_scopes": ["notes"],
        }
    ),
)


@server.tool()
def secret() -> str:
    """What only those read who have a token."""
    return f"the token is {Path(sys.argv[3]).read_text()}"


if __name__ == "__main__":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
