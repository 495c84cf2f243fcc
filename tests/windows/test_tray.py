"""Tray and window below wine, from the sources: shown, at work, asked to leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.playground import Stage
from tests.support.wine import LIMIT_SECONDS, windows_user
from tests.windows.desktop import a_tray, on_a_display, seen, share_drawn
from tests.windows.scenario import User

pytestmark = pytest.mark.timeout(900)


def test_it_shows_its_window_executes_a_task_and_leaves_when_asked(
    windows_python: Path, stage: Stage, tmp_path: Path
) -> None:
    with on_a_display() as display, windows_user(windows_python, tmp_path) as windows:
        user = User(windows=windows, stage=stage, home=tmp_path / "home", program=windows.our_program())
        program = ["wine", windows_python / "python.exe", "-m", "desktop"]
        with a_tray(user, *program, display=display) as tray:
            user.a_task_is_executed()
            seen(display).save(tmp_path / "window.png")  # to be looked at
            code, told = windows.run(*program, "--quit", environment=user.environment)
            assert code == 0, told
            assert tray.wait(LIMIT_SECONDS) == 0
        assert share_drawn(seen(display)) < 1 / 10
        log = (user.home / "state" / "logs" / "desktop.log").read_text(encoding="utf-8")
        assert "ERROR" not in log, log
        assert "Traceback" not in log, log
