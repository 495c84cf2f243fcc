"""How the C library keeps what was freed: for a process that mostly waits, it should keep little."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Numbers of `malloc.h` (glibc)."""

KEPT_BYTES: Final = 128 * 1024
"""glibc's own default, which stops growing with the largest block that was freed once it is set."""

MAPPED_FROM_BYTES: Final = 512 * 1024
"""Blocks of this size on are asked of the system one by one, and given back with their end. glibc's default is 128 KB
where the option above is set; the SDK takes a block of 372 KB nine times in a turn, which then was a twelfth of the
turn's processor time."""

ARENAS: Final = 2
"""glibc's default is eight for each core; every thread of the SDK takes one, and leaves holes in it."""


def keep_little() -> None:
    """Give memory back to the system soon after it is freed. To be called before the first thread is started.

    Saves a worker that waits 3 of 80 MB. Does nothing where the C library is another than glibc.
    """
    if sys.platform != "linux":
        return
    import ctypes

    global _trim
    library = ctypes.CDLL(None)
    set_option = getattr(library, "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
        set_option(_ARENA_MAX, ARENAS)
        _trim = library.malloc_trim


def give_back() -> None:
    """Give back what is free between blocks that are kept, too: some MB after a start or a burst, in a millisecond.

    For a process that keeps little; does nothing in others.
    """
    if _trim is not None:
        _trim(0)


_trim: Callable[[int], object] | None = None
