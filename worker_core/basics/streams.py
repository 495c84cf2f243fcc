"""The standard streams of a program: they are there from its first line on, and go without a word."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from typing import Final

_NAMES: Final = ("stdin", "stdout", "stderr")

_PRINTERS: Final = frozenset(
    {
        "click.utils",
        "rich.console",
        "worker_core.cli.stream_view",
        "worker_core.logs.sinks",
        "worker_core.playground.command",
    }
)
"""The modules whose code writes into the streams."""


def give() -> None:
    """Open onto the null device what of the standard streams is missing: a service, cron or `>&-` may have closed it.

    The first file or socket of a program would get the missing descriptor otherwise (POSIX, `open`: the lowest that
    is free), and with it what a library or a child prints. Windows hands on no descriptors, and a windowed program
    has no streams at all there.
    """
    if sys.platform != "win32":
        for number in range(len(_NAMES)):
            _give_descriptor(number)
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w" if number else "r", encoding="utf-8")  # noqa: PTH123, SIM115
            setattr(sys, name, stream)


def _give_descriptor(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_WRONLY if number else os.O_RDONLY)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)  # noqa: FBT003 - it takes no keyword


def failed(error: BaseException) -> bool:
    """Whether an error is that of printing: raised where this program prints, and not by what it does."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return isinstance(error, OSError) and place is not None and place.tb_frame.f_globals["__name__"] in _PRINTERS


def end() -> None:
    """Flush what was printed; what cannot be written is dropped, or Python says so itself once more as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
                stream.flush()
        except (AttributeError, ValueError):
            continue


if sys.platform == "win32":

    def leave_with_reader() -> None:
        """Nothing tells of it there: the next line fails."""

else:
    import select

    def leave_with_reader() -> None:
        """End this process as soon as nobody reads its standard output any more, where that is a pipe: it may print
        nothing for hours, and `grep -m1` behind it waits. For programs that have nothing to end but themselves.
        """
        with contextlib.suppress(AttributeError, OSError, ValueError):
            number = sys.stdout.fileno()
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                threading.Thread(target=_wait_for_reader, args=(number,), name="reader", daemon=True).start()

    def _wait_for_reader(number: int) -> None:
        watch = select.poll()
        watch.register(number, 0)  # POLLERR and POLLHUP come unasked
        watch.poll()
        os._exit(1)
