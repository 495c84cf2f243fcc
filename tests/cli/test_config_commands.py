"""config show, check and path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from worker_core.paths import Paths
from worker_core.settings import SETTINGS


@pytest.fixture
def paths(offline: CommandLine) -> Paths:
    paths = Paths.from_environment(offline.environment)
    paths.config.mkdir(parents=True)
    return paths


def test_every_setting_is_shown_with_its_value_and_its_origin(offline: CommandLine, paths: Paths) -> None:
    paths.settings_file.write_text('\nlog_level = "DEBUG"\n')
    flags = ("--max-executions", "3", "--queue-id", "A,B")
    said = offline("config", "show", "--json", *flags, LITELLM_API_KEY="sk-canary-1")
    assert said.code == 0, said
    rows = {row["name"]: row for row in said.json["settings"]}
    assert list(rows) == list(SETTINGS)
    assert rows["log_level"] == {
        "name": "log_level", "value": "DEBUG", "source": "file", "where": f"{paths.settings_file}:2",
        "live": True,
    }  # fmt: skip
    assert (rows["max_executions"]["value"], rows["max_executions"]["where"]) == (3, "--max-executions")
    assert rows["queue_ids"]["value"] == ["A", "B"]
    assert (rows["drain_timeout"]["value"], rows["drain_timeout"]["source"]) == ("5 min", "default")
    assert (rows["sandbox"]["live"], rows["max_executions"]["live"]) == (False, True)
    assert (rows["llm_api_key"]["value"], rows["llm_api_key"]["where"]) == ("***", "LITELLM_API_KEY")
    assert "canary" not in said.out + said.err
    shown = offline("config", "show", "--changed")
    assert [line.split() for line in shown.out.splitlines()[1:]] == [
        ["control_plane_url", offline.environment["CONTROL_PLANE_URL"], "CONTROL_PLANE_URL"],
        ["log_level", "DEBUG", f"{paths.settings_file}:2"],
    ]


def test_show_goes_on_beside_what_is_wrong(offline: CommandLine, paths: Paths) -> None:
    paths.settings_file.write_text('log_level = "DEBUG"\nsandbx = "none"\n')
    said = offline("config", "show")
    assert said.code == 3
    assert f"error: {paths.settings_file}:2:1: There is no setting named `sandbx`. Did you mean `sandbox`?" in said.err
    assert "DEBUG" in said.out


def test_check_names_every_fault_of_settings_environment_and_policy(offline: CommandLine, paths: Paths) -> None:
    paths.settings_file.write_text('log_levle = "x"\nsandbox = "cage"\n')
    paths.policy_file.write_text('[[deny]]\npath = "/x"\ncolour = "red"\n')
    said = offline("config", "check", HEARTBEAT_INTERVAL="soon", KUBIYA_WORKER_SANDBOXX="x")
    assert said.code == 3
    assert [line.split(": ")[1] for line in said.err.splitlines()] == [
        f"{paths.settings_file}:1:1",
        f"{paths.settings_file}:2:11",
        "HEARTBEAT_INTERVAL is 'soon'; it must be seconds, or a time such as 30 s, 5 min, 2 h or 7 d.",
        f"{paths.policy_file}:3",
        "The variable KUBIYA_WORKER_SANDBOXX has no effect. Did you mean KUBIYA_WORKER_SANDBOX?",
    ]
    found = offline("config", "check", "--json")
    assert found.code == 3
    assert found.json["ok"] is False
    assert [(one["file"], one["line"], one["column"], one["meant"]) for one in found.json["faults"]] == [
        (str(paths.settings_file), 1, 1, "log_level"),
        (str(paths.settings_file), 2, 11, ""),
        (str(paths.policy_file), 3, 0, ""),
    ]


def test_check_of_nothing_wrong(offline: CommandLine, paths: Paths) -> None:
    said = offline("config", "check")
    assert said.code == 0
    assert said.out.count("does not exist, which is fine") == 2
    paths.settings_file.write_text("")
    assert f"{paths.settings_file}: nothing is wrong." in offline("config", "check").out


def test_check_of_named_files_looks_at_nothing_else(offline: CommandLine, paths: Paths, tmp_path: Path) -> None:
    paths.settings_file.write_text("wrong = 1\n")
    good, policy = tmp_path / "new.toml", tmp_path / "policy.toml"
    good.write_text("max_executions = 2\n")
    policy.write_text('[[ask]]\ncommand = "rm *"\n')
    said = offline("config", "check", str(good), "--policy", str(policy), HEARTBEAT_INTERVAL="soon")
    assert (said.code, said.err) == (0, "")
    for arguments in ([str(tmp_path / "none.toml")], ["--policy", str(tmp_path / "none.toml")]):
        said = offline("config", "check", *arguments)
        assert said.code == 3
        assert f"There is no file {tmp_path / 'none.toml'}." in said.err


def test_a_file_that_cannot_be_read_is_one_sentence(offline: CommandLine, paths: Paths) -> None:
    paths.settings_file.mkdir()
    said = offline("config", "check")
    assert said.code == 3
    assert str(paths.settings_file) in said.err
    assert "Traceback" not in said.err


def test_path(offline: CommandLine, paths: Paths) -> None:
    assert offline("config", "path").out == f"{paths.settings_file}\n"
