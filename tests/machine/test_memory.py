"""The memory that a process may have, in the control groups of both versions."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from worker_core.machine.memory import MOUNT, memory

GIB = 1 << 30
UNLIMITED_IN_THE_FIRST = 9_223_372_036_854_771_712
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
SECOND = ("memory.max", "memory.current", "inactive_file")


class Groups:
    """Control groups of files, as a container sees them."""

    def __init__(self, folder: Path) -> None:
        self.mount, self.own = folder / "cgroup", folder / "self"
        self.mount.mkdir()
        self.own.write_text("")

    def make(self, name: str, version: tuple[str, str, str], *, limit: object, used: int, files: int = 0) -> None:
        group = self.mount / name
        group.mkdir(parents=True, exist_ok=True)
        limit_file, used_file, files_line = version
        (group / limit_file).write_text(f"{limit}\n")
        (group / used_file).write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 5\n{files_line} {files}\nactive_file 7\n")

    def are(self, *lines: str) -> None:
        self.own.write_text("".join(f"{line}\n" for line in lines))

    def memory(self) -> tuple[int, int, int]:
        found = memory(mount=self.mount, own=self.own)
        return found.total_bytes, found.available_bytes, found.used_bytes


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


def test_a_pod_has_what_its_limit_says(groups: Groups) -> None:
    groups.are("0::/")
    groups.make(".", SECOND, limit=GIB, used=GIB // 2, files=GIB // 4)
    assert groups.memory() == (GIB, GIB - GIB // 4, GIB // 4)
    assert memory(mount=groups.mount, own=groups.own).percent == 25.0


def test_the_first_version_says_it_elsewhere(groups: Groups) -> None:
    groups.are("9:cpu:/", "4:memory,hugetlb:/docker/123", "0::/")
    groups.make("memory/docker/123", FIRST, limit=GIB, used=GIB // 2, files=GIB // 4)
    assert groups.memory() == (GIB, GIB - GIB // 4, GIB // 4)


def test_a_container_without_a_namespace_for_groups_sees_its_own_at_the_top(groups: Groups) -> None:
    groups.are("4:memory:/kubepods/pod1/abc")
    groups.make("memory", FIRST, limit=GIB, used=GIB // 2)
    assert groups.memory() == (GIB, GIB // 2, GIB // 2)


def test_what_a_group_above_leaves_counts(groups: Groups) -> None:
    groups.are("0::/system.slice/worker.service")
    groups.make("system.slice/worker.service", SECOND, limit=GIB, used=1000)
    groups.make("system.slice", SECOND, limit=2 * GIB, used=2 * GIB - 5000)
    assert groups.memory() == (GIB, 5000, 1000)


def test_what_is_beyond_its_limit_has_nothing_left(groups: Groups) -> None:
    groups.are("0::/")
    groups.make(".", SECOND, limit=100, used=400)
    assert groups.memory() == (100, 0, 400)
    assert memory(mount=groups.mount, own=groups.own).percent == 100.0


@pytest.mark.parametrize(
    ("version", "limit"), [(SECOND, "max"), (FIRST, UNLIMITED_IN_THE_FIRST), (SECOND, "nonsense"), (FIRST, "")]
)
def test_without_a_limit_it_is_the_machines(groups: Groups, version: tuple[str, str, str], limit: object) -> None:
    groups.are("0::/", "4:memory:/")
    groups.make("memory" if version is FIRST else ".", version, limit=limit, used=1000)
    total, available, used = groups.memory()
    assert total == psutil.virtual_memory().total
    assert 0 < available < total
    assert 0 < used < total


@pytest.mark.parametrize("line", ["", "nonsense", "0::/../..", "4:memory:/a/../../..", "0::/\udcff"])
def test_strange_names_of_groups_lead_nowhere_else(groups: Groups, line: str) -> None:
    groups.own.write_bytes(os.fsencode(f"{line}\n") if line else b"")
    groups.make("..", SECOND, limit=5, used=1)
    assert groups.memory()[0] == psutil.virtual_memory().total


@contextlib.contextmanager
def _group_with(limit_bytes: int) -> Iterator[Path]:
    """A real control group of either version."""
    for top, file in ((MOUNT / "memory", FIRST[0]), (MOUNT, SECOND[0])):
        group = top / f"kubiya-test-memory-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                (group / file).write_text(str(limit_bytes))
            except OSError:
                group.rmdir()
                raise
            try:
                yield group
            finally:
                group.rmdir()
            return
    pytest.skip("no control groups with a limit for memory can be made here")


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_real_limit_is_seen_from_inside() -> None:
    inside = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid()));"
        "from worker_core.machine.memory import memory; found = memory();"
        "print(found.total_bytes, found.available_bytes, found.used_bytes)"
    )
    with _group_with(GIB) as group:
        done = subprocess.run(
            [sys.executable, "-c", inside, group / "cgroup.procs"], capture_output=True, text=True, check=True
        )
    total, available, used = map(int, done.stdout.split())
    assert total == GIB
    assert 0 < available < GIB
    assert 0 < used < GIB // 2
