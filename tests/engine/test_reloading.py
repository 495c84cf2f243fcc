"""Settings are read again while a worker runs: what may change holds at once, the rest is said, and a fault changes
nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from worker_core.engine.reloading import RunningSettings
from worker_core.paths import Paths
from worker_core.policy.decision import policy_file
from worker_core.secrets import Secret
from worker_core.settings import SETTINGS, Adopted, Settings, SettingsInForce, SettingsSource
from worker_core.snapshot import EngineSnapshot, QueueConfigView, QueueView


class Adopter:
    """What an engine is to its settings."""

    def __init__(self, settings: Settings) -> None:
        self._in_force = SettingsInForce(settings)
        self.snapshot = EngineSnapshot(executions_limit=4)

    @property
    def settings(self) -> Settings:
        return self._in_force.current

    def adopt(self, settings: Settings) -> Adopted:
        return self._in_force.adopt(settings)


Start = Callable[..., tuple[RunningSettings, Adopter, list[Settings]]]
"""With variables of the environment: what runs, its engine, and the settings that were adopted."""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path)})
    made.config.mkdir(parents=True)
    return made


@pytest.fixture
def start(paths: Paths) -> Start:
    def made(**environ: str) -> tuple[RunningSettings, Adopter, list[Settings]]:
        source = SettingsSource(environ=environ, flags={"max_activities": 9}, file=paths.settings_file)
        reading, heard = source.read(), list[Settings]()
        engine = Adopter(reading.settings())
        running = RunningSettings(
            engine=engine, source=source, reading=reading, policy=policy_file(paths), on_adopted=heard.append
        )
        return running, engine, heard

    return made


async def test_what_may_change_holds_at_once_and_the_rest_is_said(paths: Paths, start: Start) -> None:
    paths.settings_file.write_text('log_level = "INFO"\nmax_executions = 2\n')
    running, engine, heard = start(KUBIYA_WORKER_TOOL_TIMEOUT="60")
    paths.settings_file.write_text('log_level = "DEBUG"\nsandbox = "none"\nqueue_ids = ["a"]\ntool_timeout = 5\n')
    found = await running.reload()
    assert found.applied == ("max_executions", "log_level")
    assert found.later == ("queue_ids", "sandbox")
    assert found.sentence == (
        "The settings were read again: max_executions is empty now; log_level is DEBUG now; "
        "queue_ids, sandbox take effect at the next start."
    )
    assert (engine.settings.log_level, engine.settings.max_executions) == ("DEBUG", None)
    assert (engine.settings.sandbox, engine.settings.queue_ids) == ("auto", ())
    assert heard == [engine.settings]
    assert (await running.reload()).later == ("queue_ids", "sandbox"), "they still wait"
    rows = {one.name: one for one in running.rows()}
    assert (rows["log_level"].value, rows["log_level"].where) == ("DEBUG", f"{paths.settings_file}:1")
    assert (rows["max_executions"].value, rows["max_executions"].source) == (4, "machine")
    assert rows["max_activities"].where == "--max-activities"
    assert rows["tool_timeout"].where == "KUBIYA_WORKER_TOOL_TIMEOUT", "the environment wins, then as now"


@pytest.mark.parametrize("broken", ["log_levle = 1\n", "x = [", 'log_level = "DEBUG"\nsandbox = "cage"\n'])
async def test_a_broken_file_changes_nothing_and_says_so(paths: Paths, start: Start, broken: str) -> None:
    running, engine, heard = start()
    before = engine.settings
    paths.settings_file.write_text(broken)
    found = await running.reload()
    assert found.sentence.startswith("The settings were left as they are: ")
    assert str(paths.settings_file) in found.sentence
    assert found.faults
    assert (engine.settings, heard, found.applied) == (before, [], ())
    paths.settings_file.write_text("")
    assert (await running.reload()).sentence == "The settings were read again: nothing has changed."


async def test_a_broken_policy_is_a_fault_too(paths: Paths, start: Start) -> None:
    running, engine, _ = start()
    paths.settings_file.write_text('log_level = "DEBUG"\n')
    paths.policy_file.write_text("[[deny]]\ncolour = 1\n")
    found = await running.reload()
    assert [(one.file, one.line) for one in found.faults] == [(str(paths.policy_file), 2)]
    assert engine.settings.log_level == "INFO"


async def test_a_rotated_key_of_the_gateway_is_used_and_not_shown(paths: Paths, start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("sk-canary-1")
    running, engine, _ = start(LITELLM_API_KEY_FILE=str(key))
    assert engine.settings.llm_api_key.reveal() == "sk-canary-1"
    key.write_text("sk-canary-2")
    found = await running.reload()
    assert engine.settings.llm_api_key.reveal() == "sk-canary-2"
    assert "canary" not in repr(found) + repr(running.rows())


async def test_what_the_control_plane_decided_is_from_the_server(start: Start) -> None:
    running, engine, _ = start(HEARTBEAT_INTERVAL="")
    config = QueueConfigView(heartbeat_seconds=20.0, model_gateway="https://llm.example.test", has_model_key=True)
    engine.snapshot = EngineSnapshot(queues=(QueueView(queue_id="a", config=config), QueueView(queue_id="b")))
    rows = {one.name: (one.value, one.source) for one in running.rows()}
    assert rows["heartbeat_interval"] == ("20 s", "server")
    assert rows["llm_base_url"] == ("https://llm.example.test", "server")
    assert rows["llm_api_key"] == ("***", "server")


def test_every_setting_is_either_live_or_waits() -> None:
    for one in SETTINGS.values():
        assert isinstance(one.live, bool)
    assert SettingsInForce(Settings()).adopt(Settings()) == Adopted()
    secret = SettingsInForce(Settings()).adopt(Settings(llm_api_key=Secret("sk-1")))
    assert secret.applied == ("llm_api_key",)


async def test_a_misspelt_skill_is_said_and_the_rest_holds(paths: Paths, start: Start) -> None:
    running, engine, _ = start()
    paths.settings_file.write_text("[tool_limits]\nshel.time = '6 h'\n")
    reloaded = await running.reload()
    assert reloaded.applied == ("tool_limits",)
    assert "Did you mean `shell.time`?" in reloaded.sentence
    assert engine.settings.tool_limits
