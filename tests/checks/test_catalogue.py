"""Every check has a page, and every page a check; only those that are wanted are made."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from worker_core.checks import catalogue, folders, network
from worker_core.checks.catalogue import CATALOGUE, id_of, page
from worker_core.checks.check import Check
from worker_core.checks.examine import examine
from worker_core.paths import Paths
from worker_core.settings import Settings

PAGES = Path(__file__).parents[2] / "docs" / "checks"
QUIET = Settings(control_plane_url="http://127.0.0.1:1", mcp_hosts=("127.0.0.1:1",))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path / "home")})


def test_every_check_has_a_page_and_every_page_a_check() -> None:
    assert {file.stem for file in PAGES.glob("*.md")} == set(CATALOGUE)


@pytest.mark.parametrize("check_id", CATALOGUE)
def test_a_page_says_what_is_asked_why_it_matters_and_how_to_repair_it(check_id: str) -> None:
    text = page(check_id)
    title, *parts = [part.strip() for part in text.split("\n\n", 3)]
    assert title == f"# {check_id}"
    assert [part.split("**")[1].rstrip(".") for part in parts[:2]] == ["Asks", "Why it matters"]
    repair = text.partition("\n## Repair\n")[2]
    assert repair.count("\n* ") >= 4
    for name in repair.split("(")[1:]:
        if (target := name.split(")")[0]).endswith(".md"):
            assert (PAGES / target).is_file(), f"a link to {target} leads nowhere"


def test_ids_are_words_that_scripts_can_name() -> None:
    assert all(check_id == id_of(one.name) for check_id, one in CATALOGUE.items())
    assert all(set(check_id) <= set("abcdefghijklmnopqrstuvwxyz-") for check_id in CATALOGUE)
    assert all(one.asks.endswith("?") for one in CATALOGUE.values())


async def test_everything_in_the_catalogue_is_made_and_nothing_else(paths: Paths) -> None:
    found = await examine(QUIET, paths=paths)
    ids = [one.id for one in found]
    assert set(ids) <= set(CATALOGUE)
    assert set(CATALOGUE) - set(ids) <= {"queue", "clock"}, "they need a key"
    assert ids == [one for one in CATALOGUE if one in ids], "in the catalogue's order"


async def test_only_what_is_wanted_is_made(paths: Paths) -> None:
    told: list[Check] = []
    found = await examine(QUIET, paths=paths, only=("disk", "clock", "mcp-hosts"), heard=told.append)
    assert [one.id for one in found] == ["disk", "mcp-hosts", "clock"]
    assert [one.verdict for one in found[1:]] == ["warn", "skip"]
    assert {one.id for one in told} == {"disk", "mcp-hosts"}


async def test_the_json_of_a_check(paths: Paths) -> None:
    [found] = await examine(QUIET, paths=paths, only=("mcp-hosts",))
    said = found.to_json()
    assert said.pop("seconds") >= 0
    assert said == {
        "id": "mcp-hosts",
        "name": "MCP hosts",
        "status": "warn",
        "sentence": "127.0.0.1:1 does not answer (Connection refused).",
        "repair": "Start it, or correct `mcp_hosts`. Agents without it go on without its tools.",
        "page": "docs/checks/mcp-hosts.md",
    }


async def test_hosts_that_answer_and_patterns() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await network.mcp_hosts(Settings(mcp_hosts=(f"127.0.0.1:{port}", "*.example.invalid")))
    assert (found.verdict, found.sentence) == ("ok", f"127.0.0.1:{port} answers.")
    assert (await network.mcp_hosts(Settings(mcp_hosts=("*.example.invalid",)))).verdict == "skip"


def test_no_temporary_folder(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_there() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(folders.tempfile, "gettempdir", none_there)
    found = folders._temporary_folder(paths)
    assert (found.verdict, "TMPDIR" in found.repair) == ("fail", True)


def test_a_temporary_folder_of_the_worker_s_own(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.temporary.mkdir(parents=True)
    monkeypatch.setattr(folders.tempfile, "tempdir", str(paths.temporary))
    found = folders._temporary_folder(paths)
    assert (found.verdict, str(paths.temporary) in found.sentence) == ("warn", True)
    assert "TMPDIR" in found.repair


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    closed = Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path / "home")})
    for found in (folders._logs(closed), folders._control_socket(closed)):
        assert found.verdict == "fail"
        assert found.repair


def test_looking_leaves_nothing(paths: Paths, tmp_path: Path) -> None:
    assert folders._logs(paths).verdict == "ok"
    assert folders._control_socket(paths).verdict in {"ok", "skip"}
    assert list(tmp_path.iterdir()) == []


def test_pages_are_read_where_the_program_brought_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "dns.md").write_text("brought")
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "catalogue.py"))
    assert page("dns") == "brought"
    with pytest.raises(OSError, match="tls"):
        page("tls")
