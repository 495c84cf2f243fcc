from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.tools import pdf
from worker_core.tools.documents import DocumentTool
from worker_core.tools.registry import SkillDefinition, offer


def tool(kind: str, folder: str = "") -> DocumentTool:
    return DocumentTool(name=f"generate_{kind}_file", folder=folder)


def unicode_font() -> bool:
    return any(True for _ in pdf._font_paths())


def text_of(data: bytes) -> str:
    """The text of a PDF of ours: what it draws, by way of its fonts' own tables to Unicode."""
    streams = []
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\n?endstream", data, re.DOTALL):
        raw = found[1]
        if raw.rstrip().endswith(b"~>"):
            import base64

            raw = base64.a85decode(raw.strip().removesuffix(b"~>").join((b"<~", b"~>")), adobe=True)
        try:
            streams.append(zlib.decompress(raw))
        except zlib.error:
            streams.append(raw)
    table: dict[int, str] = {}
    for stream in streams:
        for block in re.findall(rb"beginbfchar(.*?)endbfchar", stream, re.DOTALL):
            for code, points in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
                table[int(code, 16)] = bytes.fromhex(points.decode()).decode("utf-16-be")
        for block in re.findall(rb"beginbfrange(.*?)endbfrange", stream, re.DOTALL):
            for first, _, listed in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*\[(.*?)\]", block, re.DOTALL):
                for offset, points in enumerate(re.findall(rb"<([0-9A-Fa-f]+)>", listed)):
                    table[int(first, 16) + offset] = bytes.fromhex(points.decode()).decode("utf-16-be")
    lines = []
    for stream in streams:
        for shown in re.findall(rb"\(((?:\\.|[^\\()])*)\)\s*Tj", stream, re.DOTALL):
            drawn = re.sub(
                rb"\\([0-7]{3}|.)",
                lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else {b"n": b"\n", b"r": b"\r", b"t": b"\t",
                                                                        b"b": b"\b", b"f": b"\f"}.get(m[1], m[1]),
                shown, flags=re.DOTALL,
            )  # fmt: skip
            lines.append("".join(table[code] for code in drawn) if table else drawn.decode("cp1252"))
    return "\n".join(lines)


async def test_json(call: Call, here: Path) -> None:
    marks: list[int] = []
    data = {"a": [1, "ü", None], "b": {"c": True}}
    result = await call(tool("json"), {"path": "out/data", "data": data}, before_effect=lambda: marks.append(1))
    assert result.succeeded
    assert result.saved_to == "out/data.json"
    assert marks == [1]
    assert json.loads((here / "out/data.json").read_text(encoding="utf-8")) == data
    await call(tool("json"), {"path": "text.json", "data": '{"sent": "as text"}'})
    assert json.loads((here / "text.json").read_text()) == {"sent": "as text"}
    await call(tool("json"), {"path": "word.json", "data": "word"})
    assert (here / "word.json").read_text() == '"word"\n'


async def test_csv(call: Call, here: Path) -> None:
    await call(tool("csv"), {"path": "a.csv", "rows": [["1", 'a "b", c'], [2.5, None]], "columns": ["x", "y"]})
    with (here / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["x", "y"], ["1", 'a "b", c'], ["2.5", ""]]
    await call(tool("csv"), {"path": "b", "rows": [{"n": 1}, {"n": 2, "m": ["list"]}]})
    assert (here / "b.csv").read_text() == 'n,m\n1,\n2,"[""list""]"\n'
    await call(tool("csv"), {"path": "c", "rows": []})
    assert (here / "c.csv").read_text() == ""
    for rows, said in (([["1"]], "1 cells"), ([{"z": 1}], "'z'")):
        result = await call(tool("csv"), {"path": "bad", "rows": rows, "columns": ["x", "y"]})
        assert said in (result.error or "")
    assert not (here / "bad.csv").exists()


