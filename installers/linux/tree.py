"""The files of a package as they lie on a machine: same content, same modes, same times, wherever they are built."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

EXECUTABLE, PLAIN = 0o755, 0o644


def copy_tree(source: Path, target: Path) -> None:
    """Copy programs and libraries; links stay links. Libraries are not executable, whatever their wheels say."""
    for path in walk(source):
        to = target / path.relative_to(source)
        if path.is_symlink():
            to.parent.mkdir(parents=True, exist_ok=True)
            to.symlink_to(path.readlink())
        elif path.is_dir():
            to.mkdir(parents=True, exist_ok=True)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            runs = path.stat().st_mode & 0o100 and ".so" not in path.name
            to.chmod(EXECUTABLE if runs else PLAIN)


def write(file: Path, content: str | bytes, *, mode: int = PLAIN) -> None:
    """A file with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)


def write_compressed(file: Path, content: str) -> None:
    """A file of `/usr/share` that is kept compressed; its time is not in it."""
    write(file.with_name(file.name + ".gz"), gzip.compress(content.encode(), 9, mtime=0))


def link(file: Path, leads_to: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(leads_to)


def settle(root: Path, *, epoch: int) -> None:
    """Give every folder its mode, and everything the same time."""
    for path in [root, *walk(root)]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(EXECUTABLE)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def walk(root: Path) -> Iterator[Path]:
    """Everything below a folder, in one order."""
    return iter(sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts))


def installed_kib(root: Path) -> int:
    """As Debian's `Installed-Size` counts: files rounded up to 1 KiB, 1 KiB for everything else."""
    return sum(
        1 if path.is_symlink() or not path.is_file() else -(-path.stat().st_size // 1024)
        for path in [root, *walk(root)]
    )
