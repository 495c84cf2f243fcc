"""All faults at once, each with its place, and where each value is from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from worker_core.basics import typed_json
from worker_core.basics.sentences import english
from worker_core.errors import ConfigurationError
from worker_core.settings import SETTINGS, Fault, Kind, Settings, read
from worker_core.settings.call_limits import SKILLS
from worker_core.settings.reading import nearest
from worker_core.tools.registry import _MAKERS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_where_each_value_is_from(file: Path) -> None:
    file.write_text('# mine\nlog_level = "DEBUG"\n\nmax_executions = 3\nheartbeat_interval = 20\n')
    reading = read(
        environ={"HEARTBEAT_INTERVAL": "25", "LITELLM_API_KEY": "sk-canary-1"},
        flags={"max_executions": 5, "queue_ids": ()},
        file=file,
    )
    origins = {name: (one.source, one.where) for name, one in reading.origins.items()}
    assert origins == {
        "log_level": ("file", f"{file}:2"),
        "heartbeat_interval": ("environment", "HEARTBEAT_INTERVAL"),
        "llm_api_key": ("environment", "LITELLM_API_KEY"),
        "max_executions": ("flag", "--max-executions"),
    }
    assert reading.origin("queue_ids").source == "default"
    assert reading.settings().max_executions == 5
    assert "canary" not in repr(reading)


def test_all_faults_are_found_at_once_with_their_places(file: Path) -> None:
    file.write_text(
        'max_executoins = 4\nlog_level = "DEBUG"\nsandbox = "cage"\nproxy =  1\nnetwork_allow = [\n"https://x"]\n'
        '[work]\nqueue_ids = ["a"]\n'
    )
    reading = read(environ={"HEARTBEAT_INTERVAL": "soon"}, file=file)
    assert [(one.name, one.line, one.column, one.meant) for one in reading.faults] == [
        ("max_executoins", 1, 1, "max_executions"),
        ("sandbox", 3, 11, ""),
        ("proxy", 4, 10, ""),
        ("network_allow", 5, 17, ""),
        ("work", 7, 2, ""),
        ("HEARTBEAT_INTERVAL", 0, 0, ""),
    ]
    assert all(one.sentence.endswith((".", "?")) for one in reading.faults)
    assert "take the line [work] away" in reading.faults[4].sentence
    with pytest.raises(ConfigurationError, match=r"line 1\. Did you mean `max_executions`\? .*config check.* 5 more"):
        reading.settings()
    assert reading.settings_without_faults() == Settings(log_level="DEBUG")
    for one in reading.faults:
        assert english(one.told) == one.sentence
        assert (type(one.sentence), type(one.said)) == (str, str), "they are told over the control socket"
    assert typed_json.convert(msgspec.to_builtins(reading.faults), tuple[Fault, ...]) == reading.faults


def test_what_stands_in_the_file_is_text_in_every_language(file: Path) -> None:
    file.write_text("sandbox = '{called} {why}'\n'{name}' = 1\n[hooks]\n'{why}' = 1\n")
    first, *rest = read(environ={}, file=file).faults
    assert first.told[0].values["value"] == "'{called} {why}'"
    assert rest
    assert all(english(one.told) == one.sentence for one in rest)
    assert "{name}" in rest[0].sentence


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [('log_level = "DEBUG"\nx = [1\n', 2, 1), ("a = 1\na = 2\n", 2, 6), ('a = "\n', 1, 6), ("[x\n", 1, 3)],
)
def test_what_is_no_toml_is_one_fault_with_its_place(file: Path, text: str, line: int, column: int) -> None:
    file.write_text(text)
    [fault] = read(environ={}, file=file).faults
    assert (fault.line, fault.column) == (line, column)
    assert f"line {line}, column {column}: " in fault.sentence
    assert str(file) in fault.sentence


def test_what_is_no_text_is_one_fault(file: Path) -> None:
    file.write_bytes(b"# fine\nlog_level = '\xff'\n")
    [fault] = read(environ={}, file=file).faults
    assert (fault.file, fault.line) == (str(file), 2)
    file.unlink()
    file.mkdir()
    [fault] = read(environ={}, file=file).faults
    assert fault.line == 0
    assert "is no file" in fault.sentence or "cannot be read" in fault.sentence


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("max_executoins", "max_executions"),
        ("max-executions", "max_executions"),
        ("QUEUE_ID", "queue_ids"),
        ("log-level", "log_level"),
        ("KUBIYA_WORKER_SANDBOX", "sandbox"),
        ("model", "model_override"),
        ("llm_api_key", ""),
        ("api_key", ""),
        ("colour", ""),
    ],
)
def test_the_name_that_was_meant(written: str, meant: str) -> None:
    assert nearest(written) == meant


@pytest.mark.parametrize("name", [name for name, one in SETTINGS.items() if one.kind is not Kind.SECRET])
def test_a_name_that_lost_a_letter_is_understood(name: str) -> None:
    assert nearest(name[:3] + name[4:]) == name


def test_variables_without_effect_are_noticed_and_those_of_others_left_alone() -> None:
    environ = {
        "KUBIYA_WORKER_HEARTBEAT_INTERVAL": "20",
        "KUBIYA_WORKER_MAX_EXECUTION": "3",
        "KUBIYA_WORKER_HOME": "/x",
        "KUBIYA_WORKER_SERVICE_HOST": "10.0.0.1",
        "KUBIYA_WORKER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "KUBIYA_WORKER_SANDBOX": "none",
    }
    reading = read(environ=environ)
    assert not reading.faults
    assert [(one.name, one.meant) for one in reading.remarks] == [
        ("KUBIYA_WORKER_HEARTBEAT_INTERVAL", "HEARTBEAT_INTERVAL"),
        ("KUBIYA_WORKER_MAX_EXECUTION", "KUBIYA_WORKER_MAX_EXECUTIONS"),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("shel", "shell"),
        ("Shell", "shell"),
        ("pyhton", "python"),
        ("file-system", "file_system"),
        ("webfetch", "web_fetch"),
    ],
)
def test_a_misspelt_skill_is_noticed_and_nothing_is_refused(file: Path, written: str, meant: str) -> None:
    file.write_text(f"max_executions = 2\n[tool_limits]\nshell.memory_mb = 9\n{written}.time = '6 h'\n")
    reading = read(environ={}, file=file)
    assert not reading.faults
    [remark] = reading.remarks
    assert (remark.name, remark.meant) == ("tool_limits", meant)
    assert f"{written}.time=6 h" in remark.sentence
    assert f"{file}:2" in remark.sentence
    assert f"Did you mean `{meant}.time`?" in remark.sentence
    assert len(reading.settings().tool_limits) == 2


def test_what_is_like_no_skill_is_named_with_the_types_that_there_are(file: Path) -> None:
    file.write_text("tool_limits = ['my own skill.memory_mb=9']\n")
    reading = read(environ={}, file=file)
    [remark] = reading.remarks
    assert remark.meant == ""
    assert "only for a skill that is itself named 'my own skill'. Types are shell, python," in remark.sentence
    assert not reading.faults


def test_skills_and_queues_are_left_alone(file: Path) -> None:
    every = "\n".join(f"{one}.time = 60" for one in SKILLS)
    file.write_text(
        f"queue_ids = ['shells']\nqueue_limits = ['docker-2=1']\n[tool_limits]\n{every}\nshells.time = 60\n"
        "docker-2.time = 60\n'6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d'.time = 60\n"
    )
    reading = read(environ={}, file=file)
    assert (reading.faults, reading.remarks) == ((), ())
    assert len(reading.settings().tool_limits) == len(SKILLS) + 3


def test_the_types_of_skills_are_those_of_the_tools() -> None:
    assert set(_MAKERS) == set(SKILLS)
