"""What a folder holds, whatever a tool does to hide it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from worker_core.sandbox.folder_count import FolderCount
from worker_core.sandbox.folder_use import FolderUse
from worker_core.sandbox.limits import Limits
from worker_core.workspaces import anchored

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither modes nor folders by descriptor")
MEGABYTE = 1024 * 1024
ENOUGH = 10**12


def counted(folder: Path) -> FolderCount:
    count = FolderCount(folder)
    assert count.go_on(seconds=600, bytes_enough=ENOUGH, entries_enough=ENOUGH)
    assert count.done
    return count


def files(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in range(number):
        (folder / str(name)).touch()


def descriptors() -> int:
    """Folders that are open: all that a count holds, and nothing that what ran before lets go meanwhile."""
    return sum(path.is_dir() for path in Path("/dev/fd").iterdir())


def deep(folder: Path, depth: int, *, size: int) -> None:
    """A file at the end of a path that is longer than the longest path."""
    folder.mkdir()
    before = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(depth):
            Path("d" * 20).mkdir()
            os.chdir("d" * 20)
        Path("file").write_bytes(b"x" * size)
    finally:
        os.chdir(before)


def as_nobody(folder: Path, do: Callable[[], object]) -> None:
    """Run something in another process, as an ordinary user where this one is root's. `folder` becomes that user's."""
    is_root = os.getuid() == 0
    if is_root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        try:
            if is_root:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            do()
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            sys.stderr.flush()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_files_folders_and_links_count_and_what_links_show_does_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(bytes(10_000))
    (tmp_path / "a" / "g").mkdir()
    (tmp_path / "outside").write_bytes(bytes(1_000_000))
    if sys.platform != "win32":
        (tmp_path / "a" / "out").symlink_to(tmp_path / "outside")
    count = counted(tmp_path / "a")
    assert count.entries == (3 if sys.platform != "win32" else 2)
    assert 10_000 <= count.bytes < 50_000


@posix
def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    files(folder, 1)
    (folder / "big").write_bytes(b"x" * 100_000)
    for number in range(20):
        (folder / f"again-{number}").hardlink_to(folder / "big")
    count = counted(folder)
    assert 100_000 <= count.bytes < 200_000
    assert count.entries == 22


@posix
@pytest.mark.parametrize("depth", [30, 300])
def test_no_depth_is_out_of_reach(tmp_path: Path, depth: int) -> None:
    deep(tmp_path / "a", depth, size=100_000)
    files(tmp_path / "a" / "beside", 5)
    open_before = descriptors()
    count = counted(tmp_path / "a")
    assert count.entries == depth + 1 + 6
    assert count.bytes >= 100_000
    assert descriptors() == open_before
    anchored.remove(tmp_path, "a")
    assert not (tmp_path / "a").exists()


@posix
def test_depth_costs_no_descriptors(tmp_path: Path) -> None:
    deep(tmp_path / "a", 200, size=1)
    count = FolderCount(tmp_path / "a")
    before, most = descriptors(), 0
    while not count.go_on(seconds=0, bytes_enough=ENOUGH, entries_enough=ENOUGH):
        most = max(most, descriptors() - before)
    assert count.entries == 201
    assert most <= 60
    anchored.remove(tmp_path, "a")


@posix
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100, 0o300, 0o600])
def test_folders_without_rights_are_counted_and_stay_as_they_are(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "all" / "a"
    (folder / "locked" / "inner").mkdir(parents=True)
    (folder / "locked" / "inner" / "f").write_bytes(b"x" * 100_000)
    (folder / "after").write_bytes(b"x" * 1000)

    def count_and_remove() -> None:
        (folder / "locked" / "inner").chmod(mode)
        (folder / "locked").chmod(mode)
        folder.chmod(mode)
        count = counted(folder)
        assert count.entries == 4, count.entries
        assert count.bytes >= 100_000
        assert stat.S_IMODE(folder.stat().st_mode) == mode
        folder.chmod(0o700)
        assert stat.S_IMODE((folder / "locked").stat().st_mode) == mode
        folder.chmod(mode)
        anchored.remove(folder.parent, "a")
        assert not folder.exists()

    as_nobody(tmp_path / "all", count_and_remove)


@posix
def test_what_is_moved_away_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    deep(tmp_path / "a", 100, size=1)
    files(tmp_path / "a" / "beside", 5)
    count = FolderCount(tmp_path / "a")
    while not count.go_on(seconds=0, bytes_enough=ENOUGH, entries_enough=ENOUGH):
        if count.entries > 80 and (tmp_path / "a" / ("d" * 20)).exists():
            inner = tmp_path / "a" / "/".join(["d" * 20] * 50)
            inner.rename(tmp_path / "moved")
            (tmp_path / "a" / ("d" * 20)).rename(tmp_path / "gone")
    assert count.done
    assert count.entries >= 80
    for name in ("a", "moved", "gone"):
        anchored.remove(tmp_path, name)


def test_what_is_gone_counts_nothing(tmp_path: Path) -> None:
    assert counted(tmp_path / "not-there").entries == 0


def test_twice_as_many_files_are_twice_the_steps(tmp_path: Path) -> None:
    def pieces(number: int) -> int:
        folder = tmp_path / str(number)
        files(folder / "x" / "y", number)
        count, made = FolderCount(folder), 1
        while not count.go_on(seconds=0, bytes_enough=ENOUGH, entries_enough=ENOUGH):
            made += 1
        assert count.entries == number + 2
        return made

    assert pieces(2000) <= 2.5 * pieces(1000)


def test_it_stops_where_enough_was_found(tmp_path: Path) -> None:
    files(tmp_path / "a", 1000)
    count = FolderCount(tmp_path / "a")
    assert count.go_on(seconds=600, bytes_enough=ENOUGH, entries_enough=100)
    assert not count.done
    assert count.entries == 101
    count.close()


@posix
def test_nameless_files_count_with_the_others_but_not_twice(tmp_path: Path) -> None:
    """A file that loses its name while it is counted is seen as both."""
    files(tmp_path / "a", 3)
    (tmp_path / "a" / "named").write_bytes(b"x" * MEGABYTE)
    use = FolderUse(tmp_path / "a", Limits(workspace_bytes=3 * MEGABYTE))
    use._next_count = 0
    assert use.reason(60, nameless_bytes=MEGABYTE) == ""
    assert use.reason(60, nameless_bytes=MEGABYTE) == ""
    assert "more than 3 MB" in use.reason(60, nameless_bytes=3 * MEGABYTE)
    (tmp_path / "a" / "named").unlink()
    use = FolderUse(tmp_path / "a", Limits(workspace_bytes=3 * MEGABYTE))
    use._counted_bytes = MEGABYTE  # when it had its name
    assert use.reason(60, nameless_bytes=int(2.5 * MEGABYTE)) == ""
    assert "more than 3 MB" in use.reason(60, nameless_bytes=int(3.5 * MEGABYTE))
