"""Folders of the owner's that a call may use: each in its own place, as it is granted, in both sandboxes of Linux."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.walls import bubblewrap, needs_bubblewrap, needs_landlock, without_namespaces
from worker_core.network.reachable import Network
from worker_core.sandbox.call import run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, GrantedFolder, Launcher
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.spares import CommandOfSpares, Spares

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these sandboxes are Linux's")
BOTH = pytest.mark.parametrize(
    "mechanism", [pytest.param("bubblewrap", marks=needs_bubblewrap), pytest.param("landlock", marks=needs_landlock)]
)


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.shown = folder / "shown"
        self.written = self.shown / "written"
        for one in (self.workspace, self.written):
            one.mkdir(parents=True)
        (self.shown / "note").write_text("a note\n")
        self.folders = (GrantedFolder(path=self.written, writable=True), GrantedFolder(path=self.shown))

    def launcher(self, mechanism: str) -> Launcher:
        made = bubblewrap if mechanism == "bubblewrap" else without_namespaces
        return made(self.folder / "walls")

    def command(self, script: str, *, cwd: Path | None = None) -> Command:
        return Command(
            argv=("/bin/sh", "-c", script), cwd=cwd or self.workspace, folders=self.folders, is_call=True,
            environment=tool_environment({}, call_mark="granted"),
        )  # fmt: skip

    async def sh(self, launcher: Launcher, script: str, *, cwd: Path | None = None) -> str:
        command = self.command(script, cwd=cwd)
        wrapped = await asyncio.to_thread(launcher.wrap, command, workspace=self.workspace, network=Network.OFF)
        result = await run_process(wrapped, timeout=timedelta(seconds=30), output_limit_bytes=10_000)
        said = b"".join(result.output.ends()).decode()
        result.output.close()
        return said


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that Unix sockets can have."""
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    yield folder
    shutil.rmtree(folder)


@BOTH
async def test_one_may_be_read_and_one_in_it_be_written(machine: Machine, mechanism: str) -> None:
    launcher = machine.launcher(mechanism)
    said = await machine.sh(
        launcher, "cat ../note; echo here >mine; cat mine; echo x >../no || echo kept", cwd=machine.written
    )
    assert said.startswith("a note\nhere\n")
    assert said.endswith("kept\n")
    assert (machine.written / "mine").read_text() == "here\n"
    assert not (machine.shown / "no").exists()


@needs_bubblewrap
async def test_nothing_starts_while_a_program_of_this_machine_listens_in_one(machine: Machine, short: Path) -> None:
    launcher = bubblewrap(machine.folder / "walls")
    machine.folders = (GrantedFolder(path=short, writable=True),)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(short / "bus"))
        with pytest.raises(OSError, match="listens in a granted folder"):
            launcher.wrap(machine.command("true"), workspace=machine.workspace)


@needs_bubblewrap
async def test_a_sandbox_that_waited_is_taken_for_the_same_folders_alone(machine: Machine) -> None:
    spares = Spares(bubblewrap(machine.folder / "walls"))
    try:
        command = machine.command("cat ../note", cwd=machine.written)

        def taken(one: Command) -> bool:
            spares.prepare(command, workspace=machine.workspace, network=Network.OFF)
            wrapped = spares.wrap(one, workspace=machine.workspace, network=Network.OFF)
            assert isinstance(wrapped, CommandOfSpares)
            return wrapped.taken is not None

        assert taken(command)
        assert not taken(replace(command, limits=Limits(processes=7))), "it may use up less"
        machine.folders = machine.folders[1:]
        assert not taken(machine.command("true")), "one was taken back"
        machine.folders = (GrantedFolder(path=machine.written), GrantedFolder(path=machine.shown))
        assert not taken(machine.command("true")), "it may only be read now"
        spares.prepare(command, workspace=machine.workspace, network=Network.OFF)
        machine.written.rename(machine.folder / "old")
        machine.written.mkdir()
        wrapped = spares.wrap(command, workspace=machine.workspace, network=Network.OFF)
        assert isinstance(wrapped, CommandOfSpares)
        assert wrapped.taken is None, "there is another folder in its place"
    finally:
        spares.close()
