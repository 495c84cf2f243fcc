"""Wherever the worker's folders are, and whatever is readable: there are walls, and they hold."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.engine import home
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.sandbox import mounts
from worker_core.sandbox.choice import make_walls
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.mounts import Mounts
from worker_core.sandbox.walls import Walls
from worker_core.settings import Settings

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux"),
    needs_bubblewrap,
]

LINKED = ("home", "a link", "a link in the home folder")
PLACES = (*LINKED, "/opt", "/usr/local/lib", "/etc", "/tmp", "/dev/shm", "/var/lib")
READABLE = (
    "nothing", "home", "a link to home", "above the worker", "the worker", "its state", "another workspace",
    "the workspace", "a file", "/", "/opt", "/usr", "/etc", "/tmp", "/dev", "home and /", "what is not there",
)  # fmt: skip


SYSTEM = ("/", "/usr", "/opt", "/etc", "/dev")


class Machine:
    """A home folder, and a worker somewhere."""

    def __init__(self, folder: Path, place: str) -> None:
        self.home = folder / "home" / "me"
        self.home.mkdir(parents=True)
        (self.home / "note").write_text("note\n")
        (folder / "linked").symlink_to(self.home)
        self.linked_home = folder / "linked"
        self.made: Path | None = None
        match place:
            case "home":
                self.worker = self.home / ".local" / "worker"
            case "a link":
                (folder / "elsewhere").mkdir()
                (folder / "there").symlink_to(folder / "elsewhere")
                self.worker = folder / "there" / "worker"
            case "a link in the home folder":
                (folder / "elsewhere").mkdir()
                (self.home / ".local").symlink_to(folder / "elsewhere")
                self.worker = self.home / ".local" / "worker"
            case _:
                self.made = Path(tempfile.mkdtemp(prefix="kubiya-test-", dir=place))
                self.worker = self.made / "worker"
        self.own, self.other = (self.worker / "state" / "workspaces" / name for name in ("own", "other"))
        for path in (self.own, self.other, self.worker / "config", self.worker / "state" / "run"):
            path.mkdir(parents=True)
        self.secrets = [self.other / "secret", self.worker / "state" / "secret", self.worker / "config" / "secret"]
        for secret in self.secrets:
            secret.write_text("CANARY\n")
        (self.own / "mine").write_text("mine\n")

    @property
    def everywhere(self) -> list[Path]:
        return [self.worker, self.home, *(secret.parent for secret in self.secrets), *map(Path, SYSTEM)]

    @property
    def hidden(self) -> tuple[Path, ...]:
        return self.worker / "state", self.worker / "config", self.worker / "state" / "run"

    def readable(self, which: str) -> tuple[Path, ...]:
        match which:
            case "nothing":
                return ()
            case "home":
                return (self.home,)
            case "a link to home":
                return (self.linked_home,)
            case "above the worker":
                return (self.worker.parent,)
            case "the worker":
                return (self.worker,)
            case "its state":
                return (self.worker / "state",)
            case "another workspace":
                return (self.other, self.other / "secret")
            case "the workspace":
                return (self.own,)
            case "a file":
                return (self.home / "note",)
            case "home and /":
                return (self.home, Path("/"), self.linked_home)
            case "what is not there":
                return (self.home / "nothing", Path("/nothing/at/all"))
        return (Path(which),)


@pytest.fixture(params=PLACES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    place = request.param
    if place.startswith("/") and not os.access(place, os.W_OK):
        pytest.skip(f"{place} cannot be written by this user, so no worker can be there")
    made = Machine(tmp_path / "machine", place)
    yield made
    if made.made is not None:
        shutil.rmtree(made.made)


SCRIPT = """
cat mine; pwd
for secret in "$@"; do cat "$secret"; cat "$(realpath -m "$secret")"; done
cd /
for folder in "$WORKER" "$WORKER"/{state,state/workspaces,config} "$REAL" /usr /opt /etc / /dev /proc; do
  echo x >"$folder/kubiya-test-written"
