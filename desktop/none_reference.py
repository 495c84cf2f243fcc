"""PySide6 6.12.0 on Python 3.11 loses a reference of None with every call that returns None; then the process aborts.

Its wheel is built as if None, True and False were immortal, which they are from Python 3.12 on; 6.11.3 counts rightly.
Importing this gives them more references than any process can use up. It can go when 6.12.0 or Python 3.11 is no
longer supported.
"""

from __future__ import annotations

import ctypes
import sys

import PySide6

if sys.implementation.name == "cpython" and sys.version_info < (3, 12) and PySide6.__version_info__[:3] >= (6, 12, 0):
    for _constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(_constant)).value += 1 << 48
