"""Client credentials: a real server that wants tokens, and an authorization server on a socket of its own."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.mcp.pools import pool
from tests.support.http_server import Answer, Request, Server, serving
from tests.support.listening import PORT, listening
from worker_core.mcp.configuration import ServerConfig, Servers, read_servers
from worker_core.mcp.pool import McpPool

SECRET = "a-client-secret/with+signs"


@dataclass
class Issuer:
    """Gives out tokens, and writes the newest into a file."""

    file: Path
    given: list[str] = field(default_factory=list)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    server: Server | None = None
    claims: str = ""
    """What it says to be, instead of itself."""

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.port}"

    def __call__(self, request: Request) -> Answer:
        def said(status: int, **content: Any) -> Answer:
            return Answer(status, {"Content-Type": "application/json"}, (json.dumps(content).encode(),))

        if request.path.startswith("/.well-known/"):
            return said(
                200,
                issuer=self.claims or self.url,
                authorization_endpoint=f"{self.url}/authorize",
                token_endpoint=f"{self.url}/token",
                response_types_supported=["code"],
            )
        if request.path != "/token":
            return said(404)
        self.asked.append(parse_qs(request.body.decode()))
        encoded = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        if encoded != "worker:a-client-secret%2Fwith%2Bsigns":
            return said(401, error="invalid_client", error_description="nobody knows this client")
        self.given.append(f"token-number-{len(self.given) + 1}")
        self.file.write_text(self.given[-1])
        return said(200, access_token=self.given[-1], token_type="Bearer", expires_in=3600, scope="notes")


@contextlib.contextmanager
def issuing(folder: Path) -> Iterator[Issuer]:
    issuer = Issuer(folder / "token")
    issuer.file.write_text("none yet")
    with serving(issuer) as issuer.server:
        yield issuer


def private_server(issuer: Issuer) -> AbstractContextManager[int]:
    return listening(Path(__file__).with_name("signed_in_server.py"), PORT, issuer.url, str(issuer.file))


def config(port: int, issuer: str, *, secret: str = SECRET) -> ServerConfig:
    raw = {
        "url": f"http://127.0.0.1:{port}/mcp",
        "oauth": {"client_id": "worker", "client_secret": "{{MCP_SECRET}}", "issuer": issuer, "scope": "notes"},
    }
    read = read_servers({"private": raw}, variables={"MCP_SECRET": secret})
    assert not read.left_out
    return read.usable["private"]


def hosts(port: int, issuer: Issuer) -> tuple[str, ...]:
    return (f"127.0.0.1:{port}", issuer.url.removeprefix("http://"))


async def offered(one: McpPool, execution: str, server: ServerConfig) -> tuple[list[str], list[str]]:
    offer = await one.offer(execution, Servers(usable={"private": server}, left_out={}), taken=set())
    return [tool.tool for tool in offer.tools if tool.tool], offer.left_out


async def test_a_token_is_had_used_kept_and_had_anew(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer, private_server(issuer) as port:
        server = config(port, issuer.url)
        async with pool(tmp_path, mcp_hosts=hosts(port, issuer)) as one:
            assert await offered(one, "first", server) == (["secret"], [])
            assert await offered(one, "second", server) == (["secret"], [])
            assert issuer.given == ["token-number-1"], "kept for the next connection"
            [asked] = issuer.asked
            assert asked["grant_type"] == ["client_credentials"]
            assert asked["scope"] == ["notes"]
            assert asked["resource"] == [f"http://127.0.0.1:{port}/mcp"]
            assert "client_secret" not in asked
            issuer.file.write_text("revoked")
            assert await offered(one, "third", server) == (["secret"], [])
            assert issuer.given == ["token-number-1", "token-number-2"]
            for token in issuer.given:
                assert token not in one._redactor.mask(f"it is {token}")
            assert SECRET not in repr(server)
            assert SECRET not in one._redactor.mask(f"it is {SECRET}")


async def test_credentials_that_are_not_taken_are_told(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer, private_server(issuer) as port:
        async with pool(tmp_path, mcp_hosts=hosts(port, issuer)) as one:
            tools, [sentence] = await offered(one, "first", config(port, issuer.url, secret="another-secret"))
    assert tools == []
    assert "asks for a sign-in (HTTP 401)" in sentence
    assert f"No token for it could be had from {issuer.url}" in sentence
    assert "another-secret" not in sentence


async def test_the_server_does_not_choose_who_gets_the_credentials(tmp_path: Path) -> None:
    with issuing(tmp_path) as hostile, private_server(hostile) as port:
        async with pool(tmp_path, mcp_hosts=hosts(port, hostile)) as one:
            for claimed in ("", "https://auth.example.com"):
                hostile.claims = claimed
                tools, [sentence] = await offered(one, "first", config(port, "https://auth.example.com"))
                assert tools == []
                assert "No token for it could be had from https://auth.example.com" in sentence
        assert hostile.server is not None
        assert not [request for request in hostile.server.requests if request.path == "/token"]


async def test_the_authorization_server_is_under_the_network_policy(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer, private_server(issuer) as port:
        async with pool(tmp_path, mcp_hosts=(f"127.0.0.1:{port}",)) as one:
            tools, [sentence] = await offered(one, "first", config(port, issuer.url))
    assert tools == []
    assert issuer.server is not None
    assert not issuer.server.requests
    assert "mcp_hosts" in sentence


@pytest.mark.parametrize(
    ("oauth", "why"),
    [
        ("text", "its oauth is not an object"),
        ({"client_id": "a", "client_secret": "b"}, "its oauth has no issuer"),
        ({"client_id": "a", "issuer": "https://a.example"}, "its oauth has no client_secret"),
        ({"client_id": "a", "client_secret": "b", "issuer": "http://a.example"}, "is not an https:// address"),
        ({"client_id": "a", "client_secret": "b", "issuer": "file:///a"}, "its oauth issuer is not an http"),
        ({"client_id": "a", "client_secret": "{{NO}}", "issuer": "https://a.example"}, "needs the variable NO"),
    ],
)
def test_credentials_that_cannot_be_used(oauth: Any, why: str) -> None:
    read = read_servers({"a": {"url": "https://a.example/mcp", "oauth": oauth}}, variables={})
    assert why in read.left_out["a"]


def test_one_way_to_sign_in_is_enough() -> None:
    oauth = {"client_id": "a", "client_secret": "b", "issuer": "https://a.example"}
    raw = {"url": "https://a.example/mcp", "headers": {"authorization": "Bearer x"}, "oauth": oauth}
    assert "one of them is enough" in read_servers({"a": raw}, variables={}).left_out["a"]