done
cd - >/dev/null
echo kept >kept && echo private >/tmp/private && echo private >~/private && cat kept
"""


async def test_there_are_walls(machine: Machine, tmp_path: Path) -> None:
    for which in READABLE:
        launcher = bubblewrap(
            Path(tempfile.mkdtemp(dir=machine.worker / "state" / "run")),
            readable=machine.readable(which),
            hidden=machine.hidden,
        )
        command = Command(
            argv=["/bin/bash", "-c", SCRIPT, "script", *map(str, machine.secrets)],
            cwd=machine.own,
            environment={"PATH": os.environ["PATH"], "WORKER": str(machine.worker), "REAL": str(machine.home)},
        )
        result = await run(launcher.wrap(command, workspace=machine.own), output_limit_bytes=20_000)
        said = b"".join(result.output.ends()).decode()
        result.output.close()
        lines = said.split("\n")
        assert (lines[0], lines[-2]) == ("mine", "kept"), (which, said)
        assert Path(lines[1]).samefile(machine.own), which
        assert "CANARY" not in said, which
        assert [one for one in machine.everywhere if (one / "kubiya-test-written").exists()] == [], which
        assert (machine.own / "kept").read_text() == "kept\n"


@pytest.mark.parametrize(
    ("which", "seen"),
    [("home", True), ("a link to home", True), ("a file", True), ("nothing", False), ("/opt", False)],
)
async def test_what_is_readable_is_seen(tmp_path: Path, which: str, seen: bool) -> None:
    machine = Machine(tmp_path / "machine", "home")
    launcher = bubblewrap(tmp_path / "walls", readable=machine.readable(which), hidden=machine.hidden)
    note = machine.linked_home / "note" if which == "a link to home" else machine.home / "note"
    command = Command(argv=["cat", str(note)], cwd=machine.own, environment={"PATH": os.environ["PATH"]})
    result = await run(launcher.wrap(command, workspace=machine.own))
    said = b"".join(result.output.ends()).decode()
    result.output.close()
    assert (said == "note\n") is seen, said


async def test_the_workers_folder_is_covered_though_it_came_later(tmp_path: Path) -> None:
    home = tmp_path / "home"
    own = home / "workspaces" / "own"
    own.mkdir(parents=True)
    launcher = bubblewrap(tmp_path / "walls", readable=(home,), hidden=(home / "state", home / "config"))
    command = Command(
        argv=["/bin/sh", "-c", f"cat {home}/*/secret; true"], cwd=own, environment={"PATH": os.environ["PATH"]}
    )
    for name in ("state", "config"):
        await run(launcher.wrap(command, workspace=own))
        (home / name).mkdir()
        (home / name / "secret").write_text("CANARY")
        result = await run(launcher.wrap(command, workspace=own))
        assert b"CANARY" not in b"".join(result.output.ends())
        result.output.close()


@pytest.mark.parametrize("how", ["a file", "a volume of Kubernetes"])
async def test_key_files_are_not_seen_though_their_folder_is_readable(tmp_path: Path, how: str) -> None:
    """Of a volume, where a folder of another day takes the place of today's, tomorrow's key is not seen either."""
    folder, own = tmp_path / "keys", tmp_path / "own"
    day = folder / "..monday" if how != "a file" else folder
    for one in (own, day):
        one.mkdir(parents=True, exist_ok=True)
    (day / "key").write_text("kb-canary-112233")
    if day != folder:
        (folder / "..data").symlink_to("..monday")
        (folder / "key").symlink_to("..data/key")
    settings = Settings(api_key_file=folder / "key", sandbox_readable=(tmp_path,))
    walls = make_walls(settings, home(tmp_path / "home"))
    launcher = bubblewrap(walls.runtime, readable=walls.readable, hidden=walls.hidden)
    script = f"grep -r canary {tmp_path} {folder}/key {day}/key; echo seen"
    command = Command(argv=["/bin/sh", "-c", script], cwd=own, environment={"PATH": os.environ["PATH"]})
    for key in ("key", "new key"):
        (day / key).write_text("kb-canary-112233")
        result = await run(launcher.wrap(command, workspace=own))
        said = b"".join(result.output.ends())
        result.output.close()
        assert b"seen" in said
        assert (b"canary" in said) is (how == "a file" and key == "new key")  # another file beside it is no key


def test_what_is_never_readable_is_known(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", "a link")
    inside = (machine.other, machine.worker / "state", machine.worker.resolve() / "config" / "x", Path("/dev/shm"))
    walls = Walls(readable=(machine.home, *inside, Path("/proc/1"), Path("/tmp"), Path("/")), hidden=machine.hidden)
    assert walls.left_out() == (*inside, Path("/proc/1"), Path("/tmp"))


_ONE_PATH = ("--dir", "--tmpfs", "--proc", "--dev", "--remount-ro")
_TWO_PATHS = ("--bind", "--ro-bind", "--ro-bind-try", "--symlink")


def mount_points(options: list[str]) -> list[tuple[str, Path]]:
    found, words = [], iter(options)
    for word in words:
        if word in _ONE_PATH:
            found.append((word, Path(next(words))))
        elif word in _TWO_PATHS:
            next(words)
            found.append((word, Path(next(words))))
        else:
            assert word == "--size"
            next(words)
    return found


@pytest.mark.parametrize("which", READABLE)
@pytest.mark.parametrize("place", LINKED)
def test_nothing_is_mounted_below_what_a_tool_can_write(tmp_path: Path, place: str, which: str) -> None:
    """A tool could put a link where the mount point is to be: bubblewrap's advisory GHSA-pxhw-h44j-8pfx."""
    machine = Machine(tmp_path / "machine", place)
    short = Path(tempfile.mkdtemp(prefix="kb-"))
    with socket.socket(socket.AF_UNIX) as bound:  # what a tool left there
        bound.bind(str(short / "s"))
        (machine.own / "socket").hardlink_to(short / "s") if short.stat().st_dev == tmp_path.stat().st_dev else None
        walls = Walls(readable=machine.readable(which), hidden=machine.hidden, runtime=tmp_path / "walls")
        points = mount_points(Mounts(walls).options(workspace=machine.own))
    shutil.rmtree(short)
    own = machine.own.resolve()
    assert ("--bind", own) in points
    assert [point for _, point in points if point != own and point.is_relative_to(own)] == []
    for _, point in points:
        assert point == Path(os.path.realpath(point)) or ("--symlink", point) in points
    writable = [point for word, point in points if word == "--bind"]
    assert writable == [own]


async def test_sockets_below_readable_folders_do_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_SOCKETS_SECONDS", 0.0)
    short = Path(tempfile.mkdtemp(prefix="kb-"))
    (short / "link").symlink_to(short)
    workspace = tmp_path / "own"
    workspace.mkdir()
    launcher = bubblewrap(tmp_path / "walls", readable=(short,))
    script = (
        "import socket, sys\n"
        "for path in sys.argv[1:]:\n"
        "    s = socket.socket(socket.AF_UNIX)\n"
        "    try: s.connect(path); print('ANSWERED')\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    listening = []
    for bound in (short / "agent", short / "link" / "other"):
        listening.append(socket.socket(socket.AF_UNIX))
        listening[-1].bind(str(bound))
        listening[-1].listen()
        (short / "note").write_text("note")
    command = Command(
        argv=[sys.executable, "-I", "-c", script, *(str(short / name) for name in ("agent", "other", "link/agent"))],
        cwd=workspace,
        environment={"PATH": os.environ["PATH"]},
    )
    result = await run(launcher.wrap(command, workspace=workspace))
    assert b"".join(result.output.ends()).decode() == "Connection refused\n" * 3
    result.output.close()
    for one in listening:
        one.close()
    shutil.rmtree(short)
