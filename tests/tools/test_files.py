from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import Call
from worker_core.logs.redaction import Redactor
from worker_core.sandbox import files_child
from worker_core.tools import files
from worker_core.tools.files import FileTool

READ, WRITE, EDIT, LIST, SEARCH = (
    FileTool(name=name) for name in ("read_file", "write_file", "edit_file", "list_files", "search_files")
)
SECRET = "s3cr3t-Zx81-canary"
posix = pytest.mark.skipif(os.name == "nt", reason="links, modes or devices of POSIX")


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(SECRET)
    return redactor


# Reading


async def test_read(call: Call, here: Path) -> None:
    (here / "a.txt").write_bytes("one\r\nzwei ü\nthree".encode())
    result = await call(READ, {"path": "a.txt"})
    assert (result.succeeded, result.output, result.error) == (True, "one\r\nzwei ü\nthree", None)
    assert (await call(READ, {"path": "a.txt", "offset": 2, "limit": 1})).output == (
        "zwei ü\n[... the file goes on; read on with offset 3 ...]"
    )
    assert (await call(READ, {"path": "a.txt", "offset": 3})).output == "three"
    result = await call(READ, {"path": "a.txt", "offset": 4})
    assert result.error == "The file has 3 lines; there is none from line 4 on."


async def test_an_empty_file(call: Call, here: Path) -> None:
    (here / "empty").touch()
    assert (await call(READ, {"path": "empty"})).output == "(the file is empty)"


async def test_a_long_file_is_read_in_parts(call: Call, here: Path) -> None:
    (here / "long").write_bytes(("".join(f"line {number}\n" for number in range(1, 5001))).encode())
    got: list[str] = []
    offset = 1
    while True:
        result = await call(READ, {"path": "long", "offset": offset}, output_limit_bytes=20_000)
        text, note, rest = result.output.partition("[... ")
        got.append(text)
        if not note:
            break
        assert len(result.output) < 20_100
        assert result.saved_to is None
        offset = int(rest.removesuffix(" ...]").rsplit(" ", 1)[1])
    assert "".join(got) == (here / "long").read_text()
    assert len(got) == 3


async def test_a_line_that_is_too_long(call: Call, here: Path) -> None:
    (here / "wide").write_bytes(("ü" * 100_000 + "\nnext\n").encode())
    result = await call(READ, {"path": "wide"}, output_limit_bytes=1001)
    assert result.output == "ü" * 500 + (
        "\n[... line 1 is too long to be shown whole; the next one is at offset 2 ...]"
    )
    assert (await call(READ, {"path": "wide", "offset": 2})).output == "next\n"


@posix
async def test_a_huge_file_is_read_where_it_is_asked_for(call: Call, here: Path) -> None:
    with (here / "huge").open("w") as file:
        file.write("begin\n" * 2000)
        file.truncate(20 * 1024**3)  # a hole of 20 GB
    result = await call(READ, {"path": "huge", "offset": 2, "limit": 2})
    assert result.output.startswith("begin\nbegin\n[... the file goes on")
    result = await call(READ, {"path": "huge", "offset": 3000}, timeout=timedelta(seconds=0.7))
    assert not result.succeeded or "\ufffd" in result.output


async def test_what_is_not_text(call: Call, here: Path) -> None:
    (here / "binary").write_bytes(b"\x7fELF\0\0")
    assert (await call(READ, {"path": "binary"})).error == "'binary' is a binary file (6 bytes), not text."
    (here / "latin").write_bytes("größe".encode("latin-1"))
    assert (await call(READ, {"path": "latin"})).output == "gr\ufffd\ufffde"
    (here / "late").write_bytes(b"x" * 9000 + b"\0")
    assert (await call(READ, {"path": "late"})).output.endswith("x\ufffd")
    (here / "folder").mkdir()
    assert (await call(READ, {"path": "folder"})).error == "'folder' is a folder."
    assert (await call(READ, {"path": "."})).error == "'.' is a folder."
    assert (await call(READ, {"path": "none"})).error == "There is no 'none' in the workspace."
    assert (await call(READ, {"path": "late/x"})).error == "'late/x' cannot be used: Not a directory."


