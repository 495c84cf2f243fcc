"""The file tools' own program: started for one operation, JSON in, JSON out. Standard library only, and little of it.

It runs in a process of its own so that a hostile pattern or a huge file stops nothing but itself, and so that the
operating-system sandbox can be put around it. Paths are resolved here, after links, and must stay in the workspace;
what was resolved is then opened from the workspace down without following any link, so that none can be slipped in.
"""

import contextlib
import json
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

MAX_READ = 2_000_000
MAX_ENTRIES = 2000
MAX_MATCHES = 500
MAX_LINE = 500
MARGIN = 16384
"""Characters around the shown part of a long line: the parent needs them to mask a secret at its edge."""

SKIPPED = {".git", "node_modules", "__pycache__", ".venv"}


class Refused(Exception):
    """The sentence is for the model."""


Asked = dict[str, "Any"]
Answer = dict[str, object]


def inside(root: str, path: str) -> str:
    if "\0" in path:
        raise Refused("The path holds a NUL character.")
    real = os.path.realpath(os.path.join(root, path))
    if real != root and not real.startswith(root + os.sep):
        raise Refused(f"The path {path[:200]!r} leads out of the workspace; use one inside it.")
    return real


@contextlib.contextmanager
def opened_folder(root: str, real: str, *, make: bool = False) -> "Iterator[int | None]":
    """A descriptor of a folder, reached without following links. None on Windows, which has no such thing."""
    if sys.platform == "win32":
        if make:
            os.makedirs(real, exist_ok=True)
        yield None
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    folder = os.open(root, flags)
    try:
        for part in () if real == root else os.path.relpath(real, root).split(os.sep):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            below = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def name_in(folder: "int | None", real: str) -> str:
    return real if folder is None else os.path.basename(real)


