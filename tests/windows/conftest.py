from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripts import set_up
from tests.support.wine import Windows, windows_user
from tests.windows.installers import Release, release


@pytest.fixture(scope="session")
def windows_python() -> Path:
    """Windows' Python with our packages."""
    return set_up("windows", what="wine and Windows' Python")


@pytest.fixture(scope="session")
def windows(windows_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windows]:
    with windows_user(windows_python, tmp_path_factory.mktemp("wine")) as user:
        yield user


@pytest.fixture(scope="session")
def icon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    file = tmp_path_factory.mktemp("icon") / "icon.ico"
    Image.new("RGBA", (64, 64), "teal").save(file)
    return file


@pytest.fixture(scope="session")
def releases(windows: Windows, icon: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    """Two versions, and what installs them."""
    folder = tmp_path_factory.mktemp("releases")
    old, new = (release(windows, version, folder=folder, icon=icon) for version in ("0.1.0", "0.2.0"))
    return old, new