async def test_text(call: Call, here: Path) -> None:
    result = await call(tool("text", folder="out"), {"path": "note", "content": "grüße\n"})
    assert result.saved_to == "out/note.txt"
    assert (here / "out/note.txt").read_bytes() == "grüße\n".encode()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "~/x", "x\0y"])
@pytest.mark.parametrize("folder", ["", "sub"])
async def test_nothing_is_written_outside(call: Call, here: Path, tmp_path: Path, path: str, folder: str) -> None:
    before = sorted(one for one in tmp_path.rglob("*"))
    result = await call(tool("text", folder), {"path": path, "content": "x"})
    if folder and path in {"/etc/x", "~/x"}:
        assert (here / "sub").exists()  # taken as a path below the folder
        return
    assert "leads out" in (result.error or "")
    assert sorted(one for one in tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
async def test_links_out_are_refused(call: Call, here: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (here / "out").symlink_to(tmp_path / "victim")
    result = await call(tool("text"), {"path": "out/x", "content": "x"})
    assert "passes through a link" in (result.error or "")
    assert not list((tmp_path / "victim").iterdir())


async def test_pdf_with_western_text(call: Call, here: Path) -> None:
    content = "# One\n\nSome (text) with \\ and ümläuts – “quoted” €.\n\n- first\n- second\n```\ncode  here\n```\n" + (
        "word " * 3000
    )
    result = await call(tool("pdf"), {"path": "report", "content": content, "title": "Title"})
    assert result.succeeded, result.error
    data = (here / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", data)) > 3
    text = text_of(data)
    for part in ("Title", "One", "Some (text) with \\ and ümläuts – “quoted” €.", "first", "code  here"):
        assert part in text
    assert text.split().count("word") == 3000


@pytest.mark.skipif(not unicode_font(), reason="no TrueType font of the list is on this machine")
async def test_pdf_with_other_letters(call: Call, here: Path) -> None:
    content = "Ελληνικά, русский, ąęłść, ∑ ≤ ∞ → ✓\nдругая строка"
    result = await call(tool("pdf"), {"path": "u.pdf", "content": content})
    assert result.succeeded, result.error
    text = text_of((here / "u.pdf").read_bytes())
    for line in content.split("\n"):
        assert line in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("مرحبا", "joined or reordered"),
        ("שלום", "joined or reordered"),
        ("नमस्ते", "joined or reordered"),
        ("a\x07b", "control character"),
        ("\U000e0041\U0010fffd", "No font of this machine"),
        ("x" * (pdf.LONGEST_TEXT + 1), "make several files"),
    ],
)
async def test_pdf_that_cannot_be_drawn_is_refused(call: Call, here: Path, content: str, said: str) -> None:
    result = await call(tool("pdf"), {"path": "x", "content": content})
    assert not result.succeeded
    assert said in (result.error or "")
    assert (result.error or "").endswith(".")
    assert not (here / "x.pdf").exists()


def test_the_library_does_not_execute_a_file_of_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / ".reportlab_settings").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    code = "from worker_core.tools import pdf; print(len(pdf.render('text', title='t')))"
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 500
    assert not (tmp_path / "executed").exists()


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=2000))
def test_any_western_text_is_drawn_whole_or_refused(text: str) -> None:
    try:
        data = pdf.render(text)
    except pdf.CannotRender:
        return
    assert data.startswith(b"%PDF-")


async def test_a_missing_library_is_said(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab.pdfbase", None)
    result = await call(tool("pdf"), {"path": "x", "content": "x"})
    assert "reportlab is not installed" in (result.error or "")


def test_settings() -> None:
    configuration: dict[str, Any] = {"enable_pdf_generation": False, "output_directory": "reports/"}
    given_ = offer([SkillDefinition.from_wire({"type": "file_generation", "configuration": configuration})])
    assert list(given_.tools) == ["generate_json_file", "generate_csv_file", "generate_text_file"]
    assert given_.tools["generate_csv_file"] == tool("csv", "reports")
