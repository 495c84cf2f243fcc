"""A worker as a supervisor sees one, from the standard library alone, so that it starts at once.

It does what the file `todo` beside its runtime folder says, one line for each start; without a line, it works until it
is told to stop: `crash` (once it is up), `exit CODE` (likewise), `early CODE` (before), `stuck` (its loop stands
still). Each start leaves its pid and the keys that it was told in `starts`; the end of its stdin leaves a file `left`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


def main() -> None:
    runtime = Path(sys.argv[1])
    home = runtime.parent
    told = json.loads(sys.stdin.buffer.readline())
    todo = (home / "todo").read_text().splitlines() if (home / "todo").exists() else []
    (home / "todo").write_text("\n".join(todo[1:]))
    what, _, code = (todo[0] if todo else "work").partition(" ")
    child = subprocess.Popen(["sleep", "1000"])
    with (home / "starts").open("a") as starts:
        starts.write(json.dumps({"pid": os.getpid(), "child": child.pid, **told}) + "\n")
    if what == "early":
        os.write(2, b"error: It cannot begin.\n")
        os._exit(int(code))
    listener = socket.socket(socket.AF_UNIX)
    path = runtime / f"worker-{os.getpid()}-aa.sock"
    listener.bind(str(path))
    listener.listen()
    place = {"pid": os.getpid(), "host": socket.gethostname(), "path": str(path)}
    draft = runtime / f"draft-{os.getpid()}"
    draft.write_text(json.dumps(place))
    draft.replace(runtime / f"worker-{os.getpid()}-aa.json")

    def leave_at_the_end() -> None:
        while os.read(0, 100):
            pass
        (home / "left").touch()
        os._exit(0)

    threading.Thread(target=leave_at_the_end, daemon=True).start()
    began = time.monotonic()
    while True:
        connection, _ = listener.accept()
        with connection:
            request = json.loads(connection.recv(10_000))
            silent = time.monotonic() - began if what == "stuck" else 0.0
            connection.sendall(json.dumps({"ok": True, "silent_seconds": silent}).encode() + b"\n")
        if request["verb"] == "stop":
            os._exit(8 if request["mode"] == "cancel" else 0)
        if what == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            os.write(2, b"something else\nerror: The key was refused.\n")
            os._exit(int(code))


main()
