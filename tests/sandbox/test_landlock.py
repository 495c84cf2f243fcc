"""Landlock: what works in it, what ends with a call, and what a call reaches. What it holds, the escape suite says."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from tests.sandbox.arena import survivors
from tests.sandbox.conftest import run
from tests.support.processes import wait_until
from tests.support.walls import needs_landlock, without_namespaces
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.sandbox import landlock
from worker_core.sandbox.egress.egress import Egress
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.gatekeeper import Gatekeeper
from worker_core.sandbox.landlock_sandbox import LandlockSandbox
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.limits import Limits

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's"), needs_landlock]

STAYS = "(env -i setsid /bin/bash -c 'exec sleep 987' </dev/null >alive 2>&1 &)"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "w"
    folder.mkdir()
    return folder


def bash(workspace: Path, script: str, **more: object) -> Command:
    environment = tool_environment({}, call_mark="landlock", inherited={"PATH": os.environ["PATH"]})
    return Command(argv=["/bin/bash", "-c", script], cwd=workspace, environment=environment, **more)  # type: ignore[arg-type]


async def said(launcher: LandlockSandbox, workspace: Path, script: str, **more: object) -> tuple[str, int]:
    result = await run(launcher.wrap(bash(workspace, script, **more), workspace=workspace), output_limit_bytes=100_000)
    output = b"".join(result.output.ends()).decode()
    result.output.close()
    return output, result.exit_code


def told(process_id: int) -> str:
    """The last word of a command line."""
    return Path(f"/proc/{process_id}/cmdline").read_text().rstrip("\0").rpartition("\0")[2]


def calls(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "walls" / "calls").iterdir())


async def test_programs_work_and_what_they_leave_goes(language: str, tmp_path: Path, workspace: Path) -> None:
    script = f"""
set -e
echo kept >file; cat <(cat file) >/dev/null; echo gone >$(mktemp); echo gone >~/x; [ "$TMPDIR" != /tmp ]
{sys.executable} -I -c 'import tempfile, subprocess; tempfile.TemporaryFile(); subprocess.run(["true"], check=True)'
git init -q . && git -c user.name=a -c user.email=b commit -q --allow-empty -m one && git log --format=%s
mkdir a b; echo x >a/f; mv a/f b/f; ln b/f b/g; cp -a b c; rm -r a b c
ls /proc/self/fd | wc -l; grep -cE '^(Seccomp|NoNewPrivs):.*[12]$' /proc/self/status
"""
    output, code = await said(without_namespaces(tmp_path / "walls"), workspace, script)
    assert (output, code) == ("one\n4\n2\n", 0)
    assert (workspace / "file").read_text() == "kept\n"
    assert not calls(tmp_path)


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -SEGV $$", 139), ("exec /no/such", 127)])
async def test_how_it_ended(language: str, tmp_path: Path, workspace: Path, script: str, code: int) -> None:
    assert (await said(without_namespaces(tmp_path / "walls"), workspace, script))[1] == code


KILLS_IT = "; kill -KILL $PPID; sleep 977"


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize(
    ("version", "how"), [(7, ""), (7, "; sleep 977"), (7, KILLS_IT), (5, ""), (5, "; sleep 977"), (5, KILLS_IT)]
)
async def test_nothing_survives_a_call(language: str, tmp_path: Path, workspace: Path, how: str, version: int) -> None:
    made = without_namespaces(tmp_path / "walls", version=min(version, landlock.version()))
    # Before version 6 it can kill what is to end it; then what is left is found by the call's mark.
    stays = STAYS.replace("env -i", "env") if how == KILLS_IT and version < landlock.SCOPES_SINCE else STAYS
    command = bash(workspace, f"{stays}; until [ -e alive ]; do :; done; echo >up{how}")
    running = asyncio.create_task(
        run(made.wrap(command, workspace=workspace), timeout=timedelta(seconds=0.5 if how else 30))
    )
    (await running).output.close()
    assert not survivors(workspace)
    assert not calls(tmp_path)


@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_survives_the_worker(language: str, tmp_path: Path, workspace: Path, *, stopped: bool) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from tests.sandbox.test_landlock import STAYS, bash
from tests.sandbox.conftest import run
from tests.support.walls import without_namespaces
from worker_core.sandbox import gate
if {language!r} == "python": gate._PERL = "/no/perl"
workspace = Path(sys.argv[1])
made = without_namespaces(workspace.parent / "walls")
asyncio.run(run(made.wrap(bash(workspace, STAYS + "; exec sleep 977 >>alive"), workspace=workspace)))
"""
    worker = subprocess.Popen([sys.executable, "-c", script, str(workspace)])
    try:
        wait_until(lambda: sorted(map(told, survivors(workspace))) == ["977", "987"])
        (tool,) = (one for one in survivors(workspace) if told(one) == "977")
        keeper = psutil.Process(psutil.Process(tool).ppid())
        if stopped:  # the worker's warden is faster then, however busy the machine is
            keeper.suspend()
        worker.send_signal(signal.SIGKILL)
        if stopped:
            wait_until(lambda: tool not in survivors(workspace))
            keeper.resume()
        wait_until(lambda: not survivors(workspace))
    finally:
        worker.kill()
        worker.wait()