def open_text(root: str, real: str, path: str) -> "IO[bytes]":
    """A regular file that looks like text."""
    if real == root:
        raise Refused(f"{path!r} is a folder.")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with opened_folder(root, os.path.dirname(real)) as folder:
        descriptor = os.open(name_in(folder, real), flags, dir_fd=folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Refused(f"{path!r} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a regular file'}.")
    file = os.fdopen(descriptor, "rb")
    if b"\0" in file.read(8000):
        file.close()
        raise Refused(f"{path!r} is a binary file ({status.st_size} bytes), not text.")
    file.seek(0)
    return file


def replace_file(root: str, real: str, path: str, data: bytes) -> None:
    """Whole or not at all; permissions are kept."""
    if real == root:
        raise Refused(f"{path!r} is a folder.")
    with opened_folder(root, os.path.dirname(real), make=True) as folder:
        name = name_in(folder, real)
        mode = None
        with contextlib.suppress(FileNotFoundError):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise Refused(f"{path!r} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}.")
        draft = os.path.join(os.path.dirname(name), f".{os.urandom(8).hex()}.draft")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(draft, flags, 0o666, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                os.chmod(draft, mode & 0o777, dir_fd=folder)
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(draft, dir_fd=folder)
            raise


def lines_of(file: "IO[bytes]") -> "Iterator[tuple[int, bytes]]":
    """Line number and line; a line that is longer than `MAX_READ` comes in pieces."""
    number = 1
    while line := file.readline(MAX_READ):
        yield number, line
        number += line.endswith(b"\n")


def read_file(root: str, asked: Asked) -> Answer:
    first = asked.get("offset") or 1
    past = first + asked["limit"] if asked.get("limit") else sys.maxsize
    chosen, size, number, more = list[bytes](), 0, 0, False
    with open_text(root, inside(root, asked["path"]), asked["path"]) as file:
        for number, line in lines_of(file):
            if number >= first:
                if number >= past or size + len(line) > MAX_READ:
                    more = True
                    break
                chosen.append(line)
                size += len(line)
    if not chosen and number:
        raise Refused(f"The file has {number} lines; there is none from line {first} on.")
    return {"output": b"".join(chosen).decode("utf-8", "replace") or "(the file is empty)", "more": more}


def write_file(root: str, asked: Asked) -> Answer:
    path, data = asked["path"], asked["content"].encode()
    real = inside(root, path)
    if os.path.basename(path) in ("", ".", ".."):
        raise Refused(f"{path!r} names a folder; give the file a name.")
    replace_file(root, real, path, data)
    return {"output": f"Wrote {len(data)} bytes to {path}."}


def edit_file(root: str, asked: Asked) -> Answer:
    """Works on bytes: what is not replaced stays as it is, in any encoding."""
    path, old, new = asked["path"], asked["old_text"].encode(), asked["new_text"].encode()
    real = inside(root, path)
    with open_text(root, real, path) as file:
        data = file.read(MAX_READ + 1)
    if len(data) > MAX_READ:
        raise Refused(f"The file is larger than {MAX_READ} bytes; edit it with a command.")
    if data.count(b"\r\n") == data.count(b"\n") > 0:  # a Windows file; models seldom give its line ends
        old, new = (text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for text in (old, new))
    if old == new:
        raise Refused("The new text is the same as the old one; nothing was changed.")
    found = data.count(old)
    if found == 0:
        raise Refused(
            "The text to replace is not in the file; nothing was changed. Read the file and give the text exactly as "
            "it stands, with its spaces."
        )
    if found > 1 and not asked.get("replace_all"):
        raise Refused(
            f"The text to replace is there {found} times; nothing was changed. Give more of what is around it, or set "
            "replace_all."
        )
    replace_file(root, real, path, data.replace(old, new))
    return {"output": f"Replaced {found} {'place' if found == 1 else 'places'} in {path}."}


def walk(start: str, *, recursive: bool = True) -> "Iterator[os.DirEntry[str]]":
    """Files and folders below `start`, links not followed, in order."""
    stack = [start]
    while stack:
        try:
            entries = sorted(os.scandir(stack.pop()), key=lambda entry: entry.name)
        except OSError:
            continue
        below = []
        for entry in entries:
            yield entry
            if recursive and entry.name not in SKIPPED and entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
        stack.extend(reversed(below))


def fits(pattern: "str | None", name: str) -> bool:
    import fnmatch

    return not pattern or fnmatch.fnmatch(os.path.basename(name), pattern) or fnmatch.fnmatch(name, pattern)


def list_files(root: str, asked: Asked) -> Answer:
    start = inside(root, asked.get("path") or ".")
    if not os.path.isdir(start):
        os.stat(start)
        raise Refused(f"{asked['path']!r} is not a folder.")
    lines = list[str]()
    for entry in walk(start, recursive=bool(asked.get("recursive"))):
        name = os.path.relpath(entry.path, root).replace(os.sep, "/")
        if not fits(asked.get("pattern"), name):
            continue
        if len(lines) == MAX_ENTRIES:
            lines.append(f"[... more than {MAX_ENTRIES} entries; ask for a folder or a pattern ...]")
            break
        with contextlib.suppress(OSError):  # it has gone meanwhile
            if entry.is_symlink():
                lines.append(f"{name} -> {os.readlink(entry.path)}")
            elif entry.is_dir(follow_symlinks=False):
                lines.append(f"{name}/")
            else:
                lines.append(f"{name} ({entry.stat(follow_symlinks=False).st_size} bytes)")
    return {"output": "\n".join(lines) or "(nothing)"}


def search_files(root: str, asked: Asked) -> Answer:
    import re

    try:
        expression = re.compile(asked["pattern"])
    except (re.error, OverflowError, RecursionError) as error:
        raise Refused(f"The pattern is not a valid regular expression: {error}.") from None
    start = inside(root, asked.get("path") or ".")
    if only := not stat.S_ISDIR(os.stat(start).st_mode):
        names = iter([start])
    else:
        names = (entry.path for entry in walk(start) if entry.is_file(follow_symlinks=False))
    matches, budget, deadline = list[object](), MAX_READ, time.monotonic() + asked["seconds"]
    for real in names:
        name = os.path.relpath(real, root).replace(os.sep, "/")
        if not only and not fits(asked.get("glob"), name):
            continue
        try:
            file = open_text(root, real, name)
        except (Refused, OSError):
            if only:
                raise
            continue
        with file:
            for number, data in lines_of(file):
                line = data.decode("utf-8", "replace").rstrip("\r\n")
                if found := expression.search(line):
                    begin, end = shown_part(line, found.start())
                    low, high = max(0, begin - MARGIN), end + MARGIN
                    needed = line[low:high]
                    matches.append([f"{name}:{number}: ", needed, begin - low, end - low, high < len(line)])
                    budget -= len(needed)
                if len(matches) == MAX_MATCHES or budget < 0:
                    return {"matches": matches, "output": "[... there are more matches; narrow the search ...]"}
                if time.monotonic() > deadline:
                    return {
                        "matches": matches,
                        "output": f"[... stopped at {name}, time is over; narrow the search ...]",
                    }
    return {"matches": matches, "output": "" if matches else "(no match)"}


def shown_part(line: str, at: int) -> "tuple[int, int]":
    if len(line) <= MAX_LINE:
        return 0, len(line)
    begin = max(0, min(at - MAX_LINE // 5, len(line) - MAX_LINE))
    return begin, begin + MAX_LINE


OPERATIONS = {
    operation.__name__: operation for operation in (read_file, write_file, edit_file, list_files, search_files)
}


def answer(request: Asked) -> Answer:
    asked = {**request["arguments"], "seconds": request["seconds"]}
    try:
        return {"ok": True, **OPERATIONS[request["operation"]](os.path.realpath(request["root"]), asked)}
    except Refused as refused:
        return {"ok": False, "error": str(refused)}
    except FileNotFoundError:
        return {"ok": False, "error": f"There is no {asked['path'][:200]!r} in the workspace."}
    except OSError as error:
        return {"ok": False, "error": f"{asked['path'][:200]!r} cannot be used: {error.strerror or error}."}


if __name__ == "__main__":
    # A file name that is no UTF-8 is shown with question marks.
    said = json.dumps(answer(json.load(sys.stdin.buffer)), ensure_ascii=False)
    sys.stdout.buffer.write(said.encode("utf-8", "replace"))
