"""The file tools' own program: started for one operation, JSON in, JSON out. Standard library only, and little of it.

It runs in a process of its own so that a hostile pattern or a huge file stops nothing but itself, and so that the
operating-system sandbox can be put around it. Paths are resolved here, after links, and must stay in the workspace;
what was resolved is then opened from the workspace down without following any link, so that none can be slipped in.
"""

import contextlib
import io
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

LONGEST_NAME = 255
UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
"""By the mark that such a file begins with. PowerShell 5.1 writes them (Microsoft's documentation of
`about_Character_Encoding`)."""

SKIPPED = {".git", "node_modules", "__pycache__", ".venv"}


class Refused(Exception):
    """The sentence is for the model."""


Asked = dict[str, "Any"]
Answer = dict[str, object]


def inside(root: str, asked: Asked, path: str, *, writes: bool = False) -> "tuple[str, str]":
    """Of a path, seen from a folder: which of the folders that may be used it is in, and where it leads."""
    if "\0" in path:
        raise Refused("The path holds a NUL character.")
    if os.name == "nt" and not is_name_of_windows(path):
        raise Refused(f"The path {path[:200]!r} holds a name that Windows keeps for itself; use another one.")
    real = os.path.realpath(joined(root, path))
    found = [one for one in asked["roots"] if real == one[0] or real.startswith(one[0] + os.sep)]
    if not found:
        others = (
            " and of the folders that were granted; use one inside them"
            if asked["roots"][1:]
            else "; use one inside it"
        )
        raise Refused(f"The path {path[:200]!r} leads out of the workspace{others}.")
    holder, writable = max(found, key=lambda one: len(one[0]))
    if writes and not writable:
        raise Refused(f"{path[:200]!r} is in a folder that may only be read; nothing was changed.")
    return holder, real


def shown(root: str, path: str) -> str:
    """As it can be asked for."""
    below = path == root or path.startswith(root + os.sep)
    return (os.path.relpath(path, root) if below else path).replace(os.sep, "/")


def is_name_of_windows(path: str) -> bool:
    """As `worker_core.basics.windows_names` has it, which explains it."""
    rest = path[2:] if path[1:2] == ":" else path
    for part in rest.replace("\\", "/").split("/"):
        stem = part.partition(".")[0].rstrip(" ").lower()
        is_port = len(stem) == 4 and stem[:3] in {"com", "lpt"} and stem[3] in "0123456789\u00b9\u00b2\u00b3"
        is_shortened = part not in {".", ".."} and part != part.rstrip(". ")
        if stem in {"con", "prn", "aux", "nul", "conin$", "conout$"} or is_port or is_shortened or ":" in part:
            return False
    return True


def at_any_length(path: str, *, windows: bool = os.name == "nt") -> str:
    """As `worker_core.basics.windows_names` has it, which explains it."""
    if not windows or path.startswith("\\\\?\\"):
        return path
    import ntpath

    if not ntpath.splitdrive(path)[0]:
        return path
    path = ntpath.normpath(path)
    return f"\\\\?\\UNC\\{path[2:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def joined(root: str, path: str) -> str:
    """A path below a root that `at_any_length` made: nothing in it is taken literally but by us."""
    plain = root.removeprefix("\\\\?\\")
    plain = f"\\\\{plain[4:]}" if plain.startswith("UNC\\") else plain
    return at_any_length(os.path.join(plain, path))


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


class Utf16(io.BytesIO):
    """A file in UTF-16, read as UTF-8."""

    def __init__(self, text: str, coding: str) -> None:
        super().__init__(text.encode())
        self.coding = coding

    def restored(self, data: bytes) -> bytes:
        """Text in UTF-8 as it stands in such a file."""
        return ("\ufeff" + data.decode()).encode(self.coding)


def open_text(root: str, real: str, path: str) -> "IO[bytes]":
    """A regular file that looks like text."""
    if real == root:
        raise Refused(f"{path!r} is a folder.")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with opened_folder(root, os.path.dirname(real)) as folder:
        try:
            descriptor = os.open(name_in(folder, real), flags, dir_fd=folder)
        except PermissionError:
            if os.path.isdir(real):  # Windows opens none
                raise Refused(f"{path!r} is a folder.") from None
            raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Refused(f"{path!r} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a regular file'}.")
    file = os.fdopen(descriptor, "rb")
    head = file.read(8000)
    if (coding := UTF_16.get(head[:2])) is not None and status.st_size <= 2 * MAX_READ:
        with contextlib.suppress(UnicodeDecodeError):
            text = (head + file.read())[2:].decode(coding)
            if "\0" not in text:
                file.close()
                return Utf16(text, coding)
    if b"\0" in head:
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
    with open_text(*inside(root, asked, asked["path"]), asked["path"]) as file:
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
    holder, real = inside(root, asked, path, writes=True)
    if os.path.basename(path) in ("", ".", ".."):
        raise Refused(f"{path!r} names a folder; give the file a name.")
    replace_file(holder, real, path, data)
    return {"output": f"Wrote {len(data)} bytes to {path}."}


def edit_file(root: str, asked: Asked) -> Answer:
    """Works on bytes: what is not replaced stays as it is, in any encoding."""
    path, old, new = asked["path"], asked["old_text"].encode(), asked["new_text"].encode()
    holder, real = inside(root, asked, path, writes=True)
    with open_text(holder, real, path) as file:
        data = file.read(MAX_READ + 1)
        restored = file.restored if isinstance(file, Utf16) else bytes
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
    replace_file(holder, real, path, restored(data.replace(old, new)))
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
    _, start = inside(root, asked, asked.get("path") or ".")
    if not os.path.isdir(start):
        os.stat(start)
        raise Refused(f"{asked['path']!r} is not a folder.")
    lines = list[str]()
    for entry in walk(start, recursive=bool(asked.get("recursive"))):
        name = shown(root, entry.path)
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
    holder, start = inside(root, asked, asked.get("path") or ".")
    if only := not stat.S_ISDIR(os.stat(start).st_mode):
        names = iter([start])
    else:
        names = (entry.path for entry in walk(start) if entry.is_file(follow_symlinks=False))
    matches, budget, deadline = list[object](), MAX_READ, time.monotonic() + asked["seconds"]
    for real in names:
        name = shown(root, real)
        if not only and not fits(asked.get("glob"), name):
            continue
        try:
            file = open_text(holder, real, name)
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
    roots = [(os.path.realpath(at_any_length(path)), writable) for path, writable in request["roots"]]
    asked = {**request["arguments"], "seconds": request["seconds"], "roots": roots}
    try:
        root = os.path.realpath(at_any_length(request["root"]))
        return {"ok": True, **OPERATIONS[request["operation"]](root, asked)}
    except Refused as refused:
        return {"ok": False, "error": str(refused)}
    except FileNotFoundError:
        if max(map(len, asked["path"].replace("\\", "/").split("/"))) > LONGEST_NAME:  # what Windows says of those
            return {"ok": False, "error": f"{asked['path'][:200]!r} cannot be used: a name in it is too long."}
        where = "here" if roots[1:] else "in the workspace"
        return {"ok": False, "error": f"There is no {asked['path'][:200]!r} {where}."}
    except OSError as error:
        return {"ok": False, "error": f"{asked['path'][:200]!r} cannot be used: {error.strerror or error}."}


if __name__ == "__main__":
    # A file name that is no UTF-8 is shown with question marks.
    said = json.dumps(answer(json.load(sys.stdin.buffer)), ensure_ascii=False)
    sys.stdout.buffer.write(said.encode("utf-8", "replace"))
