from __future__ import annotations

import errno
import io
import tempfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.sandbox.processes.output import Ends, OutputKeeper


@given(st.lists(st.binary(max_size=20)), st.integers(2, 60))
def test_ends_are_the_ends(pieces: list[bytes], limit: int) -> None:
    ends = Ends(limit_bytes=limit)
    for piece in pieces:
        ends.feed(piece)
    whole = b"".join(pieces)
    head, tail = ends.parts()
    assert ends.total_bytes == len(whole)
    assert ends.was_cut == (len(whole) > limit)
    if ends.was_cut:
        assert len(head) + len(tail) == limit
        assert whole.startswith(head)
        assert whole.endswith(tail)
    else:
        assert head + tail == whole


@given(st.lists(st.binary(max_size=20)), st.integers(2, 30), st.integers(30, 100))
def test_the_keeper_keeps_the_whole_up_to_its_limit(pieces: list[bytes], limit: int, whole_limit: int) -> None:
    keeper = OutputKeeper(limit_bytes=limit, whole_limit_bytes=whole_limit)
    for piece in pieces:
        keeper.feed(piece)
    whole = b"".join(pieces)
    assert b"".join(keeper.pieces()) == whole[:whole_limit]
    assert keeper.full == (len(whole) > whole_limit)
    assert keeper.is_whole == (len(whole) <= whole_limit)
    keeper.close()


def test_what_comes_after_stop_is_dropped() -> None:
    keeper = OutputKeeper(limit_bytes=10, whole_limit_bytes=100)
    keeper.feed(b"before")
    keeper.stop()
    keeper.feed(b"after" * 10)
    assert keeper.ends() == (b"befor", b"e")
    keeper.close()
    keeper.close()


def test_a_full_disk_costs_the_middle_and_not_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tempfile.TemporaryFile

    class FullDisk:
        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: FullDisk(real(**options)))
    keeper = OutputKeeper(limit_bytes=10, whole_limit_bytes=1000)
    for _ in range(20):
        keeper.feed(b"abcd")
    assert keeper.ends() == (b"abcda", b"dabcd")
    assert not keeper.is_whole
    keeper.close()


@pytest.mark.parametrize("room", [-1, 0, 3, 5, 40, 95, 99])
def test_a_full_disk_is_told_where_something_is_missing(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """`room`: bytes that the disk takes; -1: there is no folder for temporary files."""

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            left = room - self.tell()
            if left <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(bytes(data)[:left])

    def made(**_: object) -> io.BytesIO:
        if room < 0:
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")
        return Full()

    monkeypatch.setattr(tempfile, "TemporaryFile", made)
    keeper = OutputKeeper(limit_bytes=10, whole_limit_bytes=1000)
    printed = bytes(range(32, 132))
    for at in range(0, len(printed), 7):
        keeper.feed(printed[at : at + 7])
    kept = b"".join(keeper.pieces())
    keeper.close()
    assert not keeper.is_whole
    first = max(5, room)
    missing = 100 - 5 - first
    assert kept.startswith(printed[:first])
    assert kept.endswith(printed[-5:])
    assert (f"[... {missing} bytes are missing here".encode() in kept) == (missing > 0)
    if missing <= 0:
        assert kept == printed
