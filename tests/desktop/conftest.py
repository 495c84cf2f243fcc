"""Everything under here runs on Qt's offscreen platform, and a warning of Qt is a failure."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.setdefault("QT_API", "pyside6")
os.environ.setdefault("PYTEST_QT_API", "pyside6")

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from desktop.look import language
from desktop.look.theme import Theme, theme

HERE = Path(__file__).parent

# What the offscreen platform says of itself.
IGNORED = (
    "This plugin does not support propagateSizeHints()",
    "This plugin does not support raise()",
    "No such signal QPlatformNativeInterface::systemTray",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/desktop/" in item.nodeid.replace("\\", "/"):
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            item.add_marker(pytest.mark.qt_log_ignore(*IGNORED))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Garbage of Qt is collected in this thread alone, as the loop does it: not in one that some test left, which kills
    the process in whatever Qt does next. Not before the end: pytest lets fixtures go when all are torn down.
    """
    if HERE not in item.path.parents:
        return (yield)
    gc.disable()
    try:
        return (yield)
    finally:
        bury()
        gc.collect()
        gc.enable()


@pytest.fixture(autouse=True)
def look(qapp: QApplication) -> Iterator[Theme]:
    """The theme, light, and English; put back afterwards."""
    QApplication.setQuitOnLastWindowClosed(False)
    language.use({})
    found = theme()
    bury()
    found.set_mode("light")
    yield found
    bury()
    language.use({})


@pytest.fixture(scope="session", autouse=True)
def young() -> Iterator[None]:
    """What stands before the first test is never garbage: collections between tests need not look at it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def bury() -> None:
    """Let go what earlier tests closed: pytest-qt only asks for it, and no loop runs that would do it."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A session bus of the test's own, in its environment."""
    from tests.support.tray_host import private_bus  # it skips whoever imports it where there is no D-Bus

    with private_bus() as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address
