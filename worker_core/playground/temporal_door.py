"""Stands before the playground's Temporal and lets in the programs of one user.

Temporal's development server asks nobody for a key, and loopback belongs to every user of the machine. So it runs in a
network namespace of its own, with this program: a listener that was opened outside is the only way in, and whose a
connection is stands in the kernel's own table (proc(5), /proc/net/tcp), opened outside as well.

Arguments: descriptors of the listener and of the tables (for IPv4, then IPv6), the user's number, the port inside, and
the server's command. It ends the server, and itself, when its standard input ends. Linux only; imports as little as it
can.
"""

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

CONNECTIONS = 256
"""At once. A worker and the playground have one each; whoever comes beyond that waits."""

LOOKS = 3
"""A table that changes while it is read may leave a line out."""

# States of TCP (include/net/tcp_states.h): ESTABLISHED, or the caller has said all that it wants to say.
THEIRS = frozenset({1, 4, 5})
OURS = frozenset({1, 8})
_PIECE_BYTES = 256 * 1024
_POLL_SECONDS = 0.005


class Owners:
    """Says whose program is at the other end of a connection over loopback.

    Args:
        tables: open /proc/net/tcp, and /proc/net/tcp6 where there is one, of the namespace in which the connections
            are. A program that speaks IPv4 through an IPv6 socket stands in the second.

    """

    def __init__(self, tables: Sequence[int]) -> None:
        self._tables = tables

    def owner(self, connection: socket.socket) -> int | None:
        """The user's number; None where nobody has the other end any more, or it cannot be told."""
        if sys.platform != "linux":  # others do not have all of it
            return None
        there, here = connection.getpeername(), connection.getsockname()
        for _ in range(LOOKS):
            for table, mapped in zip(self._tables, (False, True), strict=False):
                wanted = (_written(there, mapped=mapped), _written(here, mapped=mapped))
                for line in _read(table).splitlines():
                    fields = line.split()
                    if (fields[1], fields[2]) != wanted:
                        continue
                    # A socket that its program has closed has no inode, and its user reads as 0: root.
                    if int(fields[3], 16) not in THEIRS or fields[9] == "0":
                        return None
                    # Ours is still connected, so the line is of the program that we talk to and of no later one.
                    state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
                    return int(fields[7]) if state in OURS else None
        return None


def _written(address: tuple[str, int], *, mapped: bool) -> str:
    """An IPv4 address and port as the kernel writes them: words in the machine's order."""
    packed = socket.inet_aton(address[0])
    if mapped:
        packed = bytes(10) + b"\xff\xff" + packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"


def _read(table: int) -> str:
    os.lseek(table, 0, os.SEEK_SET)
    pieces = []
    while piece := os.read(table, _PIECE_BYTES):
        pieces.append(piece)
    return b"".join(pieces).decode("ascii", "replace")


def serve(listener: socket.socket, *, owners: Owners, user: int, inside: tuple[str, int]) -> None:
    """Let connections of `user` through to `inside`, until the listener is shut; others are closed unanswered."""
    free = threading.BoundedSemaphore(CONNECTIONS)
    while True:
        free.acquire()
        try:
            connection, _ = listener.accept()
        except OSError as error:
            free.release()
            if error.errno in {errno.EBADF, errno.EINVAL}:
                return
            time.sleep(_POLL_SECONDS)  # the other end left again, or there are no descriptors at the moment
            continue
        try:
            if owners.owner(connection) != user:
                raise PermissionError
            server = socket.create_connection(inside)
        except OSError:
            connection.close()
            free.release()
            continue
        threading.Thread(target=_carry, args=(connection, server, free), daemon=True).start()


def _carry(connection: socket.socket, server: socket.socket, free: threading.BoundedSemaphore) -> None:
    for end in (connection, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=_copy, args=(server, connection), daemon=True)
    back.start()
    _copy(connection, server)
    back.join()
    connection.close()
    server.close()
    free.release()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until `source` has nothing more to say; then `target` hears that."""
    try:
        while piece := source.recv(_PIECE_BYTES):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _wait_for(inside: tuple[str, int]) -> None:
    while True:
        try:
            socket.create_connection(inside).close()
            return
        except OSError:
            time.sleep(_POLL_SECONDS)


def main() -> None:
    if sys.platform != "linux":
        sys.exit("This program is for Linux.")
    listener, tables, user, port, *command = sys.argv[1:]
    descriptors = [int(listener), *map(int, tables.split(","))]
    for number in descriptors:
        os.set_inheritable(number, False)  # noqa: FBT003
    inside = ("127.0.0.1", int(port))
    server = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    )

    def attend() -> None:
        _wait_for(inside)
        serve(socket.socket(fileno=descriptors[0]), owners=Owners(descriptors[1:]), user=int(user), inside=inside)

    def end() -> None:
        while os.read(0, 1024):
            pass
        os.kill(server, signal.SIGTERM)

    for task in (attend, end):
        threading.Thread(target=task, daemon=True).start()
    _, status = os.waitpid(server, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
