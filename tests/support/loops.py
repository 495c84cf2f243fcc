"""Runs a coroutine on a stock asyncio loop or on a Qt loop, as the command line and the tray do."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

LOOPS = ["stock", "qasync"]


_kept: dict[str, asyncio.AbstractEventLoop] = {}


def run_on(kind: str, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on this process's one stock loop or on its one Qt loop, as it would be in the tray.

    Neither is ever closed: threads of the Temporal SDK may still call into them, which Qt does not survive. What a
    worker that left at once began to stop has stopped when this returns.
    """
    try:
        loop = _kept.get(kind) or (_qt_loop() if kind == "qasync" else asyncio.new_event_loop())
    except ImportError:
        coroutine.close()
        pytest.skip("PySide6_Essentials and qasync (extra `desktop`) are not installed")
    _kept[kind] = loop
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_settled(coroutine))
    finally:
        asyncio.set_event_loop(None)
        if kind == "qasync":
            gc.collect()  # Qt's objects must not be collected in another test's thread


async def _settled(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    finally:
        abandoned = [task for task in asyncio.all_tasks() if task.get_name().startswith("abandoned ")]
        if abandoned:
            await asyncio.wait(abandoned)


def _qt_loop() -> asyncio.AbstractEventLoop:
    os.environ.setdefault("QT_API", "pyside6")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    from desktop.shell.loop import WorkerLoop

    app = QApplication.instance() or QApplication([])  # one for all tests: a core application could not have widgets
    QApplication.setQuitOnLastWindowClosed(False)
    loop: asyncio.AbstractEventLoop = WorkerLoop(app)
    return loop
