"""Where a key may go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from worker_core.control_plane.client import ControlPlaneClient
from worker_core.engine.engine import Engine
from worker_core.errors import ConfigurationError
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.model.gateway import ModelGateway
from worker_core.model.refusals import GatewayError
from worker_core.network.urls import check_private, is_encrypted
from worker_core.paths import Paths
from worker_core.secrets import Secret
from worker_core.settings import Settings, load

KEY = Secret("a-key-of-mine-0123456789")


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("https://far.example/x", True), ("http://127.0.0.1:8080", True), ("http://far.example", False),
        ("ftp://localhost", False), ("https://", False), ("https://[far.example", False), ("", False),
    ],
)  # fmt: skip
def test_nobody_on_the_way_reads_what_is_encrypted_or_stays_on_this_machine(url: str, is_so: bool) -> None:
    assert is_encrypted(url) is is_so


@pytest.mark.parametrize(
    "url", ["https://far.example", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "http://a.localhost"]
)
def test_a_key_goes_encrypted_or_to_this_machine(url: str) -> None:
    check_private(url, whose="control plane", allow_http=False)


@pytest.mark.parametrize(
    "url", ["http://far.example", "http://10.0.0.5:4000/v1", "http://127.0.0.1.far.example", "ftp://far.example"]
)
def test_a_key_does_not_go_over_http(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not encrypted") as refused:
        check_private(url, whose="control plane", allow_http=False)
    assert "allow_http = true" in refused.value.sentence
    check_private(url, whose="control plane", allow_http=True)


@contextlib.asynccontextmanager
async def listener() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A name of this machine that is not its loopback's, and what was sent there."""
    heard: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://0.0.0.0:{server.sockets[0].getsockname()[1]}", heard  # which connects to this machine


async def test_neither_the_control_planes_nor_the_gateways_key_leaves(tmp_path: Path) -> None:
    async with listener() as (url, heard):
        with pytest.raises(ConfigurationError, match="control plane's key does not go to"):
            ControlPlaneClient(base_url=url, api_key=KEY)
        paths = Paths(config=tmp_path / "config", state=tmp_path / "state", runtime=tmp_path / "run")
        settings = Settings(control_plane_url=url, queue_ids=("q",))
        with pytest.raises(ConfigurationError, match="control plane's key does not go to"):
            Engine(settings=settings, api_key=KEY, paths=paths, redactor=Redactor(), log_ring=LogRing())
        with pytest.raises(GatewayError, match="model gateway's key does not go to"):
            await ModelGateway(base_url=url, api_key=KEY).prepare()
    assert heard == []


def test_the_setting_is_read(tmp_path: Path) -> None:
    assert load(environ={"KUBIYA_WORKER_ALLOW_HTTP": "true"}).allow_http
    assert not load(environ={}).allow_http