@posix
async def test_a_pipe_or_device_does_not_hold_us(call: Call, here: Path) -> None:
    os.mkfifo(here / "pipe")
    for tool, more in ((READ, {}), (EDIT, {"old_text": "a", "new_text": "b"}), (WRITE, {"content": "x"})):
        assert (await call(tool, {"path": "pipe", **more})).error == "'pipe' is not a regular file."
    assert (await call(SEARCH, {"path": "pipe", "pattern": "x"})).error == "'pipe' is not a regular file."
    assert (await call(SEARCH, {"pattern": "x"})).output == "(no match)"


# Writing and editing


async def test_write(call: Call, here: Path) -> None:
    result = await call(WRITE, {"path": "new/folder/ü.txt", "content": "a\r\nb\nü"})
    assert result.output == "Wrote 7 bytes to new/folder/ü.txt."
    assert (here / "new/folder/ü.txt").read_bytes() == "a\r\nb\nü".encode()
    await call(WRITE, {"path": "new/folder/ü.txt", "content": ""})
    assert (here / "new/folder/ü.txt").read_bytes() == b""
    assert [path.name for path in (here / "new/folder").iterdir()] == ["ü.txt"]
    big = "0123456789abcdef" * 300_000
    assert (await call(WRITE, {"path": "big", "content": big})).succeeded
    assert (here / "big").read_text() == big


@posix
async def test_permissions_are_kept(call: Call, here: Path) -> None:
    script = here / "run.sh"
    script.write_bytes(b"old")
    script.chmod(0o750)
    await call(WRITE, {"path": "run.sh", "content": "new"})
    assert script.stat().st_mode & 0o777 == 0o750
    await call(EDIT, {"path": "run.sh", "old_text": "new", "new_text": "newer"})
    assert script.stat().st_mode & 0o777 == 0o750
    mask = os.umask(0o027)
    try:
        await call(WRITE, {"path": "other", "content": "x"})
    finally:
        os.umask(mask)
    assert (here / "other").stat().st_mode & 0o777 == 0o640


async def test_a_name_as_long_as_names_may_be(call: Call, here: Path) -> None:
    assert (await call(WRITE, {"path": "n" * 255, "content": "x"})).succeeded
    result = await call(WRITE, {"path": "n" * 256, "content": "x"})
    assert "File name too long" in (result.error or "")
    assert [path.name for path in here.iterdir()] == ["n" * 255]


@posix
async def test_writing_is_whole_or_not_at_all(call: Call, here: Path) -> None:
    """Whoever reads meanwhile sees the old or the new content; a hard link keeps the old one."""
    (here / "file").write_bytes(("0" * 500_000).encode())
    os.link(here / "file", here / "link")
    seen: set[str] = set()

    async def look() -> None:
        while True:
            text = (here / "file").read_text()
            assert len(text) == 500_000
            seen.update(text[:1] + text[-1:])
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    for digit in "123":
        assert (await call(WRITE, {"path": "file", "content": digit * 500_000})).succeeded
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert looking.cancelled()
    assert (here / "link").read_text() == "0" * 500_000
    assert sorted(path.name for path in here.iterdir()) == ["file", "link"]


def test_a_write_that_fails_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "file").write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    arguments = {"path": "file", "content": "new"}
    request = {"root": str(here), "roots": [[str(here), True]], "operation": "write_file", "arguments": arguments}
    assert files_child.answer({**request, "seconds": 1}) == {
        "ok": False,
        "error": "'file' cannot be used: No space left on device.",
    }
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [("file", "old")]


