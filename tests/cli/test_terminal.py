"""What a server said, on a terminal: text, and nothing that the terminal would obey."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.text import Text

from worker_core.basics.plain import plain
from worker_core.cli import make_writable, screen
from worker_core.cli.terminal import say

HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\re\x7ff\u202eg\u200eh\u061ci\u2060j\u2028k\U000e0041l\ufeffm"
SEEN = "abc31mdefghijklm"


def test_a_line_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say(f"worker={HOSTILE}", err=True, styled="\x1b[1merror:\x1b[0m ")
    said = capsys.readouterr()
    assert said.out == f"{SEEN}\n"
    assert said.err == f"\x1b[1merror:\x1b[0m worker={SEEN}\n"


def test_json_says_the_same_in_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    screen.say_json({"name": HOSTILE, "umlaut": "ü"})
    said = capsys.readouterr().out
    assert json.loads(said) == {"name": HOSTILE, "umlaut": "ü"}
    assert said.rstrip("\n").isprintable()


def test_a_console_marks_what_came_unfiltered() -> None:
    console = screen.console()
    console.file = io.StringIO()
    console.print(HOSTILE)
    console.print(Text(HOSTILE, style="bold"))
    console.print(Text("a").append(HOSTILE, style="red"))
    for line in console.file.getvalue().splitlines():
        assert plain(line) == line
        assert line.isprintable()


def test_what_scripts_need_stays() -> None:
    persian, family = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f469\u200d\U0001f680"
    assert plain(persian + family) == persian + family


def test_into_a_file_every_mark_stays_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, a stream that is no console is written in the ANSI code page (Python's documentation of `sys.stdout`)."""
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    kept: dict[str, bytes] = {}
    for platform in ("win32", "linux"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="cp1252", newline="")
        make_writable(stream, platform=platform)
        stream.write(f"{screen.OK}{screen.FAILED}→")
        stream.flush()
        kept[platform] = raw.getvalue()
    assert kept == {"win32": "✓✗→".encode(), "linux": b"???"}, "elsewhere, in the encoding that the user chose"


@pytest.mark.parametrize("daemon", [True, False])
def test_no_interpreter_finalises_around_a_thread_that_goes_on(*, daemon: bool) -> None:
    """A thread in a library that is not Python's (a keychain's) takes the process down then, with SIGABRT."""
    program = (
        "import atexit, threading, worker_core.cli\n"
        "atexit.register(print, 'finalised')\n"
        "print('said', end=' ')\n"
        f"threading.Thread(target=threading.Event().wait, args=(None if {daemon} else 0,), daemon={daemon}).start()\n"
        "worker_core.cli.leave(5)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout.split()) == (5, ["said"] if daemon else ["said", "finalised"])
