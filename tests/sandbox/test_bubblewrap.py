from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import run
from tests.support.processes import alive, eventually, pid_in
from tests.support.walls import bubblewrap, missing_bubblewrap
from worker_core.network.reachable import Network, narrower
from worker_core.sandbox import linux
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Holds
from worker_core.sandbox.linux import explain, find_program, probe, working
from worker_core.sandbox.walls import Walls, sandboxed_environment

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(missing_bubblewrap()), reason=missing_bubblewrap() or "bubblewrap is for Linux"
)


async def said(tmp_path: Path, script: str, *, walls: dict[str, Any] | None = None, **options: Any) -> str:
    workspace = tmp_path / "workspaces" / "execution"
    workspace.mkdir(parents=True, exist_ok=True)
    command = Command(
        argv=["/bin/bash", "-c", script],
        cwd=workspace,
        environment=tool_environment(
            {"HTTPS_PROXY": "http://user:secret@proxy"}, call_mark="bubblewrap", inherited={"PATH": os.environ["PATH"]}
        ),
    )
    wrapped = bubblewrap(tmp_path / "walls", **(walls or {})).wrap(command, workspace=workspace)
    result = await run(wrapped, **options)
    text = b"".join(result.output.ends()).decode()
    result.output.close()
    return text


async def test_the_workspace_stays_and_the_rest_goes(tmp_path: Path) -> None:
    await said(tmp_path, "echo kept >file; echo gone >/tmp/file; echo gone >~/file")
    assert await said(tmp_path, "cat file; ls /tmp/file ~/file 2>/dev/null") == "kept\n"
    assert (tmp_path / "workspaces/execution/file").read_text() == "kept\n"
    assert [path.name for path in (tmp_path / "workspaces/execution").iterdir()] == ["file"]


async def test_variables(tmp_path: Path) -> None:
    names = dict(line.split("=", 1) for line in (await said(tmp_path, "env")).splitlines())
    assert (names["HOME"], names["TMPDIR"]) == ("/tmp/home", "/tmp")
    assert "HTTPS_PROXY" not in names


async def test_the_workers_python_can_be_used(tmp_path: Path) -> None:
    assert await said(tmp_path, f"{sys.executable} -c 'import msgspec; print(msgspec.__name__)'") == "msgspec\n"


async def test_more_may_be_readable_and_the_workers_folders_never(tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    (shown / "state").mkdir(parents=True)
    (shown / "note").write_text("hello")
    (shown / "state" / "journal").write_text("secret")
    script = f"cat {shown}/note; ls -A {shown}/state; echo x >{shown}/note || echo refused"
    text = await said(tmp_path, f"({script}) 2>/dev/null", walls={"readable": (shown,), "hidden": (shown / "state",)})
    assert text == "hellorefused\n"
    assert (shown / "note").read_text() == "hello"


async def test_it_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    script = "trap 'echo tidy; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    assert (await said(tmp_path, script, timeout=timedelta(seconds=1))).endswith("tidy\n")


async def test_what_does_not_listen_is_killed(tmp_path: Path, short_grace: None) -> None:
    script = "trap '' TERM; (setsid sleep 654321 &); while :; do sleep 0.05; done"
    await said(tmp_path, script, timeout=timedelta(seconds=0.5))

    def left() -> bytes:
        return subprocess.run(["pgrep", "-f", "sleep 654321"], capture_output=True, check=False).stdout

    await eventually(lambda: not left())


async def test_input_and_exit_code(tmp_path: Path) -> None:
    assert await said(tmp_path, "cat; exit 7", stdin=b"given") == "given"


def test_what_it_enforces(tmp_path: Path) -> None:
    assert bubblewrap(tmp_path).enforces == frozenset(Holds)
    assert bubblewrap(tmp_path, network=Network.HOST).enforces == frozenset(Holds) - {Holds.NETWORK, Holds.OWN_LOOPBACK}


async def test_the_machines_network_only_where_it_is_set(tmp_path: Path) -> None:
    count = "grep -c : /proc/net/dev"
    own = int(await said(tmp_path, count, walls={"network": Network.OFF}))
    assert own == 1
    assert int(await said(tmp_path, count, walls={"network": Network.HOST})) == len(
        [line for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line]
    )


def test_a_call_can_have_less_network_but_not_more() -> None:
    assert narrower(Network.ON, Network.OFF) is Network.OFF
    assert narrower(Network.OFF, Network.HOST) is Network.OFF
    assert narrower(Network.ALLOW_LIST, None) is Network.ALLOW_LIST


def test_a_program_that_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2; exit 1\n")
    broken.chmod(0o755)
    assert probe(str(broken), Walls(runtime=tmp_path / "r")) == (
        f"bubblewrap ({broken}) does not work here: setting up uid map: Permission denied."
    )
    assert find_program(str(tmp_path)) == str(broken)
    broken.write_text("#!/bin/sh\nkill -SEGV $$\n")
    assert probe(str(broken), Walls(runtime=tmp_path / "r")) == (
        f"bubblewrap ({broken}) does not work here: it was ended by SIGSEGV."
    )


def stand_in(folder: Path, name: str, script: str) -> str:
    """A bwrap that is a script; `$real` is one that works."""
    file = folder / name
    file.write_text(f"#!/bin/bash\nreal={find_program()}\n{script}\n")
    file.chmod(0o755)
    return str(file)


REFUSES = "if tr '\\0' '\\n' </proc/self/fd/$2 | grep -q -e '%s'; then echo 'Operation not permitted' >&2; exit 1; fi"


@pytest.mark.parametrize(
    ("refused", "less"),
    [
        (["never"], ()),
        (["--hostname"], ("a host name of their own",)),
        (["--unshare-cgroup"], ("a control-group namespace",)),
        (["--hostname", "--unshare-cgroup"], ("a host name of their own", "a control-group namespace")),
    ],
)
def test_what_a_hardened_service_forbids_is_gone_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: list[str], less: tuple[str, ...]
) -> None:
    script = "\n".join([*(REFUSES % word for word in refused), 'exec "$real" "$@"'])
    program = stand_in(tmp_path, "bwrap", script)
    monkeypatch.setattr(linux, "programs", lambda: iter((program,)))
    found = working(Walls(runtime=tmp_path / "r"))
    assert found == linux.Working(program=program, less=less)
    assert isinstance(found, linux.Working)
    assert all(name in found.note for name in less)