async def test_edit(call: Call, here: Path) -> None:
    file = here / "f"
    file.write_bytes(b"a b a\n")
    result = await call(EDIT, {"path": "f", "old_text": "a", "new_text": "x"})
    assert result.error == (
        "The text to replace is there 2 times; nothing was changed. Give more of what is around it, or set replace_all."
    )
    result = await call(EDIT, {"path": "f", "old_text": "c", "new_text": "x"})
    assert "is not in the file; nothing was changed" in (result.error or "")
    result = await call(EDIT, {"path": "f", "old_text": "b", "new_text": "b"})
    assert "same as the old one" in (result.error or "")
    assert file.read_text() == "a b a\n"
    assert (await call(EDIT, {"path": "f", "old_text": "b", "new_text": "c"})).output == "Replaced 1 place in f."
    result = await call(EDIT, {"path": "f", "old_text": "a", "new_text": "x", "replace_all": "true"})
    assert result.output == "Replaced 2 places in f."
    assert file.read_text() == "x c x\n"
    await call(EDIT, {"path": "f", "old_text": " c", "new_text": ""})
    assert file.read_text() == "x x\n"


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"one\r\ntwo\r\n", "one\ntwo", "1\n2\n3", b"1\r\n2\r\n3\r\n"),
        (b"one\r\ntwo\r\n", "one\r\ntwo", "1\r\n2", b"1\r\n2\r\n"),
        (b"one\r\ntwo\r\n", "two", "2\n3", b"one\r\n2\r\n3\r\n"),
        (b"one\r\ntwo\n", "two", "2\n3", b"one\r\n2\n3\n"),
        (b"one\r\ntwo\n", "one\r\n", "1\n", b"1\ntwo\n"),
        (b"one\ntwo\n", "two", "2\r\n3", b"one\n2\r\n3\n"),
        ("größe\nb\n".encode("latin-1"), "b", "ü", b"gr\xf6\xdfe\n\xc3\xbc\n"),
        (b"\xef\xbb\xbfbom\n", "bom", "kept", b"\xef\xbb\xbfkept\n"),
        (b"no end", "end", "line end", b"no line end"),
    ],
)
async def test_editing_keeps_the_rest_as_it_is(
    call: Call, here: Path, before: bytes, old: str, new: str, after: bytes
) -> None:
    (here / "f").write_bytes(before)
    result = await call(EDIT, {"path": "f", "old_text": old, "new_text": new})
    assert result.succeeded, result.error
    assert (here / "f").read_bytes() == after


async def test_files_that_are_not_edited(call: Call, here: Path) -> None:
    edit = {"old_text": "a", "new_text": "b"}
    (here / "binary").write_bytes(b"a\0")
    assert "binary" in ((await call(EDIT, {"path": "binary", **edit})).error or "")
    (here / "large").write_bytes(("a" + "x" * 3_000_000).encode())
    assert "edit it with a command" in ((await call(EDIT, {"path": "large", **edit})).error or "")
    assert "There is no" in ((await call(EDIT, {"path": "none", **edit})).error or "")


# Paths

ESCAPES = [
    "..", "../x", "a/../../x", "/etc/passwd", "/", "//etc/passwd", "out/x", "out", "in/../out/x", "nul\0",
    "root/etc/passwd", "/proc/self/root/etc/passwd", "/proc/self/cwd/../x", "dangling", "to-file",
    "../execution-2/x", "a/b/c/../../../../x",
]  # fmt: skip


@pytest.fixture
def victim(here: Path, tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"SECRET a")
    (here / "a/b/c").mkdir(parents=True)
    (here / "in").mkdir()
    (here / "out").symlink_to(outside)
    (here / "to-file").symlink_to(outside / "x")
    (here / "dangling").symlink_to(outside / "new")
    (here / "root").symlink_to("/proc/self/root")
    return outside


