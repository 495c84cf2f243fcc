"""Whether a call for the user arrives: a real program, a real web address."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.test_hooks import script
from tests.support.engine import home
from tests.support.http_server import Answer, serving
from worker_core.checks.calls_for_you import calls_for_you
from worker_core.settings import Settings

posix = pytest.mark.skipif(os.name == "nt", reason="the programs are scripts of a POSIX shell")


def home_of(folder: Path) -> Any:
    paths = home(folder)
    paths.state.mkdir()
    return paths


async def test_nothing_is_sent_unasked(tmp_path: Path) -> None:
    with serving(lambda _: Answer()) as server:
        settings = Settings(notify_webhook=f"http://127.0.0.1:{server.port}/")
        found = await calls_for_you(settings, home_of(tmp_path), tell=False)
        assert (found.verdict, server.requests) == ("skip", [])
        assert "doctor --notify" in found.sentence
        assert (await calls_for_you(Settings(), home(tmp_path), tell=True)).verdict == "skip"


@posix
async def test_both_are_told_in_quiet_hours_too(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with serving(lambda _: Answer(status=204)) as server:
        settings = Settings(
            notify_webhook=f"http://127.0.0.1:{server.port}/hook", notify_format="slack", notify_quiet="00:00-23:59",
            notify_command=script(tmp_path, f'echo "$KUBIYA_HOOK" > {told}'),
        )  # fmt: skip
        found = await calls_for_you(settings, home_of(tmp_path), tell=True)
    assert (found.verdict, told.read_text()) == ("ok", "test\n")
    [request] = server.requests
    assert json.loads(request.body)["text"].startswith("A test from the worker on ")


@posix
async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with serving(lambda _: Answer(status=404)) as server:
        address = f"http://127.0.0.1:{server.port}/T0/B0/path-that-is-a-secret"
        settings = Settings(notify_webhook=address, notify_command=script(tmp_path, "exit 3"), notify_format="teams")
        found = await calls_for_you(settings, home_of(tmp_path), tell=True)
    assert found.verdict == "fail"
    assert "ended with exit code 3" in found.sentence
    assert "did not take it as teams (it answered 404)" in found.sentence
    assert "path-that-is-a-secret" not in found.sentence
