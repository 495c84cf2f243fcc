from __future__ import annotations

import os
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.errors import ConfigurationError, ExitCode
from worker_core.sandbox.limits import limits_of
from worker_core.settings import SETTINGS, Group, Kind, Settings, as_text, load


def test_flags_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('log_level = "DEBUG"\nheartbeat_interval = 20\ncontrol_plane_url = "https://file.example.test"\n')
    environ = {"HEARTBEAT_INTERVAL": "25", "CONTROL_PLANE_URL": "https://env.example.test/"}
    settings = load(environ=environ, flags={"control_plane_url": "https://flag.example.test"}, file=file)
    assert settings.log_level == "DEBUG"
    assert settings.heartbeat_interval == timedelta(seconds=25)
    assert settings.control_plane_url == "https://flag.example.test"


def test_queue_ids_come_as_a_list_or_with_commas_and_lose_duplicates() -> None:
    assert load(environ={"QUEUE_ID": "a, b,a"}).queue_ids == ("a", "b")
    assert load(environ={"QUEUE_ID": "a"}, flags={"queue_ids": ("c", "d")}).queue_ids == ("c", "d")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HEARTBEAT_INTERVAL": "soon"}, "HEARTBEAT_INTERVAL"),
        ({"HEARTBEAT_INTERVAL": "0"}, "HEARTBEAT_INTERVAL is '0'; it must be more than 0"),
        ({"HEARTBEAT_INTERVAL": "nan"}, "it must be seconds"),
        ({"HEARTBEAT_INTERVAL": "900000 d"}, "36500 d at most"),
        ({"CONTROL_PLANE_URL": "control-plane"}, "https://"),
        ({"CONTROL_PLANE_URL": "https://me:secret@host"}, "keep secrets out"),
        ({"KUBIYA_WORKER_MAX_EXECUTIONS": "0"}, "KUBIYA_WORKER_MAX_EXECUTIONS is '0'; it must be 1 or more"),
        ({"KUBIYA_WORKER_MAX_EXECUTIONS": "1e999"}, "a whole number"),
        ({"KUBIYA_WORKER_MAX_EXECUTIONS": "2.5"}, "a whole number"),
        ({"KUBIYA_WORKER_MAX_EXECUTIONS": "9" * 5000}, "a whole number|at most"),
        (
            {"KUBIYA_WORKER_CA_FILE": "/no/such.pem"},
            "CA_FILE is '/no/such.pem'; that file does not exist",
        ),
        ({"KUBIYA_WORKER_TEMPORAL_TLS": "maybe"}, "one of auto, on, off"),
        ({"LOG_LEVEL": "loud"}, "DEBUG"),
    ],
)
def test_a_bad_value_is_named_in_one_sentence(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(environ=environ)
    assert caught.value.exit_code is ExitCode.NOT_CONFIGURED
    assert caught.value.sentence.endswith(".")
    assert "secret@" not in caught.value.sentence


def test_the_sandbox_and_its_limits(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        'network = "allow-list"\nnetwork_allow = ["PyPI.org", "*.pythonhosted.org"]\nsandbox_readable = ["~/tools"]\n'
        "tool_memory_mb = 100\ntool_cpu_time = 60\nnetwork_ports = [8443, 9443]\n"
    )
    settings = load(environ={"KUBIYA_WORKER_REQUIRE_SANDBOX": "always"}, file=file)
    assert settings.require_sandbox == "always"
    assert settings.network_allow == ("pypi.org", "*.pythonhosted.org")
    assert settings.network_ports == (8443, 9443)
    assert load(environ={"KUBIYA_WORKER_NETWORK_PORTS": "8443"}).network_ports == (8443,)
    assert settings.sandbox_readable == (Path.home() / "tools",)
    assert (limits_of(settings).memory_bytes, limits_of(settings).cpu_time.total_seconds()) == (100 * 2**20, 60)
    for environ, says in (
        ({"KUBIYA_WORKER_NETWORK": "maybe"}, "must be one of off, allow-list, on, host"),
        ({"KUBIYA_WORKER_NETWORK_ALLOW": "https://x.org"}, "is no host"),
        ({"KUBIYA_WORKER_NETWORK_PORTS": "443, https"}, "ports are numbers"),
        ({"KUBIYA_WORKER_NETWORK_PORTS": "70000"}, "ports are numbers"),
        ({"KUBIYA_WORKER_SANDBOX": "cage"}, "must be one of auto, bubblewrap"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            load(environ=environ)


def test_a_key_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('api_key = "hunter2hunter2"\n')
    with pytest.raises(ConfigurationError, match="kubiya-worker login") as caught:
        load(environ={}, file=file)
    assert "hunter2" not in caught.value.sentence


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_executions = inf", "a whole number"),
        ("max_executions = true", "a whole number"),
        ('default_model = ["a"]', "must be a text"),
        ("queue_ids = 5", "must be a list"),
        ("queue_ids = [[1]]", "must be a list"),
        ("ca_file = 5", "must be a path"),
        ("drain_timeout = [5]", "must be seconds"),
        ("sandbox = true", "must be one of auto"),
        ("fail_fast = 2", "must be true or false"),
        ("llm_api_key = 'x'", "no setting named"),
        ("proxy = ['http://me:hunter2@proxy']", "must be a text"),
        ("no_such = 1", "no setting named `no_such` in "),
    ],
)
def test_a_bad_value_in_the_file_is_a_sentence_that_names_the_file(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"{line}\n")
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(environ={}, file=file)
    assert f"in {file}" in caught.value.sentence
    assert "hunter2" not in caught.value.sentence


def test_choices_are_read_in_any_case_and_kept_as_they_are_declared() -> None:
    settings = load(environ={"LOG_LEVEL": "debug", "KUBIYA_WORKER_SANDBOX": "None"})
    assert (settings.log_level, settings.sandbox) == ("DEBUG", "none")


def test_every_setting_has_a_variable_of_its_own_and_every_flag_one_setting() -> None:
    variables = [one.variable for one in SETTINGS.values()]
    flags = [one.flag for one in SETTINGS.values() if one.flag]
    assert len(set(variables)) == len(variables)
    assert len(set(flags)) == len(flags)
    assert SETTINGS.keys() == {field.name for field in fields(Settings)}
    groups = [one.group for one in SETTINGS.values()]
    assert groups == sorted(groups, key=list(Group).index), "in the order of the page"


def test_a_value_that_is_kept_is_read_as_itself(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text("of-any-kind")
    texts = (
        str(authorities),
        "none",
        "8443",
        "90 s",
        "yes",
        "owner",
        "https://x.example",
        "22:00-07:00",
        "a-queue=3",
        "files",
        "day.cost=5",
        "C:/repo=worktree" if os.name == "nt" else "/repo=worktree",
        "python.memory_mb=65536",
        "0,1",
    )
    for name, one in SETTINGS.items():
        if one.kind is Kind.SECRET:
            continue
        read = 0
        for text in (*one.choices, *texts):
            try:
                kept = load(environ={one.variable: text})
            except ConfigurationError:
                continue
            read += 1
            value = getattr(kept, name)
            assert one.read(value) == value, name
            assert one.read(as_text(value)) == value, name
            assert replace(kept) == kept
        assert read, name


def test_settings_made_in_code_are_checked_as_well() -> None:
    with pytest.raises(ConfigurationError, match="drain_timeout is '0 s'; it must be more than 0"):
        Settings(drain_timeout=timedelta(0))


def test_no_setting_prints_the_gateway_key() -> None:
    settings = load(environ={"LITELLM_API_KEY": "sk-canary-123456"})
    assert "canary" not in repr(settings)
    assert settings.llm_api_key.reveal() == "sk-canary-123456"


@given(st.text(max_size=60))
def test_any_url_is_taken_or_refused_with_a_sentence(text: str) -> None:
    try:
        load(environ={}, flags={"control_plane_url": text})
    except ConfigurationError as error:
        assert error.sentence.endswith((".", '"', "'"))  # noqa: PT017