async def test_a_server_keeps_its_home(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    made = without_namespaces(tmp_path / "walls", hidden=(tmp_path,))
    for _ in range(2):
        output, _ = await said(made, workspace, "cat ~/kept; echo mine >>~/kept; cat", home=home)
    assert output == "mine\n"


async def test_folders_beside_the_workers_own(tmp_path: Path, workspace: Path) -> None:
    for name in ("shown/deep/a", "shown/deep/state/secret", "shown/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "shown/link").symlink_to(tmp_path / "shown/deep/state/secret")
    hidden = (tmp_path / "shown/deep/state", tmp_path / "key")
    (tmp_path / "key").write_text("key")
    made = without_namespaces(tmp_path / "walls", readable=(tmp_path / "shown", tmp_path / "key"), hidden=hidden)
    script = (
        'cd "$1"; for one in shown/deep/a shown/b shown/deep/state/secret shown/link key; do cat $one; done; ls shown'
    )
    output, code = await said(made, workspace, script.replace("$1", str(tmp_path)))
    assert code != 0
    assert output.startswith("shown/deep/ashown/bcat: shown/deep/state/secret: Permission denied\n")
    assert output.count("Permission denied") == 4
    assert made._rules.search_path(f"{tmp_path}/shown/deep:{tmp_path}/key:/usr/bin:/root/bin:bin") == (
        f"{tmp_path}/shown/deep:/usr/bin:bin"
    )


async def test_it_may_fill_no_disk(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker_core.sandbox import folder_use

    monkeypatch.setattr(folder_use, "PERIOD_SECONDS", 0.1)
    made = without_namespaces(tmp_path / "walls", limits=Limits(workspace_bytes=1024 * 1024))
    result = await run(made.wrap(bash(workspace, "head -c 3M /dev/zero >$TMPDIR/x; sleep 977"), workspace=workspace))
    result.output.close()
    assert result.exceeded.startswith("Its temporary folder holds more than 1 MB")
    assert not calls(tmp_path)


# --- network ----------------------------------------------------------------------------------------------


@contextmanager
def service() -> Iterator[int]:
    """Something of the worker's own that a call may come to."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the service\n")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy() -> Iterator[Egress]:
    egress = Egress(gatekeeper=Gatekeeper(NetworkPolicy(network=Network.ON)))
    egress.start()
    yield egress
    egress.close()


FETCH = """
import asyncio, os, socket, urllib.request
print(urllib.request.urlopen(URL, timeout=20).read().decode(), end="")
async def raw(host):
    reader, writer = await asyncio.open_connection(host, 3128)
    writer.write(f"GET {URL} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
    print((await reader.read()).splitlines()[-1].decode())
    writer.close()
asyncio.run(raw("192.0.2.1"))  # whatever address is named, it is the proxy that answers
asyncio.run(raw("::1"))
for number in (0, 999, 1 << 33 | 5):
    import ctypes
    print(ctypes.CDLL(None).connect(ctypes.c_long(number), b"\\2\\0", 16))
ours = socket.socket()
try: ours.bind(("127.0.0.1", 0)); ours.listen()
except OSError: print("refused")
"""


@pytest.mark.parametrize("version", [7, 3])
async def test_the_proxy_is_all_that_it_reaches(
    language: str, tmp_path: Path, workspace: Path, proxy: Egress, version: int
) -> None:
    made = without_namespaces(tmp_path / "walls", version=min(version, landlock.version()), egress=proxy)
    with service() as port:
        url = made.door(port)
        assert url is not None
        (workspace / "fetch.py").write_text(
            FETCH.replace("URL", "U", 0).replace("{URL}", url).replace("URL", repr(url))
        )
        script = f"{sys.executable} -I fetch.py"
        for network in (None, Network.OFF):
            command = bash(workspace, script, doors=frozenset({port}))
            result = await run(made.wrap(command, workspace=workspace, network=network), output_limit_bytes=10_000)
            output = b"".join(result.output.ends()).decode()
            result.output.close()
            if network is None:
                assert output == "from the service\n" * 3 + "-1\n" * 3 + "refused\n"
            else:
                assert "from the service" not in output
        result = await run(made.wrap(bash(workspace, script), workspace=workspace), output_limit_bytes=10_000)
        assert b"HTTP Error 403" in b"".join(result.output.ends())  # another call has no such door
        result.output.close()


async def test_many_connections_at_once(tmp_path: Path, workspace: Path, proxy: Egress) -> None:
    made = without_namespaces(tmp_path / "walls", egress=proxy)
    with service() as port:
        script = f"for i in $(seq 20); do curl -sS {made.door(port)} & done; wait"
        output, _ = await said(made, workspace, script, doors=frozenset({port}))
    assert output == "from the service\n" * 20


async def test_the_machines_own_network(tmp_path: Path, workspace: Path) -> None:
    """No Unix socket there, either: the worker's control socket is one."""
    path = str(tmp_path / "s")
    script = f"curl -sS $0; {sys.executable} -I -c 'import socket; socket.socket(socket.AF_UNIX)' 2>&1 | tail -1"
    with service() as port, socket.socket(socket.AF_UNIX) as others:
        others.bind(path)
        made = without_namespaces(tmp_path / "walls", network=Network.HOST)
        output, _ = await said(made, workspace, script.replace("$0", str(made.door(port))))
    assert output == "from the service\nPermissionError: [Errno 1] Operation not permitted\n"
