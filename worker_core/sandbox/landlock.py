"""Landlock, the kernel's way of giving up rights for good: which of it this kernel has, and sets of rules.

A set of rules is an open file: who inherits it may put it on, and it then holds for everything that one starts. Numbers
and versions are those of landlock(7) and `linux/landlock.h`; what a version does not know, it keeps nobody from.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import functools
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from worker_core.sandbox.loans import OpenFile

_CREATE, _ADD = 444, 445
"""landlock_create_ruleset(2) and landlock_add_rule(2): they have one number on all machines."""

_ASK_VERSION: Final = 1
_BELOW_A_PATH: Final = 1
"""LANDLOCK_RULE_PATH_BENEATH."""

TCP_SINCE: Final = 4
"""Linux 6.7."""

SCOPES_SINCE: Final = 6
"""Linux 6.12."""

TRUNCATION_SINCE: Final = 3
"""Linux 6.2."""


# What may be done with a file, or with what is in a folder, at any depth.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_MAKE_DEVICES_AND_SOCKETS: Final = 1 << 6 | 1 << 9 | 1 << 11
_MAKE_LINK: Final = 1 << 12
_MOVE: Final = 1 << 13
"""To another folder, or a link from there; version 2. Before that, nobody may who has put on any rules."""

_TRUNCATE: Final = 1 << 14
"""Version 3."""

_CONTROL_DEVICE: Final = 1 << 15
"""ioctl(2); version 5."""

_LAST: Final = {1: _MAKE_LINK, 2: _MOVE, 3: _TRUNCATE, 4: _TRUNCATE}
"""The last right that a version knows; from 5 on, all of the above."""

_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _CONTROL_DEVICE

READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
LOOK: Final = _READ_FILE | _READ_DIR
USE: Final = _WRITE_FILE | _READ_FILE
"""Of a device."""

OPERATE: Final = USE | _CONTROL_DEVICE
"""Of a device that is nothing without ioctl(2)."""

WRITE: Final = 0xFFFF & ~(_MAKE_DEVICES_AND_SOCKETS | _CONTROL_DEVICE)
"""All of it but for devices and sockets."""


class Scope(enum.IntFlag):
    """What is out of reach that processes without these rules made, or are."""

    ABSTRACT_SOCKETS = 1
    SIGNALS = 2


@functools.cache
def version() -> int:
    """Of the interface; 0 where the kernel has none, or where it is switched off or forbidden."""
    if sys.platform != "linux":
        return 0
    try:
        return max(0, _call(_CREATE, None, 0, _ASK_VERSION))
    except OSError:
        return 0


def scope(what: Scope) -> OpenFile:
    """Rules that change nothing but what is in reach. Version 6.

    Raises:
        OSError: the kernel does not have them, or there are no more descriptors.

    """
    return OpenFile(_create(0, 0, int(what)))


def walls(allowed: Iterable[tuple[Path, int]], *, known: int, keeps_from_tcp: bool) -> OpenFile:
    """Rules that allow of files what is named, and nothing else. What is in reach is in here with them (version 6).

    Args:
        allowed: existing paths and what may be done there (`READ`, `LOOK`, `USE`, `WRITE`); a link counts as what it
            leads to. What is not there is left out.
        known: the version whose rights are used, at most `version()`.
        keeps_from_tcp: connect and bind no TCP socket; version 4.

    Raises:
        OSError: they cannot be made.

    """
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, "Landlock is Linux's")
    last = _LAST.get(known, _CONTROL_DEVICE)
    handled = (last << 1) - 1
    scoped = Scope.ABSTRACT_SOCKETS | Scope.SIGNALS if known >= SCOPES_SINCE else 0
    rules = OpenFile(_create(handled, 0b11 if keeps_from_tcp and known >= TCP_SINCE else 0, int(scoped)))
    for path, access in allowed:
        try:
            opened = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
        except OSError:
            continue  # it is gone, or in a folder that this user may not pass: a tool could not, either
        try:
            is_folder = stat.S_ISDIR(os.fstat(opened).st_mode)
            rights = (access if is_folder else access & _OF_FILES) & handled
            _call(_ADD, rules.descriptor, _BELOW_A_PATH, _Below(rights, opened), 0)
        finally:
            os.close(opened)
    return rules


class _Below(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))

    def __init__(self, allowed: int, folder: int) -> None:
        super().__init__(allowed, folder)


def _create(files: int, network: int, scoped: int) -> int:
    """`struct landlock_ruleset_attr`. Older kernels take it as well: what they do not know is 0."""
    asked = (ctypes.c_uint64 * 3)(files, network, scoped)
    return _call(_CREATE, asked, ctypes.sizeof(asked), 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, first: object, second: int, third: object, fourth: int = 0) -> int:
    def word(one: object) -> object:
        if isinstance(one, int):
            return ctypes.c_long(one)
        return ctypes.byref(one) if isinstance(one, (ctypes.Structure, ctypes.Array)) else one

    result = int(_libc().syscall(ctypes.c_long(number), *map(word, (first, second, third, fourth))))
    if result < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return result
