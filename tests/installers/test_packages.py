"""The packages for Linux in bare roots of Debian, as their users meet them: `make test-packages` sets the roots up.

Everything is done inside a root; what a removal leaves is told by comparing all files before and after.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from installers.freezing import layout
from installers.linux import build
from installers.linux.packages import PACKAGES, Part, Release

ROOT = Path(__file__).parents[2]
PLACE = os.environ.get("KUBIYA_TEST_PACKAGES", "")
RELEASES = os.environ.get("RELEASES", "bookworm trixie").split()
LIMIT_SECONDS = 240
EPOCH = 1_750_000_000

pytestmark = [
    pytest.mark.skipif(not PLACE, reason="`make test-packages` makes bare roots and runs this in them"),
    pytest.mark.timeout(1800),
]

ENVIRONMENT = {
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "NO_COLOR": "1",
}
USER = ("setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups")
OF_THE_USER = {"HOME": "/home/ada", "USER": "ada", "XDG_RUNTIME_DIR": "/run/ada"}

STREAMS: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}

QUICKLY_MADE = ("--suppress-tags", "uses-no-compression-for-data-tarball,uses-no-compression-for-control-tarball")
CHANGES_ANYWAY = re.compile(
    r"/(var/(lib/(dpkg|apt|rpm|systemd|fontconfig)|cache|log|tmp)|tmp|run|proc|sys|dev|home|etc/(ld\.so\.cache|resolv\.conf|hosts))(/|$)"
)
"""What package managers, the linker and the users keep."""


class Root:
    """A bare root with changes of its own, and processes that go with it."""

    def __init__(self, release: str, work: Path) -> None:
        self.release = release
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", ROOT / "scripts" / "in_root.sh"]
        self._holder = subprocess.Popen(
            [*command, Path(PLACE, release), work / "upper", work], stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        [inside] = psutil.Process(self._holder.pid).children()
        self.enter = ("nsenter", "--target", str(inside.pid), "--mount", "--pid", "--root", "--wdns=/")
        self.run("sh", "-c", "echo ada:x:1000:1000::/home/ada:/bin/sh >>/etc/passwd; echo ada:x:1000: >>/etc/group")
        self.run("install", "-d", "-o", "1000", "-g", "1000", "/home/ada", "/run/ada")

    def words(self, command: Sequence[str | Path], *, user: bool, environment: dict[str, str]) -> list[str | Path]:
        told = {**ENVIRONMENT, **(OF_THE_USER if user else {}), **environment}
        variables = [f"{name}={value}" for name, value in told.items()]
        return [*self.enter, "env", "-i", *variables, *(USER if user else ()), *command]

    def start(self, *command: str | Path, user: bool = False, **environment: str) -> subprocess.Popen[str]:
        words = self.words(command, user=user, environment=environment)
        return subprocess.Popen(words, text=True, **STREAMS)

    def run(self, *command: str | Path, user: bool = False, code: int = 0, **environment: str) -> str:
        words = self.words(command, user=user, environment=environment)
        done = subprocess.run(words, text=True, timeout=LIMIT_SECONDS * 3, **STREAMS)
        assert done.returncode == code, done.stdout
        return done.stdout

    def files(self) -> set[str]:
        """Every file with its kind and mode, but for what changes anyway."""
        lines = self.run("find", "/", "-xdev", "-printf", "%y %m %p\n").splitlines()
        return {line for line in lines if not CHANGES_ANYWAY.match(line.split(" ", 2)[2])}

    def install(self, *packages: Path) -> None:
        """By dpkg alone: what they need must be there."""
        self.run("dpkg", "--install", *packages)

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()


def until(condition: Any, what: str) -> Any:
    end = time.monotonic() + LIMIT_SECONDS
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {LIMIT_SECONDS} s: {what}"
        time.sleep(0.2)
    return answer


def end(process: subprocess.Popen[str]) -> None:
    """What runs inside is a child of the nsenter that was started."""
    for child in psutil.Process(process.pid).children():
        child.terminate()
    process.communicate(timeout=LIMIT_SECONDS)


def line_with(stream: IO[str] | None, wanted: str) -> str:
    """The first line that has it; what comes before is said where none has."""
    assert stream is not None
    passed = []
    for line in stream:
        passed.append(line)
        if wanted in line:
            return line
    raise AssertionError("".join(passed))


class Packages:
    """Of this version, and of the next: the same programs under another number. Each is built when it is asked for."""

    def __init__(self, parts: dict[str, Part], work: Path, frozen: layout.Frozen) -> None:
        self.version = frozen.version
        self.next = frozen.version[:-1] + str((int(frozen.version[-1]) + 1) % 10)
        self._parts, self._work, self._frozen = parts, work, frozen

    def _of(self, version: str) -> dict[str, Part]:
        if version == self.version:
            return self._parts
        made = {}
        for name, part in self._parts.items():
            tree = self._work / version / name
            if not tree.exists():
                shutil.copytree(part.tree, tree, symlinks=True)
                _renumber(tree, self.version, version)
            made[name] = dataclasses.replace(part, tree=tree)
        return made

    def get(self, kind: str, name: str, version: str) -> Path:
        out = self._work / f"{kind}-{name}-{version}"
        if not out.exists():
            out.mkdir()
            frozen = self._frozen
            release = Release(version=version, machine=frozen.machine, epoch=EPOCH, glibc=frozen.glibc, small=False)
            [package] = [one for one in PACKAGES if one.name == name]
            build.build_one(kind, package, self._of(version), out, release=release)
        [made] = out.iterdir()
        return made

    def debs(self, version: str, *names: str) -> list[Path]:
        return [self.get("deb", f"kubiya-worker{name}", version) for name in names]


def _renumber(tree: Path, old: str, new: str) -> None:
    """Make a frozen tree one of another version: the number is in programs, in a module, and a folder's name."""
    assert len(old) == len(new)
    if (tree / old).is_dir():
        (tree / old).rename(tree / new)
    programs = [tree / name for name in layout.PROGRAMS if (tree / name).is_file()]
    changed = [(one, f"pyi-contents-directory {old}".encode()) for one in programs]
    changed += [(one, old.encode()) for one in (tree / new / "worker_core").glob("__init__.*")]
    for file, text in changed:
        content = file.read_bytes()
        assert text in content, f"{file} does not say its version"
        file.write_bytes(content.replace(text, text.replace(old.encode(), new.encode())))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packages]:
    frozen = layout.frozen()
    with build.frozen_parts(frozen) as parts:
        yield Packages(parts, tmp_path_factory.mktemp("packages"), frozen)


