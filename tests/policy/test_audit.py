"""The audit log: whole chains, changed bytes, torn ends, rotation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.policy.audit import AuditLog, archived, entries, verify

facts = st.dictionaries(st.sampled_from(["tool", "rule", "why"]), st.text(max_size=30), max_size=3)


def written(folder: Path, rows: list[dict[str, str]], **options: int) -> Path:
    file = folder / "audit.jsonl"
    log = AuditLog(file, **options)
    for row in rows:
        log.record("allow", **row)
    return file


@given(st.lists(facts, min_size=1, max_size=5), st.data())
def test_every_changed_byte_is_seen(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], data: st.DataObject
) -> None:
    file = written(tmp_path_factory.mktemp("audit"), rows)
    content = bytearray(file.read_bytes())
    assert verify(file).problems == verify(file).notes == ()
    assert verify(file).entries == len(rows)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    assert verify(file).problems


@given(st.lists(facts, min_size=2, max_size=5), st.data())
def test_a_line_taken_out_or_put_elsewhere_is_seen(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], data: st.DataObject
) -> None:
    file = written(tmp_path_factory.mktemp("audit"), rows)
    lines = file.read_bytes().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 2))
    taken = lines.pop(at)
    file.write_bytes(b"".join(lines))
    assert verify(file).problems
    file.write_bytes(b"".join([*lines, taken]))
    assert verify(file).problems


@given(st.integers(1, 2), st.data())
def test_a_torn_end_is_noted_and_the_chain_goes_on(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("audit")
    file = written(folder, [{"tool": "shell"}] * count)
    content = file.read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1 if count > 1 else 0
    file.write_bytes(content[: data.draw(st.integers(last + 1, len(content) - 3))])
    torn = verify(file)
    assert not torn.problems
    assert len(torn.notes) == 1
    written(folder, [{"tool": "shell"}] * 2)
    again = verify(file)
    assert not again.problems
    assert len(again.notes) == 1
    assert [entry["kind"] for entry in entries(file)][count - 1 :] == ["torn", "allow", "allow"]


def test_rotation_carries_the_chain(tmp_path: Path) -> None:
    file = written(tmp_path, [{"tool": f"tool {number}"} for number in range(100)], rotate_at_bytes=2_000)
    older = archived(file)
    assert 2 < len(older) <= 20
    found = verify(file)
    assert not found.problems
    assert all("older files were removed" in note for note in found.notes)
    older[1].unlink()
    assert verify(file).problems


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from worker_core.policy.audit import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "for number in range(20): log.record('allow', number=number)"
    )
    file = tmp_path / "audit.jsonl"
    processes = [subprocess.Popen([sys.executable, "-c", program, str(file)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    assert verify(file).problems == ()
    assert verify(file).entries == 60


def test_values_are_masked_and_the_file_is_private(tmp_path: Path) -> None:
    file = tmp_path / "audit" / "audit.jsonl"
    AuditLog(file, mask=lambda text: text.replace("hunter2", "***")).record("ask", why="hunter2", many=["a hunter2"])
    [entry] = entries(file)
    assert "hunter2" not in json.dumps(entry)
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
