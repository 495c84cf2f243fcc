"""Output as a person sees it, and the whole of it in the workspace."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.tools.shell import ShellTool
from worker_core.tools.terminal_text import LONGEST_ROW, WINDOW_ROWS, TerminalText


def seen(*pieces: bytes) -> tuple[str, bool]:
    screen = TerminalText()
    text = b"".join([*(screen.feed(piece) for piece in pieces), screen.feed(b"", final=True)])
    return text.decode("utf-8", "surrogateescape"), screen.drawn_over


@pytest.mark.parametrize(
    ("printed", "text", "drawn_over"),
    [
        ("a\nb\n", "a\nb\n", False),
        ("a\r\nb\r\n", "a\nb\n", False),
        ("no line end", "no line end", False),
        ("\n\n  \n", "\n\n  \n", False),
        ("\x1b[1;31mred\x1b[0m and \x1b[38;5;9mmore\x1b[m\n", "red and more\n", False),
        ("\x1b]0;a title\x07\x1b]8;;http://x\x1b\\a link\x1b]8;;\x1b\\\n", "a link\n", False),
        ("\x1b(B\x1b[?25lhidden cursor\x1b[?25h\x1b=", "hidden cursor", False),
        (" 10%\r 50%\r100%\ndone\n", "100%\ndone\n", True),
        ("longer line\rshort", "shortr line", True),
        ("longer line\r\x1b[Kshort\n", "short\n", True),
        ("\x1b[2K\rspin |\x1b[1G\x1b[0Kspin /\x1b[1G\x1b[0Kdone\n", "done\n", True),
        ("ab\b\bAB\n", "AB\n", True),
        ("pulling a: 1%\npulling b: 1%\n\x1b[2A\x1b[2Kpulling a: done\n\x1b[2Kpulling b: done\n",
         "pulling a: done\npulling b: done\n", True),
        ("one\ntwo\nthree\n\x1b[3A\x1b[Jnothing\n", "nothing\n", True),
        ("kept\n\x1b[2J\x1b[H\x1b[3Jafter\n", "kept\nafter\n", False),
        ("tail\x1b[", "tail[", False),
        ("x\x1b[5C.\n", "x     .\n", False),
        ("\x1b[999999999999Cx\x1b[99Dy", "yx", False),
    ],
)  # fmt: skip
def test_what_a_terminal_would_show(printed: str, text: str, drawn_over: bool) -> None:
    assert seen(printed.encode()) == (text, drawn_over)


PRINTED = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(["\r", "\b", "\n", "\x1b[2K", "\x1b[1A", "\x1b[31m", "\x1b", "\x1b[", "\x1b]0;t\x07"]),
    )
).map("".join)


@given(PRINTED, st.lists(st.integers(0, 200)))
def test_it_does_not_matter_how_it_comes(printed: str, cuts: list[int]) -> None:
    data = printed.encode("utf-8", "surrogatepass")
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert seen(*pieces) == seen(data)


@given(st.binary().map(lambda data: data.translate(None, b"\r\b\x1b")))
def test_plain_output_is_left_as_it_is(data: bytes) -> None:
    text, drawn_over = seen(data)
    assert text.encode("utf-8", "surrogateescape") == data
    assert not drawn_over


def test_what_is_out_of_reach_stays() -> None:
    lines = "".join(f"{number}\n" for number in range(3 * WINDOW_ROWS))
    assert seen(f"{lines}\x1b[{2 * WINDOW_ROWS}Aover".encode())[0].startswith(lines[:200])
    long = "x" * (3 * LONGEST_ROW)
    assert seen((long + "\rend").encode())[0].startswith("x" * LONGEST_ROW)


@pytest.mark.parametrize(
    "piece", [b"line\n", b"12%\r", b"\x1b[1mx\x1b[0m", b"x", b"\x1b[1A\x1b[Kz\n", b"\x1b]8;;", b"\b"]
)
def test_four_times_the_output_takes_four_times_the_time(piece: bytes) -> None:
    def seconds(number: int) -> float:
        data = piece * number
        begun = time.process_time()
        seen(*(data[at : at + 65_536] for at in range(0, len(data), 65_536)))
        return time.process_time() - begun

    assert min(seconds(80_000) for _ in range(3)) < 8 * min(seconds(20_000) for _ in range(3)) + 0.02


BAR = "for n in $(seq 1 3000); do printf '\\r\\033[32m%s%%\\033[0m' $n; done; echo; echo fertig"


async def test_a_progress_bar_is_its_last_state_and_the_whole_is_kept(call: Call, here: Path) -> None:
    result = await call(ShellTool(), {"command": BAR})
    first, second, note = result.output.splitlines()
    assert (first, second) == ("3000%", "fertig")
    assert result.saved_to is not None
    assert result.saved_to in note
    assert (here / result.saved_to).read_bytes().count(b"\r") == 3000


async def test_colours_alone_need_no_remark(call: Call) -> None:
    result = await call(ShellTool(), {"command": "printf '\\033[31mred\\033[0m\\n'"})
    assert (result.output, result.saved_to) == ("red\n", None)


async def test_a_long_output_with_bars_keeps_both_ends(call: Call, here: Path) -> None:
    command = f"{BAR}; seq 1 20000; {BAR}"
    result = await call(ShellTool(), {"command": command}, output_limit_bytes=2_000)
    assert result.output.startswith("3000%\nfertig\n1\n2\n")
    assert result.output.endswith("20000\n3000%\nfertig\n")
    assert "\r" not in result.output
    assert result.saved_to is not None
    whole = (here / result.saved_to).read_bytes()
    assert whole.count(b"\r") == 6000
    assert result.saved_to in result.output


@pytest.mark.parametrize(("end", "times"), [("", 1), (r"; printf '\033[1mbold\033[0m'", 2)], ids=["plain", "coloured"])
async def test_plain_output_is_masked_once(call: Call, here: Path, end: str, times: int) -> None:
    """What a terminal would show otherwise is masked as it is shown and as it is kept."""
    looked_at = 0

    def mask(text: str) -> str:
        nonlocal looked_at
        looked_at += len(text)
        return text.replace("150000", "***")

    result = await call(ShellTool(), {"command": f"seq 1 200000{end}"}, output_limit_bytes=2_000, mask=mask)
    printed = len("".join(f"{number}\n" for number in range(1, 200_001)))
    assert printed * times <= looked_at < printed * (times + 1), "and a little more around each cut"
    assert result.saved_to is not None
    whole = (here / result.saved_to).read_text()
    assert whole.startswith("1\n2\n")
    assert "149999\n***\n150001\n" in whole
    assert len(whole) >= printed - 3
    assert result.output.startswith("1\n2\n")


async def test_a_secret_in_colours_is_masked(call: Call) -> None:
    result = await call(
        ShellTool(),
        {"command": "printf 'can\\033[31mary-778\\033[0m899\\n'"},
        mask=lambda text: text.replace("canary-778899", "***"),
    )
    assert result.output == "***\n"
