"""What another process prints, line by line, as it comes."""

from __future__ import annotations

import subprocess
import threading

from tests.support.tray_host import until


class LinesOf:
    """Reads a process's stdout in a thread of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._taken = 0
        self.all: list[str] = []
        """Since its start."""

        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """To its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def until(self, line: str, *, times: int = 0) -> None:
        """Wait until it is among those that `take` has not given yet, or has come so often since the start."""
        until(
            lambda: self.all.count(line) >= times if times else line in self.all[self._taken :],
            what=f"{line!r} among {self.all}",
        )

    def take(self) -> list[str]:
        """Those that came since the last call."""
        taken = self.all[self._taken :]
        self._taken += len(taken)
        return taken

    def close(self) -> None:
        """After the end of the process."""
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.all.append(line.rstrip("\n"))
