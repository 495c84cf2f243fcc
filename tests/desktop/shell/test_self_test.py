from __future__ import annotations

import pytest

from desktop.shell.self_test import has_no_screen


@pytest.mark.parametrize(
    ("environ", "system", "without"),
    [
        ({}, "linux", True),
        ({"DISPLAY": ":0"}, "linux", False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", False),
    ],
)
def test_where_qt_draws_into_memory(environ: dict[str, str], system: str, without: bool) -> None:
    """On Windows, where no variable tells of a screen, it would find no font and call the program broken."""
    assert has_no_screen(environ, system=system) is without
