"""A program without a display says so where Qt would abort it: below an X server that is gone, or not ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from desktop.shell.display import explained, is_missing
from tests.support.tray_host import LIMIT_SECONDS, private_display

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are named on Linux alone")


def program(home: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    named = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **environ}
    return subprocess.run(
        [sys.executable, "-m", "desktop", *arguments],
        cwd=ROOT, env=named, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture
def left_display() -> str:
    """The name of a display whose server has ended. The lowest numbers are taken again by whoever needs one next, as
    another test may in this moment.
    """
    with private_display(f":{10_000 + os.getpid() % 40_000}") as name:
        return name


@pytest.fixture
def locked_display(tmp_path: Path) -> Iterator[str]:
    """The name of a display that wants a cookie."""
    cookies = tmp_path / "cookies"
    # The format of libXau: family (65535: any host), address, number, name and data, each with a length of two bytes.
    parts = (b"", b"", b"MIT-MAGIC-COOKIE-1", bytes(range(16)))
    cookies.write_bytes(b"\xff\xff" + b"".join(len(one).to_bytes(2, "big") + one for one in parts))
    with private_display("-auth", str(cookies)) as name:
        yield name


@linux
def test_a_display_that_does_not_answer_is_a_sentence(tmp_path: Path, left_display: str) -> None:
    done = program(tmp_path, DISPLAY=left_display)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"The display {left_display} does not answer")
    assert "`kubiya-worker start`" in done.stderr
    assert not list(tmp_path.iterdir()), "nothing is made by a program that shows nothing"


@linux
def test_a_display_of_somebody_else_is_the_same(tmp_path: Path, locked_display: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = program(home, DISPLAY=locked_display)
    assert done.returncode == 3, done.stderr
    assert "not to this user" in done.stderr


@linux
def test_the_self_test_says_it_beside_everything_else(tmp_path: Path, left_display: str) -> None:
    done = program(tmp_path, "--self-test", "--json", DISPLAY=left_display)
    found = {one["check"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["folders"]["ok"], "the others were made"
    assert not found["qt"]["ok"]
    assert found["qt"]["said"].startswith(f"The display {left_display} does not answer")


@linux
def test_a_part_of_qt_that_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    done = program(tmp_path, QT_QPA_PLATFORM="nonsense")
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(
        'The window system could not be loaded: Could not find the Qt platform plugin "nonsense"'
    )
    assert "sudo apt install" in done.stderr


def test_what_qt_says_of_a_missing_library_is_passed_on() -> None:
    why = ["From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load the Qt xcb platform plugin."]
    assert why[0] in explained({"DISPLAY": ":0"}, why)


@pytest.mark.parametrize(
    ("environ", "system", "missing"),
    [
        ({}, "linux", True),
        ({"DISPLAY": ""}, "linux", True),
        ({"DISPLAY": ":0"}, "linux", False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", False),
        ({"QT_QPA_PLATFORM": "vnc"}, "linux", False),
        ({}, "darwin", False),
        ({}, "win32", False),
    ],
)
def test_where_nothing_names_a_display(environ: Mapping[str, str], system: str, missing: bool) -> None:
    assert is_missing(environ, system=system) is missing
