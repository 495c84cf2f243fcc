from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.errors import ConfigurationError
from worker_core.machine.identity import MOST_EXECUTIONS, default_executions, host_id


def test_the_host_id_stays_the_same(tmp_path: Path) -> None:
    file = tmp_path / "state" / "host-id"
    first = host_id(file)
    assert host_id(file) == first
    assert len(first) == 12
    assert list(file.parent.iterdir()) == [file], "no draft is left behind"


def test_a_damaged_host_id_is_made_anew_and_then_kept(tmp_path: Path) -> None:
    file = tmp_path / "host-id"
    file.write_bytes(b"\xff../../etc")
    made = host_id(file)
    assert made == host_id(file)
    assert made.isalnum()


def test_a_state_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match=r"state folder|cannot be read"):
        host_id(blocked / "state" / "host-id")


def test_the_state_folder_is_private(tmp_path: Path) -> None:
    host_id(tmp_path / "state" / "host-id")
    if os.name == "posix":
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0


@given(st.integers(min_value=0, max_value=1 << 45))
def test_there_is_always_place_for_one_and_never_for_too_many(available: int) -> None:
    assert 1 <= default_executions(available) <= MOST_EXECUTIONS
