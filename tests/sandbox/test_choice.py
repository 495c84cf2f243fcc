from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.walls import needs_bubblewrap
from worker_core.paths import Paths
from worker_core.sandbox import choice, container, linux
from worker_core.sandbox.choice import Choice, ChosenLauncher, SandboxMissing, choose
from worker_core.sandbox.launcher import Command, DirectLauncher, Holds
from worker_core.settings import Settings
from worker_core.snapshot import SandboxView


@pytest.fixture
def paths() -> Iterator[Paths]:
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    yield Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")
    shutil.rmtree(folder)


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any sandbox."""
    monkeypatch.setattr(linux, "find_program", lambda: None)
    monkeypatch.setattr(container, "find_program", lambda: None)
    monkeypatch.setattr(choice.platform, "system", lambda: "Linux")


@needs_bubblewrap
def test_bubblewrap_where_it_works(paths: Paths) -> None:
    found = choose(Settings(), paths)
    found.close()
    assert found.view.name == "bubblewrap"
    assert set(found.view.enforces) == set(Holds)
    assert found.reason.endswith("; network: HTTP and HTTPS to public addresses.")
    assert not list((paths.runtime / "sandbox").iterdir())


@needs_bubblewrap
def test_what_a_killed_worker_left_is_swept(paths: Paths) -> None:
    left, running = paths.runtime / "sandbox" / "4194305-x", paths.runtime / "sandbox" / "1-x"
    for folder in (left, running):
        folder.mkdir(parents=True)
    choose(Settings(), paths).close()
    assert [left.exists(), running.exists()] == [False, True]


@needs_bubblewrap
@pytest.mark.parametrize(
    ("network", "says"), [("off", "no network."), ("host", "unfiltered."), ("allow-list", "network_allow.")]
)
def test_the_network_is_named(paths: Paths, network: Any, says: str) -> None:
    found = choose(Settings(network=network), paths)
    found.close()
    assert found.reason.endswith(says)


@needs_bubblewrap
def test_a_long_path_of_the_state_folder(paths: Paths) -> None:
    from dataclasses import replace

    found = choose(Settings(), replace(paths, runtime=paths.runtime / ("x" * 100)))
    found.close()
    assert "could not be started" not in found.reason


def test_a_headless_worker_says_once_that_there_is_none(
    paths: Paths, nothing: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = choose(Settings(), paths)
    assert found.view.name == "none"
    assert set(found.view.enforces) == {"process-group", "environment", "limits"}
    assert "bubblewrap is not installed" in found.reason
    (record,) = caplog.records
    assert "WITHOUT a sandbox" in record.message


def test_never_says_nothing(paths: Paths, nothing: None, caplog: pytest.LogCaptureFixture) -> None:
    assert choose(Settings(require_sandbox="never"), paths).view.name == "none"
    assert not caplog.records


@pytest.mark.parametrize("sandbox", ["auto", "none", "bubblewrap", "container"])
def test_always_starts_no_tool(paths: Paths, nothing: None, sandbox: Any, tmp_path: Path) -> None:
    found = choose(Settings(require_sandbox="always", sandbox=sandbox), paths)
    assert found.view.name == "refused"
    launcher = ChosenLauncher(lambda: found, on_choice=lambda made: None)
    with pytest.raises(SandboxMissing, match="runs tools in a sandbox only"):
        launcher.wrap(Command(argv=["true"], cwd=tmp_path, environment={}), workspace=tmp_path)


@pytest.mark.parametrize(("answer", "name"), [(True, "none"), (False, "refused")])
def test_it_asks_once_and_remembers(paths: Paths, nothing: None, answer: bool, name: str) -> None:
    asked: list[str] = []

    def ask(why: str) -> bool:
        asked.append(why)
        return answer

    for _ in range(3):
        assert choose(Settings(), paths, ask=ask).view.name == name
    assert choose(Settings(), paths).view.name == name
    assert len(asked) == 1
    assert "bubblewrap is not installed" in asked[0]
    assert choose(Settings(require_sandbox="always"), paths).view.name == "refused"


def test_it_looks_once_and_lazily(tmp_path: Path) -> None:
    looked, heard = [], []

    def look() -> Choice:
        looked.append(1)
        return Choice(launcher=DirectLauncher(), reason="Because.")

    launcher = ChosenLauncher(look, on_choice=heard.append)
    assert (launcher.name, launcher.enforces, looked) == ("", frozenset(), [])
    command = Command(argv=["true"], cwd=tmp_path, environment={})
    for _ in range(3):
        assert launcher.wrap(command, workspace=tmp_path) is command
    assert len(looked) == len(heard) == 1
    assert heard[0].view == SandboxView(name="none", enforces=("environment", "process-group"), reason="Because.")
