"""Where the program of a server is, and what of this machine it consists of: that much its sandbox shows, and no more.

`npx` and `uvx` mostly lie in the home of whoever installed them, which tools cannot see. What is shown of it is found
here from the program itself: its folder where that is one for programs, what it links to, the installation that this
belongs to, and what its first line (`#!`) names. A shim of a version manager is asked for the program behind it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from worker_core.basics.console import window_flags
from worker_core.basics.home import home_folder
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError
from worker_core.sandbox.walls import real

MANAGER_SECONDS: Final = 20.0
_MOST_PROGRAMS: Final = 12
"""A script's interpreter may be a script, too."""

_FOR_PROGRAMS: Final = frozenset({"bin", "sbin", ".bin", "shims"})
_MARKS: Final = ("pyvenv.cfg", "conda-meta", "lib/node_modules/npm")
"""What a folder holds that is one installation: a virtual environment, conda's, Node's."""

_SHIM: Final = re.compile(rb"^\s*exec\s+\"?([^\s\"]*?(asdf|pyenv|nodenv))\"?\s+exec\b", re.MULTILINE)
_SHIM_PROGRAMS: Final = {"volta-shim": "volta", "mise": "mise"}
_OF_MANAGERS: Final = re.compile(r"(PATH|HOME|USER|LOGNAME|LANG|TMPDIR)$|(VOLTA|ASDF|MISE|PYENV|NODENV|XDG)_")
_HEAD_BYTES: Final = 4096
_SYSTEM: Final = ("/usr", "/opt", "/bin", "/sbin", "/lib", "/etc", "/nix/store", "/snap", "/dev", "/proc")
_HOMEBREW: Final = Path("/home/linuxbrew/.linuxbrew")
_NO_HOME: Final = Path("/nonexistent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of this machine."""

    path: Path
    """What is started."""

    readable: tuple[Path, ...]
    """Files, folders and links that it consists of."""

    first: tuple[Path, ...] = ()
    """Folders that it looks for programs in before those of PATH."""

    last: tuple[Path, ...] = ()
    """The same, after those of PATH."""

    def search_path(self, given: str) -> str:
        """The variable PATH for it."""
        return os.pathsep.join([*map(str, self.first), *filter(None, given.split(os.pathsep)), *map(str, self.last)])


def find(name: str, *, search_path: str, home: Path | None = None) -> Program | None:
    """The program that a configuration names; None: there is none.

    A worker that starts with the machine has none of the folders on its PATH that shells add, so those where programs
    such as `npx` and `uvx` are usually installed are looked through as well.

    Args:
        name: of the program, or its path.
        search_path: the variable PATH.
        home: of the user; None: this one's.

    Raises:
        KubiyaError: it is a shim of a version manager that knows no version of it.
    """
    home = home or home_folder() or _NO_HOME
    named = shutil.which(name, path=search_path)
    found = named or shutil.which(name, path=os.pathsep.join(map(str, _usual_places(home))))
    if found is None:
        return None
    path = Path(found).absolute()
    behind = _behind_shim(path, search_path=search_path, home=home)
    path = behind or path
    on_path = named is not None and behind is None and os.sep not in name
    first = () if on_path else (real(path.parent),)
    wider = os.pathsep.join([*map(str, first), search_path])
    pieces = list(_pieces(path, search_path=wider, home=home))
    last: list[Path] = []
    if path.name in {"uv", "uvx"} and (pythons := _uv_pythons(home)):
        pieces += pythons
        last += [python / "bin" for python in pythons]
    readable = tuple(dict.fromkeys(piece for piece in pieces if _may_be_shown(piece, home)))
    return Program(path=path, readable=readable, first=first, last=tuple(last))


def unseen(command: Sequence[str], *, seen: Iterable[Path]) -> tuple[Path, ...]:
    """Files and folders that a command names and its sandbox does not show.

    Args:
        command: program and arguments.
        seen: what is shown, besides the system's programs.
    """
    shown = [*map(real, seen), *map(Path, _SYSTEM)]
    named = [Path(word) for word in command[1:] if word.startswith("/") and len(word) < _HEAD_BYTES]
    with contextlib.suppress(OSError, ValueError):
        there = [path for path in named if path.exists()]
        return tuple(path for path in there if not any(real(path).is_relative_to(one) for one in shown))
    return ()


def _usual_places(home: Path) -> Iterator[Path]:
    yield from (home / ".local/bin", home / ".volta/bin", home / ".asdf/shims", home / ".local/share/mise/shims")
    yield from (home / ".local/share/fnm/aliases/default/bin", home / ".fnm/aliases/default/bin")
    yield from _nvm(home)
    yield from (home / ".bun/bin", home / ".deno/bin", home / ".cargo/bin", home / ".pyenv/shims")
    yield from (Path("/opt/homebrew/bin"), Path("/usr/local/bin"), Path("/snap/bin"), _HOMEBREW / "bin")


def _nvm(home: Path) -> Iterator[Path]:
    """The newest version that the alias `default` fits, else the newest."""
    try:
        versions = sorted((home / ".nvm/versions/node").iterdir(), key=lambda one: _number(one.name), reverse=True)
    except OSError:
        return
    default = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        default = (home / ".nvm/alias/default").read_text().strip().lstrip("v")
    fitting = [one for one in versions if default and f"{one.name[1:]}.".startswith(f"{default}.")]
    yield from (version / "bin" for version in (*fitting, *versions))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))