@pytest.fixture(params=RELEASES)
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    # Not in /tmp, which the root has as well: an overlay cannot lie in itself.
    work = Path(PLACE, f"work-{os.getpid()}-{request.param}")
    shutil.rmtree(work, ignore_errors=True)
    made = Root(request.param, work)
    yield made
    made.close()
    shutil.rmtree(work, ignore_errors=True)


class Backend:
    """A playground's backend, and a worker of its queue, of a user without rights."""

    def __init__(self, root: Root, program: str) -> None:
        self.root, self.program = root, program
        self.server = root.start(program, "playground", "serve", "--json", user=True)
        told = json.loads(line_with(self.server.stdout, "{"))
        self.queue = told["queue_id"]
        self.environment = {"KUBIYA_API_KEY": told["api_key"], "CONTROL_PLANE_URL": told["control_plane_url"]}

    def worker(self) -> subprocess.Popen[str]:
        started = self.root.start(self.program, "start", "--queue-id", self.queue, user=True, **self.environment)
        self.said = line_with(started.stdout, "ready ")
        return started

    def daemon(self) -> None:
        """A worker that is kept running; returns once it is ready."""
        self.root.run(self.program, "start", "--daemon", "--queue-id", self.queue, user=True, **self.environment)

    def status(self) -> list[dict[str, Any]]:
        """What the workers say of themselves; nothing, while none runs."""
        told, _ = self.root.start(self.program, "status", "--json", user=True).communicate(timeout=LIMIT_SECONDS)
        workers: list[dict[str, Any]] = json.loads(told[told.index("{") : told.rindex("}") + 1])["workers"]
        return workers

    def submit(self, prompt: str) -> subprocess.Popen[str]:
        return self.root.start(self.program, "execute", "--queue-id", self.queue, prompt, user=True, **self.environment)

    def executed(self, prompt: str) -> str:
        running = self.submit(prompt)
        said, _ = running.communicate(timeout=LIMIT_SECONDS)
        assert running.returncode == 0, said
        return said

    def workspaces(self) -> list[str]:
        state = "/home/ada/.local/state/kubiya-worker/workspaces"
        return self.root.run("sh", "-c", f"ls -d {state}/*/ 2>/dev/null || true").split()


