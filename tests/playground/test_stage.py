from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.playground import Stage
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.playground.server import Playground
from worker_core.playground.stage import Backend, worker_settings


def test_what_isolates_tools_is_the_users_to_say_in_the_playground_too(stage: Stage) -> None:
    plain = worker_settings(stage.info, {})
    assert (plain.sandbox, plain.require_sandbox) == ("auto", "ask")
    said = worker_settings(stage.info, {"KUBIYA_WORKER_REQUIRE_SANDBOX": "never", "KUBIYA_WORKER_SANDBOX": "none"})
    assert (said.sandbox, said.require_sandbox) == ("none", "never")
    with pytest.raises(ConfigurationError, match="REQUIRE_SANDBOX"):
        worker_settings(stage.info, {"KUBIYA_WORKER_REQUIRE_SANDBOX": "perhaps"})


def test_a_backend_is_started_once_takes_a_task_and_goes(tmp_path: Path) -> None:
    backend = Backend(Playground(data_dir=tmp_path, discover_models=False), folder=tmp_path)
    backend.stop()
    with pytest.raises(RuntimeError):
        _ = backend.info
    try:
        info = backend.start()
        assert backend.start() is info is backend.info
        assert backend.is_running
        assert asyncio.run(backend.submit("Say something."))
    finally:
        backend.stop()
    assert not backend.is_running
    assert backend.worker_paths.state.is_relative_to(tmp_path)


def test_a_backend_that_cannot_start_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    backend = Backend(Playground(data_dir=folder, discover_models=False), folder=folder)
    with pytest.raises(KubiyaError, match="cannot be used"):
        backend.start()
    assert not backend.is_running