@posix
@pytest.mark.parametrize(
    ("tool", "more"),
    [
        (READ, {}),
        (WRITE, {"content": "overwritten"}),
        (EDIT, {"old_text": "a", "new_text": "b"}),
        (LIST, {"recursive": True}),
        (SEARCH, {"pattern": "SECRET|root"}),
    ],
    ids=lambda value: value.name if isinstance(value, FileTool) else "",
)
async def test_no_path_leads_out(call: Call, victim: Path, tool: FileTool, more: dict[str, Any]) -> None:
    results = await asyncio.gather(*(call(tool, {"path": path, **more}) for path in ESCAPES))
    for path, result in zip(ESCAPES, results, strict=True):
        assert not result.succeeded, path
        assert "SECRET" not in result.output + (result.error or "")
        assert any(words in (result.error or "") for words in ("leads out of the workspace", "NUL")), path
    assert [(file.name, file.read_text()) for file in victim.iterdir()] == [("x", "SECRET a")]


@posix
async def test_links_are_listed_and_not_followed(call: Call, victim: Path) -> None:
    result = await call(LIST, {"recursive": True})
    assert f"to-file -> {victim}/x" in result.output
    assert "out/x" not in result.output
    assert (await call(SEARCH, {"pattern": "SECRET"})).output == "(no match)"


@posix
async def test_links_inside_are_followed(call: Call, here: Path) -> None:
    (here / "real").write_bytes(b"text")
    (here / "link").symlink_to("real")
    (here / "new-link").symlink_to("not-yet")
    (here / "loop").symlink_to("loop")
    assert (await call(READ, {"path": "link"})).output == "text"
    await call(EDIT, {"path": "link", "old_text": "text", "new_text": "edited"})
    await call(WRITE, {"path": "new-link", "content": "made"})
    assert ((here / "real").read_text(), (here / "link").is_symlink()) == ("edited", True)
    assert ((here / "not-yet").read_text(), (here / "new-link").is_symlink()) == ("made", True)
    assert "cannot be used" in ((await call(READ, {"path": "loop"})).error or "")


@posix
async def test_paths_that_name_no_file(call: Call, here: Path) -> None:
    for path in ("new/", "new/..", ".", "new/."):
        result = await call(WRITE, {"path": path, "content": "x"})
        assert not result.succeeded, path
        assert "folder" in (result.error or "")
    assert "x" * 200 in ((await call(READ, {"path": "x" * 100_000})).error or "")
    assert len((await call(READ, {"path": "x" * 100_000})).error or "") < 400


@posix
@pytest.mark.parametrize("path", ["C:\\Windows\\win.ini", "..\\..\\x", "\\\\server\\share", "CON", "a:b"])
async def test_windows_names_are_plain_names_elsewhere(call: Call, here: Path, path: str) -> None:
    assert (await call(WRITE, {"path": path, "content": "x"})).succeeded
    assert [file.name for file in here.iterdir()] == [path]


@posix
def test_a_link_slipped_in_between_check_and_use_is_not_followed(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"SECRET a")
    checked = files_child.inside
    operations: dict[str, dict[str, str]] = {
        "read_file": {},
        "edit_file": {"old_text": "a", "new_text": "b"},
        "write_file": {"content": "overwritten"},
        "search_files": {"pattern": "SECRET"},
    }
    for swapped, target in (("folder", outside), ("folder/f", outside / "f")):
        for operation, more in operations.items():
            root = here / f"{operation}-{target.name}"
            (root / "folder").mkdir(parents=True)
            (root / "folder/f").write_bytes(b"harmless a")

            def swap(
                at: str,
                asked: dict[str, Any],
                path: str,
                *,
                writes: bool = False,
                root: Path = root,
                swapped: str = swapped,
                target: Path = target,
            ) -> tuple[str, str]:
                found = checked(at, asked, path, writes=writes)
                (root / swapped).rename(root / "away")
                (root / swapped).symlink_to(target)
                return found

            monkeypatch.setattr(files_child, "inside", swap)
            arguments = {"path": "folder/f", **more}
            request = {"root": str(root), "roots": [[str(root), True]], "operation": operation, "arguments": arguments}
            answer = files_child.answer({**request, "seconds": 9})
            assert not answer["ok"], (operation, swapped)
            assert (root / "away").exists(), "it was swapped"
            assert "SECRET" not in json.dumps(answer)
            assert [(file.name, file.read_text()) for file in outside.iterdir()] == [("f", "SECRET a")]


