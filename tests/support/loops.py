"""Runs a coroutine on a stock asyncio loop or on a Qt loop, as the command line and the tray do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

LOOPS = ["stock", "qasync"]


_qt_loop: asyncio.AbstractEventLoop | None = None


def run_on(kind: str, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end: on a fresh stock loop, or on this process's one Qt loop, as it would be in the tray."""
    if kind == "stock":
        return asyncio.run(coroutine)
    try:
        loop = _the_qt_loop()
    except ImportError:
        coroutine.close()
        pytest.skip("PySide6_Essentials and qasync (extra `desktop`) are not installed")
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        asyncio.set_event_loop(None)


def _the_qt_loop() -> asyncio.AbstractEventLoop:
    global _qt_loop
    if _qt_loop is None:
        os.environ.setdefault("QT_API", "pyside6")
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        from PySide6.QtCore import QCoreApplication
        from qasync import QEventLoop

        # Never closed: threads of the Temporal SDK may still call into it, which Qt does not survive.
        _qt_loop = QEventLoop(QCoreApplication.instance() or QCoreApplication([]))
    return _qt_loop
