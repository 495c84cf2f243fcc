"""Tools in folders of the owner's: what may be read, what may be written, and where paths without a beginning begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tools.conftest import Call
from worker_core.sandbox.launcher import GrantedFolder, WorkPlace
from worker_core.tools.configuration import Configuration
from worker_core.tools.documents import make as documents
from worker_core.tools.files import FileTool
from worker_core.tools.shell import ShellTool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are POSIX")


SHELL = ShellTool()


class Owner:
    """A folder that may be read, with one in it that may be written, and what is granted to nobody."""

    def __init__(self, folder: Path) -> None:
        self.shown = folder / "shown"
        self.written = self.shown / "written"
        self.written.mkdir(parents=True)
        (folder / "secret").mkdir()
        (self.shown / "note.txt").write_text("a note\n")
        (folder / "secret" / "key").write_text("KEY\n")
        (self.written / "link").symlink_to(folder / "secret")
        self.folders = (GrantedFolder(path=self.shown), GrantedFolder(path=self.written, writable=True))
        self.beside = WorkPlace(folders=self.folders)
        self.within = WorkPlace(folders=self.folders, start=self.written)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path / "owner")


async def test_files_are_read_and_written_as_it_is_granted(call: Call, owner: Owner) -> None:
    read = await call(FileTool(name="read_file"), {"path": str(owner.shown / "note.txt")}, place=owner.beside)
    assert read.output == "a note\n"
    new = {"path": str(owner.written / "new.txt"), "content": "x"}
    assert (await call(FileTool(name="write_file"), new, place=owner.beside)).succeeded
    assert (owner.written / "new.txt").read_text() == "x"
    for tool, asked in (
        ("write_file", {"path": str(owner.shown / "note.txt"), "content": "x"}),
        ("write_file", {"path": str(owner.shown / "new.txt"), "content": "x"}),
        ("edit_file", {"path": str(owner.shown / "note.txt"), "old_text": "a", "new_text": "b"}),
    ):
        refused = await call(FileTool(name=tool), asked, place=owner.beside)
        assert refused.error is not None
        assert "may only be read" in refused.error
    assert (owner.shown / "note.txt").read_text() == "a note\n"
    assert not (owner.shown / "new.txt").exists()


@pytest.mark.parametrize("path", ["link/key", "../../secret/key", "{there}/link/key", "{there}/../../secret/key"])
async def test_nothing_leads_out_of_a_folder(call: Call, owner: Owner, path: str) -> None:
    named = path.format(there=owner.written)
    for tool, more in (("read_file", {}), ("write_file", {"content": "x"}), ("list_files", {})):
        refused = await call(FileTool(name=tool), {"path": named, **more}, place=owner.within)
        assert refused.error is not None
        assert "leads out of the workspace and of the folders that were granted" in refused.error


async def test_paths_begin_where_the_execution_works(call: Call, owner: Owner, here: Path) -> None:
    (here / "mine.txt").write_text("of the workspace\n")
    (owner.written / "it.txt").write_text("of the folder\n")
    listed = await call(FileTool(name="list_files"), {}, place=owner.within)
    assert "it.txt (14 bytes)" in listed.output.splitlines()
    beside = await call(FileTool(name="list_files"), {"path": str(owner.shown)}, place=owner.within)
    assert f"{owner.shown}/note.txt (7 bytes)" in beside.output.splitlines(), "as it can be asked for"
    found = await call(FileTool(name="search_files"), {"pattern": "folder"}, place=owner.within)
    assert found.output.startswith("it.txt:1: of the folder")
    own = await call(FileTool(name="read_file"), {"path": str(here / "mine.txt")}, place=owner.within)
    assert own.output == "of the workspace\n"
    (here / "x").mkdir()
    kept = await call(FileTool(name="read_file", base="x"), {"path": str(owner.shown / "note.txt")}, place=owner.within)
    assert kept.error is not None, "a skill that is confined to a folder of the workspace stays there"


async def test_commands_begin_there_too(call: Call, owner: Owner, here: Path) -> None:
    async def where(folder: str = "", tool: ShellTool = SHELL, place: WorkPlace | None = None) -> str:
        asked = {"command": "pwd -P", "working_directory": folder}
        done = await call(tool, asked, place=place or owner.within)
        return done.output.strip() or str(done.error)

    assert await where() == str(owner.written)
    assert await where("..") == str(owner.shown)
    assert await where(str(here)) == str(here)
    assert await where(place=owner.beside) == str(here)
    assert await where(str(owner.shown), place=owner.beside) == str(owner.shown)
    assert await where(tool=ShellTool(working_directory="sub")) == str(here / "sub"), "what the skill names is its own"
    assert "leads out" in await where("link")
    assert "leads out" in await where("../..")
    assert "There is no folder" in await where("nowhere")


async def test_what_is_kept_in_the_workspace_is_named_so_that_it_is_found(call: Call, owner: Owner, here: Path) -> None:
    said = await call(ShellTool(), {"command": "seq 3000"}, place=owner.within, output_limit_bytes=200)
    assert f"the whole output is in {here}/.kubiya/outputs/" in said.output
    tool = documents(Configuration(values={}, unknown=[]))["generate_json_file"]
    made = await call(tool, {"path": "x.json", "data": {}}, place=owner.within)
    assert made.output.startswith(f"{here}/x.json was written")
