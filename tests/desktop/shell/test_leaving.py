"""What the program starts with, and how it goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.shell.launch import Launch, Options
from desktop.shell.leaving import Leaving
from worker_core.secrets import API_KEY_VARIABLE, KEY_VARIABLES, Secret
from worker_core.snapshot import StopMode


async def test_each_further_time_is_more_urgent_and_nothing_calls_it_back() -> None:
    leaving, hurried = Leaving(), list[StopMode]()
    leaving.hurried.connect(hurried.append)
    waiting = asyncio.ensure_future(leaving.asked())
    await asyncio.sleep(0)
    assert (leaving.mode, waiting.done()) == (None, False)
    leaving.escalate()
    assert await waiting is StopMode.DRAIN
    leaving.ask(StopMode.DRAIN)
    assert hurried == [], "no more urgent than before"
    leaving.escalate()
    leaving.ask(StopMode.DRAIN)
    leaving.escalate()
    leaving.escalate()
    assert hurried == [StopMode.CANCEL, StopMode.NOW]
    assert leaving.mode is StopMode.NOW


def test_keys_are_taken_out_of_the_environment_and_known_to_the_mask(tmp_path: Path) -> None:
    environ = {"KUBIYA_WORKER_HOME": str(tmp_path), **dict.fromkeys(KEY_VARIABLES, "kb-canary-0123456789")}
    launch = Launch.of(Options(), environ)
    assert not set(KEY_VARIABLES) & set(environ)
    assert launch.environ[API_KEY_VARIABLE] == "kb-canary-0123456789"
    assert launch.redactor.mask("kb-canary-0123456789") == "***"
    assert "canary" not in repr(launch)
    launch.use_key(Secret("kb-another-0123456789"))
    assert launch.environ[API_KEY_VARIABLE] == "kb-another-0123456789"
    assert launch.redactor.mask("kb-another-0123456789") == "***"


@pytest.mark.parametrize("options", [Options(playground=True), Options(demo=True)])
def test_a_playground_has_folders_of_its_own(tmp_path: Path, options: Options) -> None:
    own = Launch.of(Options(), {"KUBIYA_WORKER_HOME": str(tmp_path)})
    launch = Launch.of(options, {"KUBIYA_WORKER_HOME": str(tmp_path)})
    assert own.backend is None
    assert launch.backend is not None
    assert not launch.backend.is_running
    assert not {launch.paths.config, launch.paths.state, launch.paths.runtime} & {
        own.paths.config,
        own.paths.state,
        own.paths.runtime,
    }
