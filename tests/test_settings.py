from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.errors import ConfigurationError, ExitCode
from worker_core.settings import load


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
        ({"HEARTBEAT_INTERVAL": "0"}, "heartbeat_interval"),
        ({"CONTROL_PLANE_URL": "control-plane"}, "https://"),
        ({"CONTROL_PLANE_URL": "https://me:secret@host"}, "keep secrets out"),
        ({"KUBIYA_WORKER_MAX_EXECUTIONS": "0"}, "max_executions"),
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
    assert (settings.limits().memory_bytes, settings.limits().cpu_time.total_seconds()) == (100 * 2**20, 60)
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
