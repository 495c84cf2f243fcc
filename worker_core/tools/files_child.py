"""The file tools' own program: started for one operation, JSON in, JSON out. Standard library only, and little of it.

It runs in a process of its own so that a hostile pattern or a huge file stops nothing but itself, and so that the
operating-system sandbox can be put around it. Paths are resolved here, after links, and must stay in the workspace.
"""

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_READ = 2_000_000
MAX_ENTRIES = 2000
MAX_MATCHES = 500
MAX_LINE = 500
SKIPPED = {".git", "node_modules", "__pycache__", ".venv"}


class Refused(Exception):
    """The sentence is for the model."""


Asked = dict[str, "Any"]


def inside(root: str, path: str, *, for_writing: bool = False) -> str:
    if "\0" in path:
        raise Refused("The path holds a NUL character.")
    joined = os.path.join(root, path)
    # What is replaced on writing is the name itself; a link there is not followed.
    real = os.path.join(os.path.realpath(os.path.dirname(joined)), os.path.basename(joined)) if for_writing else ""
    real = real or os.path.realpath(joined)
    if real != root and not real.startswith(root + os.sep):
        raise Refused(f"The path {path!r} leads out of the workspace; use one inside it.")
    return real


def read_text(real: str, path: str) -> tuple[str, bool]:
    try:
        descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    except IsADirectoryError:
        raise Refused(f"{path!r} is a folder.") from None
    with os.fdopen(descriptor, "rb") as file:
        import stat

        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(kind):
            raise Refused(f"{path!r} is a folder.")
        if not stat.S_ISREG(kind):
            raise Refused(f"{path!r} is not a regular file.")
        data = file.read(MAX_READ + 1)
    if b"\0" in data[:8000]:
        raise Refused(f"{path!r} is a binary file ({os.path.getsize(real)} bytes); it is not shown.")
    return data[:MAX_READ].decode("utf-8", "replace"), len(data) > MAX_READ


def write_text(real: str, text: str) -> None:
    os.makedirs(os.path.dirname(real), exist_ok=True)
    if os.path.isdir(real) and not os.path.islink(real):
        raise Refused("There is a folder of that name.")
    draft = f"{real}.{os.getpid()}.draft"
    mode = 0o644
    if os.path.isfile(real) and not os.path.islink(real):
        mode = os.stat(real).st_mode & 0o777
    try:
        with open(draft, "x", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(draft, mode)
        os.replace(draft, real)
    except OSError:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def read_file(root: str, asked: Asked) -> str:
    text, cut = read_text(inside(root, asked["path"]), asked["path"])
    offset, limit = asked.get("offset") or 1, asked.get("limit")
    if offset > 1 or limit:
        lines = text.splitlines(keepends=True)
        chosen = lines[offset - 1 : None if not limit else offset - 1 + limit]
        if not chosen:
            raise Refused(f"The file has {len(lines)} lines; there is none from line {offset} on.")
        text = "".join(chosen)
    return text + (f"\n[... cut at {MAX_READ} bytes ...]" if cut else "")


def write_file(root: str, asked: Asked) -> str:
    write_text(inside(root, asked["path"], for_writing=True), asked["content"])
    return f"Wrote {len(asked['content'].encode())} bytes to {asked['path']}."


def edit_file(root: str, asked: Asked) -> str:
    real = inside(root, asked["path"])
    text, cut = read_text(real, asked["path"])
    if cut:
        raise Refused(f"The file is larger than {MAX_READ} bytes; edit it with a command.")
    with open(real, encoding="utf-8", errors="strict", newline="") as file:
        text = file.read()
    old, new = asked["old_text"], asked["new_text"]
    found = text.count(old) if old else 0
    if found == 0:
        raise Refused("The text to replace is not in the file. Read the file and give the text exactly as it stands.")
    if found > 1 and not asked.get("replace_all"):
        raise Refused(
            f"The text to replace is there {found} times. Give more of what is around it, or set replace_all."
        )
    write_text(real, text.replace(old, new))
    return f"Replaced {found} {'place' if found == 1 else 'places'} in {asked['path']}."


def walk(start: str):  # type: ignore[no-untyped-def]  # an iterator; typing is not imported here
    """Files and folders below `start`, links not followed, in order."""
    stack = [start]
    while stack:
        folder = stack.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        below = []
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED:
                below.append(entry.path)
        stack.extend(reversed(below))


def list_files(root: str, asked: Asked) -> str:
    import fnmatch

    start = inside(root, asked.get("path") or ".")
    if not os.path.isdir(start):
        raise Refused(f"{asked.get('path')!r} is not a folder.")
    entries = walk(start) if asked.get("recursive") else sorted(os.scandir(start), key=lambda e: e.name)
    pattern, lines = asked.get("pattern"), list[str]()
    for entry in entries:
        name = os.path.relpath(entry.path, root).replace(os.sep, "/")
        if pattern and not (fnmatch.fnmatch(entry.name, pattern) or fnmatch.fnmatch(name, pattern)):
            continue
        if len(lines) == MAX_ENTRIES:
            lines.append(f"[... more than {MAX_ENTRIES} entries; ask for a folder or a pattern ...]")
            break
        if entry.is_symlink():
            lines.append(f"{name} -> {os.readlink(entry.path)}")
        elif entry.is_dir(follow_symlinks=False):
            lines.append(f"{name}/")
        else:
            lines.append(f"{name} ({entry.stat(follow_symlinks=False).st_size} bytes)")
    return "\n".join(lines) or "(nothing)"


def search_files(root: str, asked: Asked) -> str:
    import fnmatch
    import re

    try:
        expression = re.compile(asked["pattern"])
    except re.error as error:
        raise Refused(f"The pattern is not a valid regular expression: {error}.") from None
    start = inside(root, asked.get("path") or ".")
    names = (
        [start]
        if os.path.isfile(start)
        else [entry.path for entry in walk(start) if entry.is_file(follow_symlinks=False)]
    )
    glob, lines = asked.get("glob"), list[str]()
    for real in names:
        name = os.path.relpath(real, root).replace(os.sep, "/")
        if glob and not (fnmatch.fnmatch(os.path.basename(real), glob) or fnmatch.fnmatch(name, glob)):
            continue
        try:
            text, _ = read_text(real, name)
        except (Refused, OSError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if expression.search(line):
                lines.append(f"{name}:{number}: {line[:MAX_LINE]}")
                if len(lines) == MAX_MATCHES:
                    return "\n".join([*lines, f"[... more than {MAX_MATCHES} matches; narrow the search ...]"])
    return "\n".join(lines) or "(no match)"


OPERATIONS = {
    operation.__name__: operation for operation in (read_file, write_file, edit_file, list_files, search_files)
}


def answer(request: Asked) -> dict[str, object]:
    root = os.path.realpath(request["root"])
    try:
        return {"ok": True, "output": OPERATIONS[request["operation"]](root, request["arguments"])}
    except Refused as refused:
        return {"ok": False, "error": str(refused)}
    except FileNotFoundError as error:
        return {"ok": False, "error": f"There is no {os.path.relpath(error.filename or '?', root)!r}."}
    except UnicodeDecodeError:
        return {"ok": False, "error": "The file is not UTF-8 text."}
    except OSError as error:
        return {"ok": False, "error": f"It cannot be done: {error.strerror or error}."}


if __name__ == "__main__":
    sys.stdout.buffer.write(json.dumps(answer(json.load(sys.stdin.buffer))).encode())
