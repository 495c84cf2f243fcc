"""Where control groups can be made, and what they say: what this process's place in the hierarchies tells."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker_core.sandbox import control_groups
from worker_core.sandbox.control_groups import MEMORY, PROCESSES, TIME, CallGroup, ControlGroups, Place, find_place
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.tree import children_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

LIMITS = Limits(processes=50, memory_bytes=7 * 4096)


def mount(folder: Path, own: str, **files: str) -> tuple[Path, Path]:
    """A hierarchy made of plain files, and what /proc/self/cgroup says."""
    for name, text in files.items():
        file = folder / "cgroup" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    said = folder / "self"
    said.write_text(own)
    return folder / "cgroup", said


def second(folder: Path, *, enabled: str = "memory pids") -> tuple[Path, Path]:
    return mount(
        folder,
        "0::/user.slice\n",
        **{
            "user.slice__cgroup.controllers": "cpu memory pids\n",
            "user.slice__cgroup.subtree_control": f"{enabled}\n",
            "user.slice__cgroup.procs": "",
        },
    )


def test_the_first_version_has_a_hierarchy_for_each(tmp_path: Path) -> None:
    own = "9:name=systemd:/\n8:pids:/docker/abc\n7:memory:/m\n6:cpu,cpuacct:/\n0::/\n"
    files = {"pids__docker__abc__pids.max": "max", "memory__m__tasks": "", "cpuacct__tasks": ""}
    base, said = mount(tmp_path, own, **files)
    assert find_place(base, said) == Place(
        version=1, folders={PROCESSES: base / "pids/docker/abc", MEMORY: base / "memory/m", TIME: base / "cpuacct"}
    )
    where = mount(tmp_path, "8:pids:/somewhere/else\n")
    assert find_place(*where) is None, "not mounted here"


def test_the_second_version_has_one_for_all(tmp_path: Path) -> None:
    base, said = second(tmp_path)
    own = base / "user.slice"
    assert find_place(base, said) == Place(version=2, folders={PROCESSES: own, MEMORY: own, TIME: own})


class Kernel:
    """What the kernel makes of what is written into these files."""

    def __init__(self, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._own = own
        self._write = Path.write_text
        monkeypatch.setattr(Path, "write_text", lambda path, text: self.write(path, text))

    def write(self, path: Path, text: str) -> int:
        if path == self._own / "cgroup.subtree_control":
            if (self._own / "cgroup.procs").read_text():
                raise OSError(16, "Device or resource busy")
            return self._write(path, text.replace("+", ""))
        if path.name == "cgroup.procs" and path.parent.parent == self._own:
            self._write(self._own / "cgroup.procs", "")
        return self._write(path, text)


def test_what_nobody_switched_on_is_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, said = second(tmp_path, enabled="")
    Kernel(base / "user.slice", monkeypatch)
    assert find_place(base, said) is not None
    assert (base / "user.slice/cgroup.subtree_control").read_text() == "memory pids"


def test_where_groups_can_be_made_beside_the_worker_alone_it_goes_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where systemd left the group to us: then it is ours to arrange."""
    base, said = second(tmp_path, enabled="")
    own = base / "user.slice"
    (own / "cgroup.procs").write_text("17\n")
    Kernel(own, monkeypatch)
    assert find_place(base, said) is None
    assert not (own / "kubiya-worker").exists()
    monkeypatch.setattr(control_groups, "_is_delegated", lambda folder: folder == own)
    place = find_place(base, said)
    assert (own / "kubiya-worker/cgroup.procs").read_text() == "17"
    assert (own / "cgroup.subtree_control").read_text() == "memory pids"
    assert place is not None
    said.write_text("0::/user.slice/kubiya-worker\n")  # where this process is from now on
    assert find_place(base, said) == place


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert find_place(tmp_path, tmp_path / "no file") is None
    for said in ("", "nonsense\n", "0::/\n", "1:cpu:/\n"):
        assert find_place(*mount(tmp_path, said)) is None


def in_files(group: CallGroup, **said: str) -> None:
    for entrance in group.entrances:
        folder = Path(f"/proc/self/fd/{entrance.descriptor}").readlink().parent
        for name, text in said.items():
            (folder / name.replace("_in_", ".")).write_text(text)