def test_another_program_is_tried_where_the_first_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = stand_in(tmp_path, "broken", "echo 'no, not so' >&2; exit 1")
    works = stand_in(tmp_path, "works", 'exec "$real" "$@"')
    walls = Walls(runtime=tmp_path / "r")
    monkeypatch.setattr(linux, "programs", lambda: iter((broken, works)))
    assert working(walls) == linux.Working(program=works)
    monkeypatch.setattr(linux, "programs", lambda: iter((broken, broken)))
    assert working(walls) == (f"bubblewrap ({broken}) does not work here: no, not so.",) * 2
    monkeypatch.setattr(linux, "programs", lambda: iter(()))
    assert working(walls) == ()


async def test_a_trial_that_does_not_end_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    program = stand_in(tmp_path, "bwrap", f"sleep 1000 & echo $! >{pid}; mkfifo {pid}.x; read _ <{pid}.x")
    monkeypatch.setattr(linux, "PROBE_SECONDS", 2.0)
    assert "did not start a program within 2 s" in probe(program, Walls(runtime=tmp_path / "r"))
    await eventually(lambda: not alive(pid_in(pid)))


@pytest.mark.parametrize(
    ("file", "value", "says"),
    [
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor forbids"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "forbids user namespaces"),
        ("/proc/sys/user/max_user_namespaces", "0", "forbids user namespaces"),
    ],
)
def test_why_namespaces_are_forbidden(monkeypatch: pytest.MonkeyPatch, file: str, value: str, says: str) -> None:
    monkeypatch.setattr(linux, "_says", lambda path, wanted: (str(path), wanted) == (file, value))
    assert says in explain("/usr/bin/bwrap", "")


def test_an_environment_of_its_own() -> None:
    given = {"HTTPS_PROXY": "http://u:p@x", "NO_PROXY": "x", "TEMP": "/x", "LD_LIBRARY_PATH": "/x", "A": "1"}
    assert sandboxed_environment(given, home=Path("/h"), proxy=None) == {"A": "1", "HOME": "/h", "TMPDIR": "/tmp"}
    kept = sandboxed_environment(given, home=Path("/h"), proxy=None, keeps_proxies=True)
    assert kept["HTTPS_PROXY"] == "http://u:p@x"
    assert sandboxed_environment({}, home=Path("/h"), proxy="http://p")["https_proxy"] == "http://p"


async def test_many_at_once(tmp_path: Path) -> None:
    import asyncio

    texts = await asyncio.gather(*(said(tmp_path, f"echo {number}") for number in range(20)))
    assert texts == [f"{number}\n" for number in range(20)]
