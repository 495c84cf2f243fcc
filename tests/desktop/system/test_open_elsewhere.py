from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QUrl

from desktop.system import open_elsewhere
from desktop.system.open_elsewhere import Outside


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, qapp: object) -> list[str]:
    found: list[str] = []

    class Services:
        @staticmethod
        def openUrl(url: QUrl) -> bool:  # noqa: N802 (Qt's own name)
            found.append(url.toString())
            return True

    monkeypatch.setattr(open_elsewhere, "QDesktopServices", Services)
    return found


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd", "javascript:alert(1)", "ms-settings:", "vscode://x", "//example.com", "example.com",
        "https://", "https://user:word@example.com/", "http://exa mple.com", "smb://host/share", "",
        "https://x/" + "a" * 5000,
    ],
)  # fmt: skip
def test_links_that_are_no_web_pages_are_not_opened(tmp_path: Path, opened: list[str], link: str) -> None:
    assert not Outside(workspaces=tmp_path).open_url(link)
    assert opened == []


def test_web_pages_and_workspaces_are_opened(tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "e" / "inner").mkdir(parents=True)
    out = Outside(workspaces=tmp_path)
    assert out.open_url("https://example.com/a?b=c#d")
    assert out.open_folder(tmp_path / "e")
    assert opened == ["https://example.com/a?b=c#d", QUrl.fromLocalFile(str((tmp_path / "e").resolve())).toString()]


def test_a_folder_that_is_no_workspace_is_not_opened(tmp_path: Path, opened: list[str]) -> None:
    workspaces = tmp_path / "workspaces"
    workspaces.mkdir()
    (workspaces / "link").symlink_to("/etc")
    (workspaces / "file").write_text("x")
    out = Outside(workspaces=workspaces)
    for folder in (workspaces / "link", workspaces / "file", workspaces / ".." / "..", tmp_path, workspaces / "none"):
        assert not out.open_folder(folder)
    assert opened == []


def test_files_that_are_only_shown_are_opened_and_no_others(tmp_path: Path, opened: list[str]) -> None:
    workspaces = tmp_path / "workspaces"
    (workspaces / "e").mkdir(parents=True)
    (tmp_path / "outside.png").write_text("x")
    for name in (
        "a.PNG",
        "b.pdf",
        "run.sh",
        "page.html",
        "x.svg",
        "sums.csv",
        "go.desktop",
        "none",
        "png",
        "a.png.exe",
    ):
        (workspaces / "e" / name).write_text("x")
    (workspaces / "e" / "folder.png").mkdir()
    (workspaces / "e" / "link.png").symlink_to("run.sh")
    (workspaces / "e" / "out.png").symlink_to(tmp_path / "outside.png")
    (workspaces / "e" / "circle.png").symlink_to("circle.png")
    out = Outside(workspaces=workspaces)
    shown = [one.name for one in sorted((workspaces / "e").iterdir()) if out.open_file(one)]
    assert shown == ["a.PNG", "b.pdf"]
    assert [one.rpartition("/")[2] for one in opened] == shown
    assert not out.open_file(workspaces / "e" / "gone.png")
    assert not out.open_file(workspaces / "e\0.png")
