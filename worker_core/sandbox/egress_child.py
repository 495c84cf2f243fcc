"""Runs inside the sandbox, before the tool: listens, hands the socket to the worker, and becomes the tool.

Arguments: descriptor of a connected socket whose other end is the worker's, port, command. Imports as little as it
can: it runs before every call that has a network. Of both sockets nothing is left when the tool begins.
"""

import os
import sys
from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]
from _socket import AF_INET, SCM_RIGHTS, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket


def main() -> None:
    pair, port, *command = sys.argv[1:]
    try:
        worker = socket(fileno=int(pair))
        listener = socket(AF_INET, SOCK_STREAM)
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(128)
        worker.sendmsg([b"l"], [(SOL_SOCKET, SCM_RIGHTS, listener.fileno().to_bytes(4, sys.byteorder))])
    except OSError as error:
        sys.stderr.write(f"The network of this call could not be set up ({error}); it has none.\n")
    os.closerange(int(pair), int(pair) + 1)
    # Python ignores these; the tool is not to inherit that.
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 -- it becomes the tool


main()
