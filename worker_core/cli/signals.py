"""Which signals end a worker in the foreground, and which one lets it read its settings again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(asked: Callable[[str], None]) -> Iterator[None]:
    """Call `asked` on the loop with each stop signal's name."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        numbers = [signal.SIGINT, signal.SIGBREAK]
        before = {
            number: signal.signal(
                number, lambda got, _: loop.call_soon_threadsafe(asked, signal.Signals(got).name) and None
            )
            for number in numbers
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return
    caught = [signal.SIGINT, signal.SIGTERM]
    if _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it ignored
        caught.append(signal.SIGHUP)
    for number in caught:
        loop.add_signal_handler(number, asked, number.name)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


@contextmanager
def hang_up(asked: Callable[[], None]) -> Iterator[None]:
    """Call `asked` on the loop with each SIGHUP, where it is no terminal's: services and daemons are told so to read
    their settings again.
    """
    if sys.platform == "win32" or _has_terminal():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, which hangs up with a SIGHUP."""
    if sys.platform == "win32":
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
