"""What calls may use up in one queue or of one skill: read, written, and which of several holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from worker_core.agents.activities.call_limits import limits_of_tool, longest_call
from worker_core.settings import Settings, load
from worker_core.settings.call_limits import read_call_limit
from worker_core.tools.registry import SkillDefinition

MB = 1024 * 1024


def test_a_line_is_read_and_written() -> None:
    for text in ("python.memory_mb=65536", "a.b.processes=3", "q.cpu_time=1 h 30 min", "shell.time=6 h"):
        assert str(read_call_limit(text)) == text
    assert read_call_limit("shell.time=21600").amount == 21600


@pytest.mark.parametrize(
    "text",
    ["python=3", "python.memory=3", ".memory_mb=3", "python.memory_mb=0", "python.memory_mb=1.5", "python.memory_mb=-1",
     "python.processes=many", "python.time=0", "python.time=nan", "python.memory_mb=9999999999999"],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"WHOSE\.WHAT=AMOUNT|more than 0|must be"):
        read_call_limit(text)


def test_a_table_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[tool_limits]\npython.memory_mb = 65536\nshell = { time = "6 h", processes = 9 }\n"3f-0c".cpu_time = 60\n'
    )
    found = load(environ={}, file=file).tool_limits
    assert {str(one) for one in found} == {
        "python.memory_mb=65536", "shell.time=6 h", "shell.processes=9", "3f-0c.cpu_time=1 min",
    }  # fmt: skip


def of(*said: str, skill: str = "python", queue: str = "q", **configuration: object) -> tuple[object, ...]:
    """Memory in MB, processes, seconds of processor time and of time; None: as for all."""
    settings = Settings(tool_limits=tuple(map(read_call_limit, said)), tool_memory_mb=100, tool_processes=10)
    definition = SkillDefinition(name="mine", type=skill, configuration=dict(configuration)) if skill else None
    found = limits_of_tool(settings, queue_id=queue, skill=definition)
    own = found.processes
    return (
        None if own is None else (own.memory_bytes // MB, own.processes, own.cpu_time.total_seconds()),
        found.time.total_seconds(),
        found.longest and found.longest.total_seconds(),
    )


def test_the_owner_raises_and_narrows_for_a_queue_or_a_skill() -> None:
    assert of() == (None, 600, None)
    assert of("python.memory_mb=5000", "shell.memory_mb=1") == ((5000, 10, 1800), 600, None)
    assert of("mine.processes=3", "q.cpu_time=5") == ((100, 3, 5), 600, None), "by a skill's own name, too"
    assert of("other.memory_mb=1") == (None, 600, None)
    assert of("q.memory_mb=5000", "python.memory_mb=700", "python.time=6h") == ((700, 10, 1800), 21600, 21600)
    assert of("python.memory_mb=700", "q.memory_mb=50", skill="") == ((50, 10, 1800), 600, None), "of an MCP server"


def test_a_skills_configuration_can_only_narrow() -> None:
    wide = {"memory_mb": 9999, "processes": 99, "cpu_time": 99999, "time": 99999}
    assert of(limits=wide) == (None, 600, None)
    assert of("python.time=2h", limits={**wide, "memory_mb": 60}) == ((60, 10, 1800), 7200, 7200)
    assert of("python.time=2h", limits={"time": 30, "processes": 2}) == ((100, 2, 1800), 30, 30)
    for strange in (
        None,
        [],
        "x",
        {"memory_mb": "1"},
        {"processes": True},
        {"time": 0},
        {"time": float("nan")},
        {"x": 1},
    ):
        assert of(limits=strange) == (None, 600, None)


def test_the_longest_of_all() -> None:
    settings = Settings(tool_limits=(read_call_limit("shell.time=6h"), read_call_limit("python.time=1 s")))
    assert longest_call(settings) == timedelta(hours=6)
    assert longest_call(Settings()) == timedelta(minutes=10)
