"""A call that may write in folders of the owner's is ended before their disks are full."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from worker_core.sandbox import disk_room, mount_table
from worker_core.sandbox.call import run_process
from worker_core.sandbox.disk_room import RESERVE_BYTES, DiskRoom, rooms
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, GrantedFolder
from worker_core.sandbox.limits import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the table of mounts is Linux's")


class Disks:
    """What each folder's disk has left, and which it is."""

    def __init__(self) -> None:
        self.free: dict[str, int] = {}

    def free_bytes(self, folder: Path) -> int:
        return self.free.get(folder.name, 2 * RESERVE_BYTES)

    def device(self, folder: Path) -> int:
        return hash(folder.name)


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    made = Disks()
    monkeypatch.setattr(disk_room, "free_bytes", made.free_bytes)
    monkeypatch.setattr(disk_room, "device", made.device)
    return made


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """File systems at places: `ext4` below all of them."""
    table = tmp_path / "mountinfo"

    def made(**kinds: str) -> None:
        places = {"/": "ext4", **{str(tmp_path / name): kind for name, kind in kinds.items()}}
        lines = [f"36 35 98:0 / {place} rw shared:1 - {kind} /dev/x rw" for place, kind in places.items()]
        table.write_text("\n".join(lines) + "\n")

    made()
    monkeypatch.setattr(mount_table, "_TABLE", table)
    return made


def test_a_call_is_ended_where_little_is_left_and_less_than_before(disks: Disks, tmp_path: Path) -> None:
    room = DiskRoom(tmp_path)
    assert room.reason() == ""
    disks.free[tmp_path.name] = RESERVE_BYTES
    assert room.reason() == ""
    disks.free[tmp_path.name] = RESERVE_BYTES - 1
    assert f"The disk of {tmp_path} has only 255 MB left" in room.reason()
    assert DiskRoom(tmp_path).reason() == "", "it was as full before: that is not the call's"
    disks.free[tmp_path.name] = -1
    assert room.reason() == "", "not known"


@pytest.mark.usefixtures("disks")
def test_each_disk_once_that_may_be_written_and_is_of_this_machine(tmp_path: Path, mount: Callable[..., None]) -> None:
    mount(shared="nfs4", mine="xfs", strange="fuse.sshfs")

    def found(*names: str, besides: str = "workspace") -> int:
        folders = [GrantedFolder(path=tmp_path / name, writable=True) for name in names]
        return len(rooms(folders, besides=tmp_path / besides))

    assert found("one", "two", "mine") == 3
    assert found("one", "other/one") == 1, "one disk"
    assert found("one", besides="one") == 0, "the workspace's is looked at anyway"
    assert found("shared", "shared/in", "strange") == 0, "these may not answer, and the watcher is one for all calls"
    assert rooms([GrantedFolder(path=tmp_path / "one")], besides=None) == [], "it may only be read"
    mount(one="ext4")
    assert found("one") == 1


@pytest.mark.usefixtures("mount", "disks")
async def test_a_command_that_fills_the_disk_of_a_granted_folder_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("workspace", "granted"):
        (tmp_path / name).mkdir()
    left = iter([RESERVE_BYTES])
    monkeypatch.setattr(disk_room, "free_bytes", lambda folder: next(left, RESERVE_BYTES - 1))
    command = Command(
        argv=("/bin/sh", "-c", "sleep 60"),
        cwd=tmp_path / "workspace",
        workspace=tmp_path / "workspace",
        folders=(GrantedFolder(path=tmp_path / "granted", writable=True),),
        environment=tool_environment({}, call_mark="room"),
        limits=Limits(),
    )
    result = await run_process(command, timeout=timedelta(seconds=50), output_limit_bytes=1000)
    result.output.close()
    assert not result.timed_out
    assert f"The disk of {tmp_path}/granted has only 255 MB left" in result.exceeded
