"""What a server said, on a terminal: text, and nothing that the terminal would obey."""

from __future__ import annotations

import io
import json

import pytest
from rich.text import Text

from worker_core.basics.plain import plain
from worker_core.cli import screen
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
