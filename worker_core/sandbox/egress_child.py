"""Runs inside the sandbox, before the tool: listens, hands the socket to the worker, and becomes the tool.

Arguments: path of the worker's Unix socket, port, command. Imports as little as it can: it runs before every call
that has a network. The connection to the worker stays open in the tool and all its children; when the last of them
has gone, the worker knows.
"""

import os
import sys
from _socket import AF_INET, AF_UNIX, SCM_RIGHTS, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket


def main() -> None:
    path, port, *command = sys.argv[1:]
    try:
        listener = socket(AF_INET, SOCK_STREAM)
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(128)
        worker = socket(AF_UNIX, SOCK_STREAM)
        worker.connect(path)
        worker.sendmsg([b"l"], [(SOL_SOCKET, SCM_RIGHTS, listener.fileno().to_bytes(4, sys.byteorder))])
        os.set_inheritable(worker.fileno(), True)  # noqa: FBT003
    except OSError as error:
        sys.stderr.write(f"The network of this call could not be set up ({error}); it has none.\n")
    os.execvp(command[0], command)  # noqa: S606 -- it becomes the tool


main()