FILE_TOOLS = """!tool write_file {"path": "given.txt", "content": "written by a tool\\n"}
!tool read_file {"path": "given.txt"}
!tool shell {"command": "cat given.txt"}"""

WAITS = """!tool shell {"command": "echo begun > begun; until [ -e go ]; do sleep 0.2; done", "timeout_seconds": 600}
!tool write_file {"path": "after.txt", "content": "after the upgrade\\n"}
!tool python {"code": "print(open('after.txt').read())"}
!tool shell {"command": "cat after.txt"}"""


def first_run(root: Root, program: str) -> None:
    """Demo, file tools, and the sandbox that the package brings."""
    assert root.run("sh", "-c", "command -v bwrap || true") == "", "this root has a bubblewrap of its own"
    checked = root.run(program, "--self-test", user=True)
    assert re.search(r"Tools run in bubblewrap \S+ \(/\S+/kubiya-worker/\S+/bwrap\)", checked), checked
    said = root.run(program, "playground", "--demo", user=True)
    assert "Hello from the Kubiya playground" in said
    backend = Backend(root, program)
    worker = backend.worker()
    assert "written by a tool" in backend.executed(FILE_TOOLS)
    [workspace] = backend.workspaces()
    assert root.run("cat", f"{workspace}given.txt") == "written by a tool\n"
    end(worker)
    end(backend.server)


def _in_use(root: Root, folder: str) -> bool:
    return root.run("sh", "-c", f"grep -lsF ' {folder}/' /proc/[0-9]*/maps || true") != ""


def test_the_worker_from_install_to_purge(root: Root, packages: Packages) -> None:
    before = root.files()
    root.install(*packages.debs(packages.version, "", "-playground"))
    assert root.run("kubiya-worker", "--version").split()[-1] == packages.version
    first_run(root, "kubiya-worker")
    kept = root.run("find", "/home/ada", "-printf", "%y %m %p\n")
    root.run("dpkg", "--remove", "kubiya-worker-playground", "kubiya-worker")
    assert root.files() - before == set()
    root.run("dpkg", "--purge", "kubiya-worker-playground", "kubiya-worker")
    assert root.files() == before
    assert root.run("find", "/home/ada", "-printf", "%y %m %p\n") == kept, "what the user has is the user's"


def test_an_upgrade_while_an_execution_runs(root: Root, packages: Packages) -> None:
    names = ("kubiya-worker", "kubiya-worker-playground")
    root.install(*packages.debs(packages.version, "", "-playground"))
    backend = Backend(root, "kubiya-worker")
    worker = backend.worker()
    running = backend.submit(WAITS)
    until(lambda: [one for one in backend.workspaces() if root.run("ls", one).find("begun") >= 0], "a tool that waits")
    root.install(*packages.debs(packages.next, "", "-playground"))
    folders = root.run("ls", "/usr/lib/kubiya-worker").split()
    assert {packages.version, packages.next} <= set(folders)
    [workspace] = backend.workspaces()
    root.run("touch", f"{workspace}go")
    said, _ = running.communicate(timeout=LIMIT_SECONDS)
    assert (running.returncode, said.count("after the upgrade") > 0) == (0, True), said
    assert root.run("cat", f"{workspace}after.txt") == "after the upgrade\n"
    root.run("/usr/lib/kubiya-worker/versions", "sweep", code=3)
    end(worker)
    end(backend.server)
    until(lambda: not _in_use(root, f"/usr/lib/kubiya-worker/{packages.version}"), "the old version's end")
    root.run("/usr/lib/kubiya-worker/versions", "sweep")
    assert packages.version not in root.run("ls", "/usr/lib/kubiya-worker").split()
    assert root.run("kubiya-worker", "--version").split()[-1] == packages.next
    backend = Backend(root, "kubiya-worker")
    worker = backend.worker()
    assert "written by a tool" in backend.executed(FILE_TOOLS)
    # A removal ends what runs, and leaves nothing of it.
    root.run("dpkg", "--purge", *reversed(names), STOP_SECONDS="20")
    assert root.run("sh", "-c", "ls -d /usr/lib/kubiya-worker /usr/bin/kubiya* 2>/dev/null || true") == ""
    assert not _in_use(root, f"/usr/lib/kubiya-worker/{packages.next}")
    for left in (worker, backend.server):
        left.communicate(timeout=LIMIT_SECONDS)


