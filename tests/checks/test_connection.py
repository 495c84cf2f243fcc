"""The connection is tested as the worker's own go: through a real CONNECT proxy, with real TLS, on sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.http_server import Answer, Request, Server, serving
from tests.support.tls import Authority
from worker_core.checks import network
from worker_core.checks.check import Check, ok, skip, timed
from worker_core.checks.examine import examine
from worker_core.key_sources import GivenKey
from worker_core.paths import Paths
from worker_core.secrets import Secret
from worker_core.settings import Settings

HOST = "control-plane.example.invalid"
"""Known to no name server: what reaches it went through the proxy."""


class ConnectProxy:
    """Opens every connection to one local port, whatever host is named, for whoever may use it."""

    def __init__(self, *, target_port: int) -> None:
        self.asked: list[str] = []
        self.wanted = ""
        self.port = 0
        self._target_port = target_port
        self._under_way: set[asyncio.Task[None]] = set()

    async def ended(self) -> None:
        """Until nobody uses it any more."""
        await asyncio.gather(*self._under_way)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._under_way.add(own)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(" ".join(head.split()[:2]))
            if self.wanted and f"Proxy-Authorization: {self.wanted}" not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(reader, far_writer))
                    both.create_task(_pass_on(far_reader, writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
    writer.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, name=HOST)


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    def answer(request: Request) -> Answer:
        refused = request.path == "/v1/models" and request.headers.get("authorization") == "Bearer wrong"
        return Answer(status=401 if refused else 200, headers={"Content-Length": "2"}, parts=(b"{}",))

    with serving(answer, tls=authority.context) as found:
        yield found


@pytest.fixture
async def proxy(server: Server, environment: pytest.MonkeyPatch) -> AsyncIterator[ConnectProxy]:
    made = ConnectProxy(target_port=server.port)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    environment.setenv("HTTPS_PROXY", f"http://me%40corp:p%3Aw@127.0.0.1:{made.port}")
    yield made
    listening.close()
    await listening.wait_closed()
    await made.ended()


@pytest.fixture
def settings(authority: Authority) -> Settings:
    return Settings(
        control_plane_url=f"https://{HOST}",
        llm_base_url=f"https://gateway.{HOST}/v1",
        ca_file=authority.file,
        temporal_tls="on",
    )


async def test_every_connection_is_tested_through_the_proxy(
    proxy: ConnectProxy, settings: Settings, tmp_path: Path
) -> None:
    proxy.wanted = f"Basic {base64.b64encode(b'me@corp:p:w').decode()}"
    heard: list[Check] = []
    found = await examine(
        settings,
        paths=Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path / "home")}),
        given=GivenKey(Secret("kb-key-0123456789"), "KUBIYA_API_KEY"),
        temporal_host=f"temporal.{HOST}:7233",
        connection_only=True,
        heard=heard.append,
    )
    verdicts = {check.name: check.verdict for check in found}
    assert verdicts["DNS"] == "skip", "the proxy looks names up"
    for name in ("proxy", "TLS", "control plane", "Temporal", "model gateway"):
        assert verdicts[name] == "ok", found
    assert {f"CONNECT {HOST}:443", f"CONNECT temporal.{HOST}:7233", f"CONNECT gateway.{HOST}:443"} <= set(proxy.asked)
    assert [check.name for check in found][:6] == ["proxy", "DNS", "TLS", "control plane", "Temporal", "model gateway"]
    assert sorted(heard, key=str) == sorted(found, key=str)
    timed_ones = {check.name for check in found if check.took_seconds is not None}
    assert {"proxy", "TLS", "control plane", "Temporal", "model gateway"} <= timed_ones
    assert "DNS" not in timed_ones


async def test_a_proxy_that_wants_a_password_is_told_of(proxy: ConnectProxy, settings: Settings) -> None:
    proxy.wanted = "Basic no"
    for check in (await network.tls(settings), await network.temporal(settings, f"temporal.{HOST}:7233")):
        assert check.verdict == "fail"
        assert f"the proxy 127.0.0.1:{proxy.port} answered with 407" in check.sentence
        assert "p:w" not in check.sentence


async def test_a_certificate_that_cannot_be_trusted_is_not_blamed_on_the_proxy(
    proxy: ConnectProxy, settings: Settings
) -> None:
    stranger = replace(settings, ca_file=None)
    assert "cannot be trusted" in (await network.tls(stranger)).sentence
    for check in ((await network.health(stranger))[0], await network.gateway(stranger)):
        assert check.verdict == "fail"
        assert "cannot be trusted" in check.sentence
        assert "proxy" not in check.sentence
    assert proxy.asked


async def test_what_is_no_proxy_is_told_of(settings: Settings, environment: pytest.MonkeyPatch) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n\r\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    environment.setenv("https_proxy", f"127.0.0.1:{port}")
    check = await network.tls(settings)
    assert check.verdict == "fail"
    assert f"the proxy 127.0.0.1:{port} answered with" in check.sentence
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize(
    ("key", "verdict", "says"),
    [("right", "ok", "takes the key"), ("wrong", "fail", "refused the key"), ("", "ok", "answers.")],
)
async def test_the_gateways_key(
    key: str, verdict: str, says: str, proxy: ConnectProxy, settings: Settings, server: Server
) -> None:
    check = await network.gateway(replace(settings, llm_api_key=Secret(key)))
    assert (check.verdict, says in check.sentence) == (verdict, True), check
    assert [request.path for request in server.requests] == ["/v1/models"]


async def test_a_gateway_that_is_told_at_registration_is_left_alone() -> None:
    assert (await network.gateway(Settings())).verdict == "skip"


async def test_a_gateway_that_does_not_listen_is_called_by_its_name() -> None:
    check = await network.gateway(Settings(llm_base_url="http://127.0.0.1:1/v1"))
    assert check.verdict == "fail"
    assert check.sentence == "The model gateway 127.0.0.1:1 refused the connection: nothing listens there."


async def test_what_was_not_looked_at_took_no_time() -> None:
    async def made(check: Check) -> Check:
        return check

    assert (await timed(made(skip("TLS", "No.")))).took_seconds is None
    took = (await timed(made(ok("TLS", "Yes.")))).took_seconds
    assert took is not None
    assert took >= 0


def test_nothing_of_this_machine_is_reached_through_a_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example.invalid:3128")

    async def look() -> Check:
        return await network.temporal(Settings(), f"127.0.0.1:{port}")

    with serving(lambda _: Answer()) as found:
        port = found.port
        assert asyncio.run(look()).verdict == "ok"


@pytest.mark.parametrize(
    ("speaks_tls", "verdict", "says"), [(True, "ok", "with TLS"), (False, "warn", "but not with TLS")]
)
async def test_temporal_off_this_machine_is_tried_with_tls_since_a_key_would_make_the_worker_use_it(
    speaks_tls: bool, verdict: str, says: str, authority: Authority, environment: pytest.MonkeyPatch, settings: Settings
) -> None:
    with serving(lambda _: Answer(), tls=authority.context if speaks_tls else None) as far:
        near = ConnectProxy(target_port=far.port)
        async with await asyncio.start_server(near.serve, "127.0.0.1", 0) as listening:
            environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
            check = await network.temporal(replace(settings, temporal_tls="auto"), f"temporal.{HOST}:7233")
            await near.ended()
    assert (check.verdict, says in check.sentence) == (verdict, True), check