def _uv_pythons(home: Path) -> list[Path]:
    """Those that uv has installed, the newest first: it finds them on PATH, and fetches none."""
    with contextlib.suppress(OSError):
        found = [one for one in (home / ".local/share/uv/python").iterdir() if (one / "bin").is_dir()]
        return sorted(found, key=lambda one: _number(one.name), reverse=True)
    return []


# --- what it consists of ----------------------------------------------------------------------------------


def _pieces(program: Path, *, search_path: str, home: Path) -> Iterator[Path]:
    waiting, seen = [program], set[Path]()
    while waiting and len(seen) < _MOST_PROGRAMS:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        for hop in _links(path):
            yield hop.parent if hop.parent.name in _FOR_PROGRAMS else hop
            for root in _installation(hop, home):
                yield root
                if (root / "pyvenv.cfg").is_file():
                    waiting.append(root / "bin" / "python")
        if (interpreter := _interpreter(real(path), search_path)) is not None:
            waiting.append(interpreter)


def _links(path: Path) -> Iterator[Path]:
    """The path, with and without links in its folder, and each link on the way from there to the file."""
    yield path
    for _ in range(_MOST_PROGRAMS):
        path = real(path.parent) / path.name
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()
        path = Path(os.path.normpath(path)) if path.parent.exists() else path


def _installation(path: Path, home: Path) -> Iterator[Path]:
    """The folders that a file needs around it."""
    if path.is_relative_to(_HOMEBREW):
        yield _HOMEBREW
    parts = path.parts
    if "node_modules" in parts:
        yield Path(*parts[: parts.index("node_modules") + 1])
    prefix = path.parent.parent
    if path.parent.name not in _FOR_PROGRAMS or real(prefix) == real(home / ".local"):
        return
    if any((prefix / mark).exists() for mark in _MARKS) or (
        path.name.startswith("python") and any((prefix / "lib").glob("python3*"))
    ):
        yield prefix


def _interpreter(script: Path, search_path: str) -> Path | None:
    """What the first line of a script names."""
    try:
        with script.open("rb") as file:
            line = file.readline(_HEAD_BYTES)
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    found = shutil.which(words[0], path=search_path) if words else None
    return None if found is None else Path(found).absolute()


def _may_be_shown(path: Path, home: Path) -> bool:
    """No home folder, and nothing that one lies in, by whatever name."""
    return not any(
        one.is_relative_to(path) or real(one).is_relative_to(real(path)) for one in {home, home_folder() or home}
    )


# --- version managers -------------------------------------------------------------------------------------


def _behind_shim(path: Path, *, search_path: str, home: Path) -> Path | None:
    """The program that a version manager runs when this is called; None: it is no shim.

    The manager is asked in the home folder: what a workspace says of versions is an agent's word.
    """
    manager = _manager(path, search_path)
    if manager is None or path.name == manager.name:
        return None
    environment = {name: value for name, value in os.environ.items() if _OF_MANAGERS.match(name)}
    environment |= {"PATH": os.pathsep.join([str(manager.parent), search_path]), "HOME": str(home)}
    said = ""
    try:
        done = subprocess.run(
            [str(manager), "which", path.name],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MANAGER_SECONDS,
            check=False,
            creationflags=window_flags(),
        )
        lines = os.fsdecode(done.stdout).split("\n")
        answers = [Path(line.strip()) for line in lines if line.startswith("/")]
        if done.returncode == 0 and answers and os.access(answers[-1], os.X_OK):
            return answers[-1]
        said = " ".join(os.fsdecode(done.stderr).split())[:200]
    except (OSError, subprocess.SubprocessError) as error:
        said = str(error)[:200]
    raise KubiyaError(
        f"The program {path.name[:100]!r} is a shim of {manager.name}, which knows no version of it for this user"
        f"{f' ({said})' if said else ''}. Choose one for the home folder, or give the path of the program itself."
    )


def _manager(path: Path, search_path: str) -> Path | None:
    target = real(path)
    if (name := _SHIM_PROGRAMS.get(target.name)) is not None:
        beside = [one for one in (target.with_name(name), path.with_name(name)) if os.access(one, os.X_OK)]
        found = next(map(str, beside), None) or shutil.which(name, path=search_path)
        return None if found is None else Path(found)
    if path.parent.name != "shims":
        return None
    try:
        with target.open("rb") as file:
            shim = _SHIM.search(file.read(_HEAD_BYTES))
    except OSError:
        return None
    if shim is None:
        return None
    found = shutil.which(os.fsdecode(shim[1]), path=os.pathsep.join([search_path, str(path.parent.parent / "bin")]))
    return None if found is None else Path(found)
