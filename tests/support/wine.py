"""Programs of Windows below wine, as a user whose drive C and registry are a test's own.

`make test-windows` sets wine up.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.scripts import script

LIMIT_SECONDS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """A user of Windows.

    Attributes:
        python: folder with Windows' Python and our packages.
        prefix: folder with drive C and the registry.
    """

    python: Path
    prefix: Path
    wine: object = field(repr=False)

    @property
    def drive(self) -> Path:
        """Drive C."""
        return self.prefix / "drive_c"

    def command(self, *words: str | Path) -> list[str]:
        return self.wine.command(*words)  # type: ignore[attr-defined, no-any-return]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return self.wine.environment(self.prefix, more)  # type: ignore[attr-defined, no-any-return]

    def run(self, *words: str | Path, given: str = "", environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a program where wine is; its exit code, and what it said."""
        # Not into pipes: what wine starts in the background keeps their ends.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                self.command(*words), input=given.encode(), env=self.environment(environment),
                stdout=output, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS, check=False,
            )  # fmt: skip
            output.seek(0)
            return done.returncode, said(output.read())

    def our_program(self, *arguments: str) -> list[str | Path]:
        """The worker's command line, from the sources."""
        return ["wine", self.python / "python.exe", "-m", "worker_core", *arguments]

    def registry(self, key: str) -> dict[str, str]:
        """The values of a key with their texts; empty where there is no such key."""
        code, listed = self.run("wine", "reg", "query", key)
        if code != 0:
            return {}
        rows = (line.strip().split("    ", 2) for line in listed.splitlines() if line.startswith("    "))
        return {row[0]: row[2] if len(row) > 2 else "" for row in rows}


def said(output: bytes) -> str:
    return output.decode(errors="replace").replace("\r\n", "\n")


def windows_path(path: Path) -> str:
    """A path of this machine, as programs of Windows name it: drive Z is its root."""
    return "Z:" + str(path).replace("/", "\\")


@contextlib.contextmanager
def windows_user(python: Path, folder: Path) -> Iterator[Windows]:
    """A new user of Windows, whose wine server runs as long as the user is there."""
    wine_root = script("wine_root")
    wine = wine_root.present()
    assert wine is not None, "wine is not set up"
    user = Windows(python=python, prefix=folder / "windows user", wine=wine)
    # A program that waits keeps the system's own running: each start would start them anew, for seconds.
    with (
        wine_root.new_user(wine, user.prefix),
        subprocess.Popen(
            user.command("wine", "cmd", "/c", "set /p ended="), env=user.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as keeper,
    ):  # fmt: skip
        try:
            yield user
        finally:
            keeper.kill()