# Secrets


async def test_no_secret_leaves(call: Call, here: Path, redactor: Redactor) -> None:
    (here / "f").write_bytes((f"password={SECRET}\nold\n").encode())
    for arguments in ({"path": "f"}, {"path": "f", "limit": 1}):
        result = await call(READ, arguments, mask=redactor.mask)
        assert result.output.startswith("password=***\n")
    (here / SECRET).touch()
    assert SECRET not in (await call(LIST, {}, mask=redactor.mask)).output
    result = await call(READ, {"path": f"none-{SECRET}"}, mask=redactor.mask)
    assert result.error == "There is no 'none-***' in the workspace."


async def test_no_secret_is_cut_into_pieces_that_are_not_masked(call: Call, here: Path, redactor: Redactor) -> None:
    (here / "line").write_bytes((f"{SECRET}-" * 300).encode())
    for limit in range(200, 200 + len(SECRET), 3):
        result = await call(READ, {"path": "line"}, mask=redactor.mask, output_limit_bytes=limit)
        assert not any(SECRET[at : at + 4] in result.output for at in range(len(SECRET) - 4))
    for at in range(0, len(SECRET), 3):  # the shown part begins and ends at every place of a secret
        text = "x" * at + f"{SECRET}-" * 300 + "needle" + f"-{SECRET}" * 300
        (here / "line").write_bytes((text).encode())
        result = await call(SEARCH, {"pattern": "needle"}, mask=redactor.mask)
        assert "needle" in result.output
        assert not any(SECRET[at : at + 4] in result.output for at in range(len(SECRET) - 4))


# Everything else


@pytest.mark.parametrize("tool", [READ, WRITE, EDIT, LIST, SEARCH], ids=lambda tool: tool.name)
@pytest.mark.parametrize(
    "arguments",
    [{"path": 5}, {"path": None}, {"path": "a", "nonsense": 1}, {"path": "\ud800"}, {"path": ["a"]}, {"path": {}}],
    ids=str,
)
async def test_wrong_arguments(call: Call, here: Path, tool: FileTool, arguments: dict[str, Any]) -> None:
    effects: list[int] = []
    result = await call(tool, arguments, before_effect=lambda: effects.append(1))
    assert not result.succeeded
    assert result.error
    assert not effects


async def test_offsets_and_limits_begin_at_one(call: Call, here: Path) -> None:
    (here / "f").write_bytes(b"x")
    for arguments in ({"offset": 0}, {"limit": 0}, {"offset": -1}, {"offset": 10**30}, {"limit": 1.5}):
        assert not (await call(READ, {"path": "f", **arguments})).succeeded
    assert (await call(READ, {"path": "f", "offset": "1", "limit": None})).output == "x"


async def test_a_base_folder_is_a_wall(call: Call, here: Path) -> None:
    (here / "above").write_bytes(b"x")
    tool = FileTool(name="write_file", base="sub")
    assert (await call(tool, {"path": "f", "content": "x"})).succeeded
    assert (here / "sub/f").exists()
    result = await call(FileTool(name="read_file", base="sub"), {"path": "../above"})
    assert "leads out" in (result.error or "")


async def test_no_interpreter(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "interpreter_path", lambda: None)
    assert "no Python interpreter" in ((await call(LIST, {})).error or "")
    monkeypatch.setattr(files, "interpreter_path", lambda: "/no/such/python")
    assert "could not be started" in ((await call(LIST, {})).error or "")
    monkeypatch.setattr(files, "interpreter_path", lambda: "/bin/echo")
    assert "The file tool broke off: " in ((await call(LIST, {})).error or "")


async def test_the_child_sees_no_declared_variable(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs with nothing but the base environment: no variable steers its interpreter."""
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    assert (await call(LIST, {}, environment={"PYTHONSTARTUP": "x", "DECLARED": "y"})).succeeded
