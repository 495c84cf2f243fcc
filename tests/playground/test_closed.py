"""Who may come in: programs of this user that were told where everything is, no other user, and no web page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.playground import Stage, running_playground
from tests.support.temporal import temporal_binary
from worker_core.errors import ConfigurationError
from worker_core.playground import temporal_door, temporal_server
from worker_core.playground.server import Playground
from worker_core.playground.temporal_door import Owners
from worker_core.sandbox import linux
from worker_core.secrets import Secret

NOBODY = 65534

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")
only_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user to try it"
)

TWO_USERS = """
import asyncio, os, sys
from temporalio.client import Client

async def listed():
    client = await Client.connect(sys.argv[1])
    return [one.id async for one in client.list_workflows()]

print("own", asyncio.run(listed()), flush=True)
os.setgroups([])
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
try:
    print("other", asyncio.run(listed()), flush=True)
except RuntimeError as error:
    print("refused", flush=True)
os._exit(0)
"""


@only_linux
@only_root
async def test_another_user_of_the_machine_does_not_reach_temporal(stage: Stage) -> None:
    asked = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", TWO_USERS, stage.info.temporal_host, str(NOBODY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    own, other = asked.stdout.splitlines()
    assert own.startswith("own ["), asked.stderr
    assert other == "refused", asked.stdout


@only_linux
def test_nothing_of_temporal_listens_in_the_machines_network(stage: Stage) -> None:
    assert stage.info.warning == ""
    assert stage.playground.temporal_pid is not None
    [server] = [
        child
        for child in psutil.Process(stage.playground.temporal_pid).children(recursive=True)
        if child.name() == "temporal"
    ]
    assert Path(f"/proc/{server.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@contextlib.contextmanager
def guarded(*, user: int) -> Iterator[tuple[str, int]]:
    """An echo behind a door for `user`; where to knock."""
    with socket.create_server(("127.0.0.1", 0)) as inner, socket.create_server(("127.0.0.1", 0)) as outer:

        def answer() -> None:
            while True:
                try:
                    connection, _ = inner.accept()
                except OSError:
                    return
                with connection:
                    said = b""
                    while piece := connection.recv(1 << 16):
                        said += piece
                    connection.sendall(said[::-1])

        tables = [os.open(name, os.O_RDONLY) for name in ("/proc/net/tcp", "/proc/net/tcp6")]
        door = threading.Thread(
            target=temporal_door.serve,
            args=(outer,),
            kwargs={"owners": Owners(tables), "user": user, "inside": inner.getsockname()},
            daemon=True,
        )
        echo = threading.Thread(target=answer, daemon=True)
        echo.start()
        door.start()
        try:
            yield outer.getsockname()
        finally:
            for listener in (outer, inner):
                listener.shutdown(socket.SHUT_RDWR)
            echo.join(10)
            door.join(10)
            for table in tables:
                os.close(table)
            assert not echo.is_alive()
            assert not door.is_alive()


@only_linux
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_door_lets_its_user_in(family: socket.AddressFamily) -> None:
    words = os.urandom(3 << 20)
    with guarded(user=os.geteuid()) as (host, port), socket.socket(family) as caller:
        caller.settimeout(30)
        caller.connect((host if family is socket.AF_INET else f"::ffff:{host}", port))
        sending = threading.Thread(target=lambda: (caller.sendall(words), caller.shutdown(socket.SHUT_WR)))
        sending.start()
        heard = b""
        while piece := caller.recv(1 << 16):
            heard += piece
        sending.join()
    assert heard == words[::-1]


@only_linux
def test_the_door_lets_nobody_else_in() -> None:
    with guarded(user=os.geteuid() + 1) as address:
        for _ in range(3):
            with socket.create_connection(address, timeout=30) as caller:
                assert caller.recv(1) == b""


@only_linux
def test_what_its_program_has_closed_belongs_to_nobody() -> None:
    """The kernel shows such a connection as root's."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        owners = Owners([stack.enter_context(Path("/proc/net/tcp").open("rb")).fileno()])
        caller = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
        with connection:
            assert owners.owner(connection) == os.geteuid()
            caller.sendall(b"something to do")
            caller.close()
            assert owners.owner(connection) is None


async def test_where_temporal_cannot_be_closed_it_is_closed_to_web_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "find_program", lambda: None)
    with running_playground(tmp_path) as stage:
        assert "Whoever has an account on this machine can reach" in stage.info.warning
        assert stage.playground.temporal_pid is not None
        server = psutil.Process(stage.playground.temporal_pid)
        ports = {one.laddr.port for one in server.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
        found = [await asked(port, "rebound.example") for port in ports]
        assert 403 in found, "the HTTP face was found"
        assert 200 not in found


async def asked(port: int, host: str) -> int | None:
    """The status with which a port answers a web page's question for the namespaces; None: it speaks no HTTP."""
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/api/v1/namespaces", headers={"Host": host})
        except httpx2.HTTPError:
            return None
    return answer.status_code


async def test_where_temporal_cannot_be_closed_no_key_of_a_model_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "find_program", lambda: None)
    options = {"data_dir": tmp_path, "llm_url": "http://127.0.0.1:9/v1", "llm_api_key": Secret("sk-of-mine")}
    with pytest.raises(ConfigurationError, match="could make model calls with your key") as refused:
        await Playground(**options).start()
    assert "--only-user" in refused.value.sentence
    assert "sk-of-mine" not in refused.value.sentence
    with running_playground(tmp_path, llm_url="http://127.0.0.1:9/v1"):
        pass  # without a key there is nothing to take
    alone = Playground(**options, only_user=True)
    try:
        assert (await alone.start()).llm_url == "http://127.0.0.1:9/v1"
    finally:
        await alone.stop()


@pytest.mark.parametrize("path", ["/api/health", "/api/ready", "/api/v1/auth/validate", "/llm/v1/models", "/nothing"])
async def test_a_strange_host_or_origin_is_refused(stage: Stage, path: str) -> None:
    url = stage.info.control_plane_url
    port = url.rpartition(":")[2]
    key = {"Authorization": f"Bearer {stage.info.api_key}"}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:

        async def status(**headers: str) -> int:
            return (await client.get(path, headers={**key, **headers})).status_code

        for host in ("rebound.example", f"rebound.example:{port}", "127.0.0.1.rebound.example", "127.0.0.2", "", "::1"):
            assert await status(Host=host) == 403
        for origin in ("null", "https://rebound.example", "http://localhost:3000", "file://"):
            assert await status(Origin=origin) == 403
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "localhost"):
            assert await status(Host=host) != 403
            assert await status(Host=host, Origin=f"http://{host}") != 403


async def test_the_temporal_program_of_this_user_may_come(stage: Stage) -> None:
    """What people look into the playground with."""
    listed = await asyncio.to_thread(
        subprocess.run,
        [temporal_binary(), "workflow", "list", "--address", stage.info.temporal_host],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr


async def test_a_port_that_another_program_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "find_program", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:  # it listens, and says nothing
        port = taken.getsockname()[1]
        ports, free = iter([port]), temporal_server.free_port
        monkeypatch.setattr(temporal_server, "free_port", lambda ip: next(ports, None) or free(ip))
        monkeypatch.setattr(temporal_server, "ANSWER_LIMIT", timedelta(seconds=1))
        playground = Playground(data_dir=tmp_path)
        try:
            info = await playground.start()
        finally:
            await playground.stop()
    assert int(info.temporal_host.rpartition(":")[2]) != port
