"""What is inside where folders of the owner's were granted: these as well, without what leads out of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.policy.calls import policy
from worker_core.policy.rules import Action
from worker_core.policy.subjects import OwnPlaces, Reader, subjects_of
from worker_core.sandbox.launcher import GrantedFolder, WorkPlace

HELD = OwnPlaces(files=True)
"""What a sandbox holds that keeps processes from writing where they may not."""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.shown = folder / "shown"
        self.written = folder / "written"
        for one in (self.workspace, self.shown, self.written, folder / "beside", folder / "shown-too"):
            one.mkdir()
        for one in (folder / "beside", self.written):
            (one / "x").write_text("x")
        (self.written / "link").symlink_to(folder / "beside")
        (self.workspace / "link").symlink_to(self.shown)
        self.folders = (GrantedFolder(path=self.shown), GrantedFolder(path=self.written, writable=True))

    def decided(
        self, line: str = "", *, file: str = "", rules: str = "", own: OwnPlaces = HELD, start: Path | None = None
    ) -> Action:
        """About a command line, or the path of a file tool."""
        here = str(self.workspace)
        line = line.replace(os.sep, "/")  # as one names a folder of Windows to Bash
        said = policy(rules)
        place = WorkPlace(folders=self.folders, start=start)
        reader = Reader(self.workspace, denied=said.denied_words(here), own=own, place=place)
        found = reader.file(file) if file else reader.started(["/bin/bash", "-c", line])
        return said.decide(subjects_of("shell", found), tool="shell", workspace=here).action


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_granted_folder_needs_no_question_and_what_lies_beside_it_does(machine: Machine) -> None:
    for path in (f"{machine.shown}/x", str(machine.written), f"{machine.written}/a/../b", "link/x"):
        assert machine.decided(f"cat {path}") is Action.ALLOW, path
        assert machine.decided(file=path) is Action.ALLOW, path
    for path in (
        f"{machine.shown}/../beside/x",
        f"{machine.shown}-too/x",
        f"{machine.written}/link/x",
        str(machine.shown.parent),
        "link/../../beside/x",
    ):
        assert machine.decided(f"cat {path}") is Action.ASK, path
        assert machine.decided(file=path) is Action.ASK, path


def test_where_nothing_keeps_a_process_from_writing_what_it_may_only_read_that_is_asked(machine: Machine) -> None:
    nothing = OwnPlaces()
    assert machine.decided(f"touch {machine.shown}/x", own=nothing) is Action.ASK
    assert machine.decided(f"touch {machine.written}/x", own=nothing) is Action.ALLOW
    assert machine.decided(file=f"{machine.shown}/x", own=nothing) is Action.ALLOW, "the file tools hold it themselves"


def test_denials_hold_in_a_granted_folder(machine: Machine) -> None:
    (machine.written / ".ssh").mkdir()
    key = f"{machine.written}/.ssh/id_ed25519"
    assert machine.decided(f"cat {key}") is Action.DENY, "built in: it is the owner's, unlike a workspace"
    assert machine.decided(file=key) is Action.DENY
    rule = f"[[deny]]\npath = '{machine.written}/private/**'\n"
    assert machine.decided(f"cat {machine.written}/private/x", rules=rule) is Action.DENY


def test_paths_begin_where_the_execution_works(machine: Machine) -> None:
    assert machine.decided("cat x", start=machine.written) is Action.ALLOW
    assert machine.decided("cat link/x", start=machine.written) is Action.ASK
    assert machine.decided(file="link/x", start=machine.written) is Action.ASK
    assert machine.decided("cd .. && cat x", start=machine.written) is Action.ASK
    rule = f"[[deny]]\npath = '{machine.written}/x'\n"
    assert machine.decided("cat x", start=machine.written, rules=rule) is Action.DENY
    assert machine.decided("cat x", rules=rule) is Action.ALLOW, "of the workspace"
