"""Connections of a process that shares the machine's network, made by the worker instead of the kernel.

Where a call has no network namespace, its system-call filter hands every connect(2) to whoever holds the filter's
listener (seccomp_unotify(2)): here, the worker. Whatever address the process named, which nobody looks at, its socket
becomes one end of a connection to the worker's proxy. So nothing else can be reached, by a number of a port or
otherwise; and nobody else of this machine can come to the proxy, which listens nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import sys
from typing import Final

_RECEIVE: Final = 0xC0502100
_ANSWER: Final = 0xC0182101
_GIVE: Final = 0x40182103
"""SECCOMP_IOCTL_NOTIF_RECV, _SEND and _ADDFD: one number on both machines that the filter knows."""

_NOTICE_BYTES: Final = 80
_NOTICE: Final = "=QII iI Q 6Q"
"""`struct seccomp_notif`: its id, who called, nothing; then number, architecture, instruction and arguments."""

_IN_THE_PLACE: Final = 1
"""SECCOMP_ADDFD_FLAG_SETFD."""

_CONNECT_SECONDS: Final = 5.0
_LISTENER: Final = "anon_inode:seccomp notify"


class Answered:
    """What a call wants to connect, with the manners of a listening socket: `accept` gives the worker's end.

    Args:
        descriptor: the filter's listener; it belongs to this object from now on.

    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def of(cls, descriptor: int) -> Answered | None:
        """None: it is no such listener."""
        try:
            is_one = os.readlink(f"/proc/self/fd/{descriptor}") == _LISTENER  # noqa: PTH115
        except OSError:
            is_one = False
        return cls(descriptor) if is_one else None

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """What still wants to connect cannot."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def accept(self) -> tuple[socket.socket, object]:
        """Connect the next.

        Raises:
            BlockingIOError: nobody wants to.
            OSError: whoever wanted to has gone, or it cannot be done.

        """
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, "there is no such listener here")
        import fcntl

        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not any(events & select.POLLIN for _, events in poll.poll(0)):
            raise BlockingIOError(errno.EAGAIN, "nobody wants to connect")
        notice = bytearray(_NOTICE_BYTES)
        fcntl.ioctl(self._descriptor, _RECEIVE, notice)
        number, process_id, _, _, _, _, first, *_ = struct.unpack(_NOTICE, notice)
        wanted = first & 0xFFFFFFFF  # the kernel, too, looks at that half only
        failed, near = errno.ECONNREFUSED, None
        try:
            waits = _waits(process_id, wanted)
            near, theirs = _pair()
            with theirs:
                theirs.setblocking(waits)
                given = struct.pack("=QIIII", number, _IN_THE_PLACE, theirs.fileno(), wanted, os.O_CLOEXEC)
                fcntl.ioctl(self._descriptor, _GIVE, given)
            failed = 0
        except OSError as error:
            failed = error.errno or failed
            if near is not None:
                near.close()
            raise
        finally:
            with contextlib.suppress(OSError):  # it has gone
                fcntl.ioctl(self._descriptor, _ANSWER, struct.pack("=QqiI", number, 0, -failed, 0))
        return near, None


def _waits(process_id: int, descriptor: int) -> bool:
    """Whether a process's socket waits for what is slow.

    Raises:
        OSError: that is no socket.

    """
    if sys.platform == "win32":
        return True
    folder = f"/proc/{process_id}"
    try:
        is_socket = os.readlink(f"{folder}/fd/{descriptor}").startswith("socket:")  # noqa: PTH115
        with open(f"{folder}/fdinfo/{descriptor}", encoding="ascii") as file:  # noqa: PTH123
            flags = next((int(line.split()[1], 8) for line in file if line.startswith("flags:")), 0)
    except PermissionError:  # a program that its user may run and not read
        return True
    if not is_socket:
        raise OSError(errno.ENOTSOCK, "it wanted to connect what is no socket")
    return not flags & os.O_NONBLOCK


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection: programs ask their socket for TCP's options.

    Raises:
        OSError: there are no more descriptors or ports.

    """
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        theirs = socket.create_connection(listener.getsockname(), timeout=_CONNECT_SECONDS)
        try:
            listener.settimeout(_CONNECT_SECONDS)
            while True:
                ours, came_from = listener.accept()
                if came_from == theirs.getsockname():
                    ours.settimeout(0)
                    return ours, theirs
                ours.close()  # somebody else of this machine was quick
        except BaseException:
            theirs.close()
            raise