def test_what_a_group_of_the_second_version_is_told_and_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = find_place(*second(tmp_path))
    assert place is not None
    real = Path.mkdir

    def make(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        real(path, mode, parents, exist_ok)
        if path.name.startswith("kubiya-"):
            (path / "cgroup.procs").write_text("")
            (path / "cpu.stat").write_text("usage_usec 5000000\nuser_usec 1\n")
            (path / "memory.events").write_text("low 0\noom 0\noom_kill 2\noom_group_kill 9\n")

    monkeypatch.setattr(Path, "mkdir", make)
    groups = ControlGroups(place, LIMITS)
    call = groups.take()
    assert call is not None
    (folder,) = {Path(f"/proc/self/fd/{one.descriptor}").readlink().parent for one in call.entrances}
    written = {name: (folder / name).read_text() for name in ("pids.max", "memory.max", "memory.swap.max")}
    assert written == {"pids.max": "100", "memory.max": str(7 * 4096), "memory.swap.max": "0"}
    assert not call.counts(MEMORY), "nobody is in it"
    (folder / "cgroup.procs").write_text("12\n13\n")
    assert call.counts(MEMORY)
    assert call.process_ids() == [12, 13]
    (folder / "cpu.stat").write_text("usage_usec 7500000\nuser_usec 1\n")
    assert call.cpu_seconds() == 2.5
    assert not call.ran_out_of_memory(), "that was before"
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 3\n")
    assert call.ran_out_of_memory()
    call.end()
    call.end()
    other = groups.take()
    assert other is not None
    assert len([one for one in folder.parent.iterdir() if one.is_dir()]) == 2, "the first is not empty yet"
    (folder / "cgroup.procs").write_text("")
    again = groups.take()
    assert again is not None
    assert (again.cpu_seconds(), again.ran_out_of_memory()) == (0.0, False)
    del other, again
    gc.collect()
    assert groups.take() is not None
    assert len([one for one in folder.parent.iterdir() if one.is_dir()]) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="an ordinary user makes no groups here")
def test_a_launcher_that_nobody_closes_leaves_no_groups() -> None:
    groups = ControlGroups.find(LIMITS)
    if groups is None:
        pytest.skip("no control groups can be made here")
    call = groups.take()
    assert call is not None
    folders = [Path(f"/proc/self/fd/{one.descriptor}").readlink().parent for one in call.entrances]
    assert all(one.exists() for one in folders)
    del call, groups
    gc.collect()
    assert not any(one.exists() for one in folders)


_ENTERS = """
import os, subprocess, sys
for entrance in map(int, sys.argv[1:]):
    os.write(entrance, b"0")
subprocess.run(["/bin/cat"])
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="an ordinary user makes no groups here")
def test_who_enters_is_in_all_groups_with_what_it_starts() -> None:
    groups = ControlGroups.find(Limits())
    if groups is None:
        pytest.skip("no control groups can be made here")
    call = groups.take()
    assert call is not None
    entrances = [one.descriptor for one in call.entrances]
    files = [Path(f"/proc/self/fd/{one}").readlink() for one in entrances]
    if groups.place.version == 1:
        # What moves a whole process there waits for the kernel, longer than everything else takes.
        assert {file.name for file in files} == {"tasks"}
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _ENTERS, *map(str, entrances)], stdin=subprocess.PIPE, pass_fds=entrances
    ) as process:
        assert process.stdin is not None
        while not (started := children_of(process.pid)):
            assert process.poll() is None
        found = {*map(int, (files[0].parent / "cgroup.procs").read_text().split())}
        assert found == {process.pid, *started}
        assert all((file.parent / "cgroup.procs").read_text().split() for file in files)
        process.stdin.close()
    call.end()
    groups.close()


def test_groups_that_cannot_be_made_are_none_and_what_was_killed_is_tidied_up(tmp_path: Path) -> None:
    base, said = mount(tmp_path, "8:pids:/\n", pids__tasks="")
    left = base / "pids" / "kubiya-999999999-1"
    left.mkdir()
    assert ControlGroups.find(LIMITS, mount=base, own=said) is not None
    assert not left.exists()
    (base / "pids").chmod(0o500)
    groups = ControlGroups(Place(version=1, folders={PROCESSES: base / "not there"}), LIMITS)
    assert groups.take() is None
    groups.close()
