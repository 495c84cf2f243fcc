"""Files below a folder whose owner is hostile: links are put everywhere, also while we work."""

from __future__ import annotations

import os
import stat
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from worker_core.workspaces import anchored
from worker_core.workspaces.anchored import OutsideWorkspace

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    return folder


def test_written_whole_with_folders_and_mode(inside: Path) -> None:
    assert anchored.write(inside, "./a//b/c.txt", [b"one", b"two"], mode=0o640) == "a/b/c.txt"
    assert (inside / "a/b/c.txt").read_bytes() == b"onetwo"
    if os.name != "nt":
        assert stat.S_IMODE((inside / "a/b/c.txt").stat().st_mode) == 0o640
        assert stat.S_IMODE((inside / "a").stat().st_mode) == 0o700
    anchored.write(inside, "a/b/c.txt", [b"new"], mode=0o7777)
    assert (inside / "a/b/c.txt").read_bytes() == b"new"
    assert os.name != "posix" or not (inside / "a/b/c.txt").stat().st_mode & 0o7000
    assert [one.name for one in (inside / "a/b").iterdir()] == ["c.txt"]


@pytest.mark.parametrize("path", ["", ".", "/", "/etc/x", "..", "a/../../x", "a/..", "~/x", "a\0b", "\ud800"])
def test_paths_that_are_refused(inside: Path, path: str) -> None:
    for refuse in (anchored.write, anchored.append):
        with pytest.raises(OutsideWorkspace) as said:
            refuse(inside, path, b"x")  # type: ignore[operator]
        assert str(said.value).endswith(".")
    assert list(inside.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(inside: Path) -> None:
    def pieces() -> object:
        yield b"x"
        raise OSError("disk")

    anchored.write(inside, "f", [b"old"])
    with pytest.raises(OSError, match="disk"):
        anchored.write(inside, "f", pieces())  # type: ignore[arg-type]
    assert [(one.name, one.read_text()) for one in inside.iterdir()] == [("f", "old")]


@needs_links
def test_nothing_is_written_or_read_through_links(inside: Path, outside: Path) -> None:
    (inside / "folder").symlink_to(outside)
    (inside / "file").symlink_to(outside / "mine")
    (inside / "new").symlink_to(outside / "not-there")
    for path in ("folder/x", "folder/mine"):
        for refuse in (anchored.write, anchored.append):
            with pytest.raises(OutsideWorkspace, match="passes through a link"):
                refuse(inside, path, b"x")  # type: ignore[operator]
        with pytest.raises(OutsideWorkspace):
            anchored.read_bounded(inside, path, limit_bytes=10)
    with pytest.raises(OutsideWorkspace):
        anchored.append(inside, "file", b"x")
    with pytest.raises(OutsideWorkspace):
        anchored.read_bounded(inside, "file", limit_bytes=10)
    anchored.write(inside, "file", [b"replaced"])
    anchored.write(inside, "new", [b"replaced"])
    assert not (inside / "file").is_symlink()
    assert sorted(one.name for one in outside.iterdir()) == ["mine"]
    assert (outside / "mine").read_text() == "mine"


@needs_links
def test_hard_links_are_replaced_not_written_through(inside: Path, outside: Path) -> None:
    (inside / "file").hardlink_to(outside / "mine")
    anchored.write(inside, "file", [b"other"])
    assert (outside / "mine").read_text() == "mine"


@needs_links
def test_a_folder_that_is_swapped_for_a_link_all_the_time(inside: Path, outside: Path) -> None:
    """The race: an agent's process swaps `sub` between a folder and a link out while we write below it."""
    stop = threading.Event()

    def swap() -> None:
        link, real = inside / "link", inside / "real"
        while not stop.is_set():
            link.symlink_to(outside)
            real.mkdir(exist_ok=True)
            for one in (real, link):
                try:
                    one.replace(inside / "sub")
                except OSError:
                    (inside / "sub").unlink(missing_ok=True) if (inside / "sub").is_symlink() else None
            link.unlink(missing_ok=True)
            if (inside / "sub").is_symlink():
                (inside / "sub").unlink(missing_ok=True)

    thread = threading.Thread(target=swap)
    thread.start()
    wrote = 0
    try:
        for number in range(300):
            try:
                anchored.write(inside, f"sub/{number}", [b"x"])
                wrote += 1
            except (OutsideWorkspace, OSError):
                pass
            list(anchored.files(inside))
    finally:
        stop.set()
        thread.join()
    assert wrote > 0
    assert sorted(one.name for one in outside.iterdir()) == ["mine"]


def test_lines_are_appended_and_read(inside: Path) -> None:
    assert anchored.read_bounded(inside, "a/log", limit_bytes=10) == b""
    anchored.append(inside, "a/log", b"1\n")
    anchored.append(inside, "a/log", b"2\n")
    assert anchored.read_bounded(inside, "a/log", limit_bytes=10) == b"1\n2\n"
    assert anchored.read_bounded(inside, "a/log", limit_bytes=3) == b"1\n2"
    assert anchored.read_bounded(inside, "a/log", limit_bytes=3, at_end=True) == b"\n2\n"


def test_a_file_twice_as_long_takes_no_more_memory_to_read(inside: Path) -> None:
    def most(length: int) -> int:
        with (inside / "long").open("wb") as file:
            file.truncate(length)  # a hole: it takes no room on the disk
        tracemalloc.start()
        try:
            for at_end in (False, True):
                assert len(anchored.read_bounded(inside, "long", limit_bytes=100_000, at_end=at_end)) == 100_000
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(1 << 32) < 1.1 * most(1 << 31) < 1_000_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_stands_there_holds_nobody(inside: Path) -> None:
    os.mkfifo(inside / "pipe")
    with pytest.raises(OSError):
        anchored.append(inside, "pipe", b"x")
    assert anchored.read_bounded(inside, "pipe", limit_bytes=10) == b""
    assert list(anchored.files(inside)) == []


@needs_links
def test_files_are_listed_without_links(inside: Path, outside: Path) -> None:
    for path in ("b", "a/x", "a/deep/y", ".own/z"):
        anchored.write(inside, path, [b"123"])
    (inside / "out").symlink_to(outside)
    (inside / "circle").symlink_to(inside)
    (inside / "a" / "file").symlink_to(outside / "mine")
    found = {path: facts.st_size for path, facts in anchored.files(inside, skip=frozenset({".own"}))}
    assert found == {"b": 3, "a/x": 3, "a/deep/y": 3}


@needs_links
def test_removal_takes_links_and_spares_what_they_show(inside: Path, outside: Path) -> None:
    anchored.write(inside, "tree/a/b", [b"x"])
    (inside / "tree" / "out").symlink_to(outside)
    (inside / "tree" / "a" / "out").symlink_to(outside)
    (inside / "link").symlink_to(outside)
    anchored.remove(inside, "tree")
    anchored.remove(inside, "link")
    anchored.remove(inside, "not-there")
    assert list(inside.iterdir()) == []
    assert (outside / "mine").read_text() == "mine"


def test_removal_of_read_only_and_very_deep_folders(inside: Path) -> None:
    tree = inside / "tree"
    tree.mkdir()
    anchored.write(tree, "locked/deeper/file", [b"x"])
    if os.name != "nt":
        for path, mode in (("locked/deeper", 0o500), ("locked", 0o000)):
            (tree / path).chmod(mode)
    before = Path.cwd()
    try:
        os.chdir(tree)
        for _ in range(1500 if os.name == "posix" else 20):  # deeper than the stack and than the longest path
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(before)
    anchored.remove(inside, "tree")
    assert list(inside.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to become somebody else")
def test_removal_of_locked_folders_by_their_ordinary_owner(tmp_path: Path) -> None:
    """Root may do everything, so the same again as nobody in particular."""
    folder = tmp_path / "all"
    (folder / "tree" / "locked" / "deeper").mkdir(parents=True)
    (folder / "tree" / "locked" / "deeper" / "file").write_text("x")
    for path in (folder, folder / "tree", folder / "tree/locked", folder / "tree/locked/deeper"):
        os.chown(path, 65534, 65534)
    (folder / "tree/locked/deeper").chmod(0o500)
    (folder / "tree/locked").chmod(0o000)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            anchored.remove(folder, "tree")
            os._exit(0 if not (folder / "tree").exists() else 2)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