def test_a_daemon_drains_what_was_upgraded_and_goes_on_as_the_new_version(root: Root, packages: Packages) -> None:
    root.install(*packages.debs(packages.version, "", "-playground"))
    backend = Backend(root, "kubiya-worker")
    backend.daemon()
    [old] = backend.status()
    running = backend.submit(WAITS)
    until(lambda: [one for one in backend.workspaces() if root.run("ls", one).find("begun") >= 0], "a tool that waits")
    root.install(*packages.debs(packages.next, "", "-playground"))
    until(lambda: [one for one in backend.status() if one["state"] == "draining"], "a worker that makes room")
    [workspace] = backend.workspaces()
    root.run("touch", f"{workspace}go")
    said, _ = running.communicate(timeout=LIMIT_SECONDS)
    assert (running.returncode, said.count("after the upgrade") > 0) == (0, True), said
    assert root.run("cat", f"{workspace}after.txt") == "after the upgrade\n"
    [new] = until(lambda: [one for one in backend.status() if one["state"] == "running"], "the new version")
    assert (old["version"], new["version"]) == (packages.version, packages.next)
    assert old["pid"] != new["pid"]
    assert new["daemon"]["pid"] == old["daemon"]["pid"]
    assert f"Another version is installed: the worker (pid {old['pid']})" in new["daemon"]["last_crash"]
    assert "written by a tool" in backend.executed(FILE_TOOLS)
    root.run("kubiya-worker", "stop", "--wait", user=True)
    end(backend.server)
    until(lambda: not _in_use(root, f"/usr/lib/kubiya-worker/{packages.version}"), "the old version's end")
    root.run("/usr/lib/kubiya-worker/versions", "sweep")
    assert packages.version not in root.run("ls", "/usr/lib/kubiya-worker").split()


def test_an_rpm_comes_and_goes(root: Root, packages: Packages) -> None:
    root.run("sh", "-c", "apt-get update -qq && apt-get install -qq -y --no-install-recommends rpm")
    root.run("rpm", "--initdb")
    before = root.files()
    names = ("kubiya-worker", "kubiya-worker-playground")
    for version in (packages.version, packages.next):
        for name in names:
            shutil.copy(packages.get("rpm", name, version), "/tmp")  # which both sides have
        # Debian's database of rpm knows no package that provides a libc.
        files = [f"/tmp/{packages.get('rpm', name, version).name}" for name in names]
        root.run("rpm", "--upgrade", "--nodeps", *files)
        assert root.run("kubiya-worker", "--version").split()[-1] == version
    for name in names:
        for line in root.run("rpm", "--query", "--requires", name).splitlines():
            if library := re.match(r"(lib\S+\.so\.\d+)\(", line):
                root.run("sh", "-c", f"ldconfig -p | grep -q '{library[1]}'")
    first_run(root, "kubiya-worker")
    root.run("rpm", "--erase", *reversed(names))
    assert root.files() == before


