"""Runs inside the sandbox, before the tool: listens, hands the socket to the worker, and becomes the tool.

Arguments: descriptor of a connected socket whose other end is the worker's, port, command. Imports as little as it
can: it runs before every call that has a network. Of both sockets nothing is left when the tool begins.
"""

import _socket
import os
import sys
from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]


def main() -> None:
    if sys.platform == "win32":
        raise SystemExit("egress_child.py hands over a socket, which Windows' Python cannot")
    pair, port, *command = sys.argv[1:]
    try:
        worker = _socket.socket(fileno=int(pair))
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(128)
        worker.sendmsg([b"l"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.fileno().to_bytes(4, sys.byteorder))])
    except OSError as error:
        sys.stderr.write(f"The network of this call could not be set up ({error}); it has none.\n")
    os.closerange(int(pair), int(pair) + 1)
    # Python ignores these; the tool is not to inherit that.
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 -- it becomes the tool


main()
