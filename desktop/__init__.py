"""The tray application: it draws what `worker_core` publishes, and steers it."""

import ctypes
import platform
import sys

if sys.version_info < (3, 12) and platform.python_implementation() == "CPython":
    # PySide6 6.12.0 gives up a reference to None (and to True) at every call that returns one, which only Python 3.12
    # and later forgive: their singletons are immortal. On 3.11 the process aborts ("deallocating None") after some
    # tens of thousands of timers. 6.11.3 does not do it. So many references are not used up.
    for _singleton in (None, True, False):
        ctypes.c_ssize_t.from_address(id(_singleton)).value += 1 << 60