def test_an_archive_of_a_user_comes_and_goes(root: Root, packages: Packages) -> None:
    root.run("sh", "-c", "apt-get update -qq && apt-get install -qq -y --no-install-recommends xz-utils")
    before, home = root.files(), root.run("find", "/home/ada")
    for version in (packages.version, packages.next):
        name = f"kubiya-worker-{version}"
        # Where pytest keeps its files, nobody else may look.
        root.run("install", "-m", "644", packages.get("tar", "kubiya-worker", version), "/home/ada/archive")
        unpack = f"cd /home/ada && tar xf archive && {name}/install.sh && rm -rf {name} archive"
        root.run("sh", "-c", unpack, user=True)
    program = "/home/ada/.local/bin/kubiya-worker"
    assert root.run(program, "--version", user=True).split()[-1] == packages.next
    assert root.run("ls", "/home/ada/.local/lib/kubiya-worker").split() == sorted(
        [packages.next, "install.sh", "installed-files", "kubiya-python", "kubiya-worker", "version", "versions"]
    )
    root.run(program, "--self-test", user=True)
    said = root.run("/home/ada/.local/lib/kubiya-worker/install.sh", "--uninstall", "--purge", user=True)
    assert "is removed" in said
    assert root.files() == before
    # Folders of the home itself, which others use as well, may stay.
    left = set(root.run("find", "/home/ada").split()) - set(home.split())
    assert not [one for one in left if "kubiya" in one], left


def test_the_tray_on_a_display(root: Root, packages: Packages, tmp_path: Path) -> None:
    from tests.desktop.session import Session
    from tests.desktop.test_program import test_from_start_to_an_executed_task_to_quit
    from tests.support.tray_host import desktop_environment, private_bus, private_display

    names = ("kubiya-worker", "kubiya-worker-desktop", "kubiya-worker-playground")
    packed = list(map(str, packages.debs(packages.version, "", "-desktop", "-playground")))
    root.run("sh", "-c", "apt-get update -qq")
    root.run("apt-get", "install", "-qq", "-y", "--no-install-recommends", *packed)
    assert root.run("sh", "-c", "command -v bwrap || true") == ""
    with private_display() as display, private_bus() as bus:
        environment = {**desktop_environment(tmp_path, display=display, bus=bus), "PATH": ENVIRONMENT["PATH"]}
        command = ("nsenter", *root.enter[1:], "env", "-i", *(f"{name}={value}" for name, value in environment.items()))
        session = Session(bus, tmp_path, dict(os.environ), command=(*map(str, command), "kubiya-worker-desktop"))
        test_from_start_to_an_executed_task_to_quit(session)
    said = root.run("kubiya-worker-desktop", "--self-test", QT_QPA_PLATFORM="offscreen")
    assert "ailed" not in said
    root.run("dpkg", "--purge", *reversed(names))
    named = root.run("find", "/", "-xdev", "-iname", "*kubiya*").splitlines()
    assert not [one for one in named if not one.startswith(("/tmp/", "/root/", "/var/l"))]


@pytest.mark.parametrize("judge", ["lintian", "rpmlint", "desktop-file-validate", "appstreamcli", "piuparts"])
def test_who_judges_packages_has_nothing_to_say(judge: str, packages: Packages, tmp_path: Path) -> None:
    debs = packages.debs(packages.version, "", "-desktop", "-playground")
    rpms = [packages.get("rpm", f"kubiya-worker{name}", packages.version) for name in ("", "-desktop", "-playground")]
    subprocess.run(["dpkg-deb", "--extract", debs[1], tmp_path / "tray"], check=True)
    share, bare = tmp_path / "tray" / "usr" / "share", Path(PLACE, RELEASES[0])
    once = ("--no-upgrade-test", "--skip-logrotatefiles-test", "--keep-sources-list")
    words: dict[str, list[str | Path]] = {
        "lintian": ["--allow-root", "--fail-on", "error", "--tag-display-limit", "0", *QUICKLY_MADE, *debs],
        "rpmlint": ["--config", build.FILES / "rpmlint.toml", *rpms],
        "desktop-file-validate": [*share.glob("applications/*.desktop")],
        "appstreamcli": ["validate", "--no-net", *share.glob("metainfo/*.xml")],
        "piuparts": ["--existing-chroot", bare, "--distribution", RELEASES[0], *once, *debs],
    }
    done = subprocess.run([judge, *words[judge]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
