"""Patterns of the policy file: `*` and friends for commands, hosts, tools and paths."""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import re
import sys
from typing import Final

INSIDE: Final = "<workspace>"
OUTSIDE: Final = "<outside>"
PRIVATE: Final = "<private>"
PLACES: Final = frozenset({INSIDE, OUTSIDE, PRIVATE})
FOLDED: Final = sys.platform in {"darwin", "win32"}
"""Their file systems take `.SSH` for `.ssh`."""

WINDOWS: Final = sys.platform == "win32"
"""Names of programs end in `.exe` and its like there, and their options begin with `/`."""

_GLOB = re.compile(r"[*?\[]")


def literal(text: str) -> str:
    """A pattern that fits `text` alone."""
    return _GLOB.sub(lambda found: f"[{found[0]}]", text)


@functools.lru_cache(maxsize=4096)
def text_pattern(pattern: str, *, folded: bool = False) -> re.Pattern[str]:
    """For commands, tools and hosts: `*` is any text. A final ` *` is also nothing, so `git push *` fits `git push`.

    `folded`: small and capital letters are the same.
    """
    flags = re.DOTALL | (re.IGNORECASE if folded else 0)
    if pattern.endswith(" *"):
        return re.compile(f"{_expression(pattern[:-2], any_one='.')}(?: .*)?", flags)
    return re.compile(_expression(pattern, any_one="."), flags)


@functools.lru_cache(maxsize=4096)
def absolute(pattern: str, workspace: str) -> tuple[str, ...]:
    """A pattern of a path in the forms that are compared: from the root, every `**` a part of its own."""
    wanted = slashed(os.path.expanduser(pattern))  # noqa: PTH111 (where `~name` names nobody, it stands for itself)
    if not (wanted.startswith(("/", "**")) or re.match(r"[A-Za-z]:/", wanted)):
        wanted = f"{literal(workspace)}/{wanted}"
    forms = {wanted: None}
    fixed = _GLOB.split(wanted, maxsplit=1)[0].rpartition("/")[0] if _GLOB.search(wanted) else wanted
    if fixed:
        # macOS: /tmp is a link; a pattern that names it means what it leads to.
        with contextlib.suppress(OSError, ValueError):  # Windows: a device, which leads nowhere else
            forms[slashed(os.path.realpath(fixed)) + wanted[len(fixed) :]] = None
    return tuple(one for form in forms for one in _by_folders(form))


def fixed_part(pattern: str) -> str:
    """The longest text that stands in every path that fits; "" where there is none."""
    runs = "".join(one if isinstance(one, str) else "/" for one in elements(pattern)).split("/")
    found = max(runs, key=len)
    return found.lower() if FOLDED else found


def path_fits(pattern: str, path: str, *, workspace: str, inside: bool, private: bool = False) -> bool:
    """Whether an absolute path (with `/`) fits. `*` stays within a folder, `**` does not; `x/**` fits `x` as well."""
    if pattern in PLACES:
        return pattern == (INSIDE if inside else PRIVATE if private else OUTSIDE)
    return any(one.fullmatch(path) for one in _path_patterns(pattern, workspace))


@functools.lru_cache(maxsize=4096)
def _path_patterns(pattern: str, workspace: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(_path_expression(one), re.DOTALL | (re.IGNORECASE if FOLDED else 0))
        for one in absolute(pattern, workspace)
    )


def _by_folders(wanted: str) -> tuple[str, ...]:
    """The same with every `**` as a part of its own: `a**b` is `a*b`, or something below `a*` that is `*b`."""
    parts = wanted.split("/")
    strange = next((at for at, part in enumerate(parts) if "**" in part and part != "**"), None)
    if strange is None:
        return (wanted,)
    before, after = parts[strange].split("**", 1)
    within = "/".join((*parts[:strange], f"{before}*{after}", *parts[strange + 1 :]))
    first = (f"{before}*",) if before or strange == 0 else ()
    below = "/".join((*parts[:strange], *first, "**", f"*{after}", *parts[strange + 1 :]))
    return (*_by_folders(within), *_by_folders(below))


def _path_expression(wanted: str) -> str:
    """Linear for any path: what stands between two `**` is looked for from folder to folder, and its first place
    taken, as with `*` in a name.
    """
    head, *parts = wanted.split("/")
    said = ["[^/]*" if head == "**" else _expression(head, any_one="[^/]")]
    deep = head == "**"
    block: list[str] = []
    for part in (*parts, None):
        if part is not None and part != "**":
            block.append(f"/{_expression(part, any_one='[^/]')}(?=/|\\Z)")
            continue
        if block:
            together = "".join(block)
            said.append(together if not deep else f"(?:/[^/]*)*?{together}")
            if deep and part is not None:
                said[-1] = f"(?>{said[-1]})"
            block = []
        deep = deep or part is not None
    if deep and parts[-1:] in (["**"], []):
        said.append("(?:/.*)?")
    return "".join(said)


def slashed(path: str) -> str:
    return path.replace("\\", "/") if WINDOWS else path


def _expression(pattern: str, *, any_one: str) -> str:
    """Of a pattern with `*` alone. Each `*` but the last ends at the first place where what follows it fits, for good:
    trying all others would cost a power of the text's length, and find nothing more.
    """
    first, *others = _tokens(pattern, any_one=any_one)
    if not others:
        return first
    said = [first, *(f"(?>{any_one}*?{one})" for one in others[:-1] if one), f"{any_one}*{others[-1]}"]
    return "".join(said)


class Star(enum.Enum):
    """What is no character of its own in a pattern."""

    ANY = "*"
    ONE = "?"


Element = str | Star | re.Pattern[str]


@functools.lru_cache(maxsize=4096)
def elements(pattern: str, *, within_folder: bool = False) -> tuple[Element, ...]:
    """A pattern taken apart: characters, `*`, `?`, and an expression for each `[...]`."""
    found: list[Element] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            if found[-1:] != [Star.ANY]:
                found.append(Star.ANY)
        elif character == "?":
            found.append(Star.ONE)
        elif character == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end]
            negated = "^" if inner[:1] in {"!", "^"} and len(inner) > 1 else ""
            inner = inner[1:] if negated else inner
            found.append(re.compile(f"[{negated}{_members(inner)}{'/' if negated and within_folder else ''}]"))
            at = end
        else:
            found.append(character)
        at += 1
    return tuple(found)


def _members(inner: str) -> str:
    """Of a set, for `re`: a range backwards is its three characters, and nothing else stands for more than itself."""
    said, at = "", 0
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-" and inner[at] <= inner[at + 2 : at + 3]:
            said += f"{re.escape(inner[at])}-{re.escape(inner[at + 2])}"
            at += 3
        else:
            said += re.escape(inner[at])
            at += 1
    return said


def _tokens(pattern: str, *, any_one: str) -> list[str]:
    """Expressions of what stands between the stars."""
    parts = [""]
    for element in elements(pattern, within_folder=any_one != "."):
        match element:
            case Star.ANY:
                parts.append("")
            case Star.ONE:
                parts[-1] += any_one
            case re.Pattern():
                parts[-1] += element.pattern
            case _:
                parts[-1] += re.escape(str(element))
    return parts
