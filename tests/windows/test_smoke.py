"""The worker below wine, from login to purge, with a playground on this side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.playground import Stage
from tests.support.wine import Windows
from tests.windows.scenario import User, forget, from_login_to_the_end_of_a_worker
from worker_core import __version__

pytestmark = pytest.mark.timeout(600)


def test_it_says_its_version_and_its_faults(windows: Windows) -> None:
    assert windows.run(*windows.our_program("--version")) == (0, f"kubiya-worker {__version__}\n")
    code, told = windows.run(*windows.our_program("start", "--no-such-option"))
    assert code == 2, told
    assert "--no-such-option" in told


def test_from_login_to_an_executed_task_to_purge(windows: Windows, stage: Stage, tmp_path: Path) -> None:
    user = User(windows=windows, stage=stage, home=tmp_path / "kubiya wörker", program=windows.our_program())
    from_login_to_the_end_of_a_worker(user, leave=lambda user: user.worker("stop"))
    forget(user)
