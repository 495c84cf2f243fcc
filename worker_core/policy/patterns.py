"""Patterns of the policy file: `*` and friends for commands, hosts, tools and paths."""

from __future__ import annotations

import functools
import os
import re
import sys
from typing import Final

INSIDE: Final = "<workspace>"
OUTSIDE: Final = "<outside>"
_FOLDED: Final = re.IGNORECASE if sys.platform in {"darwin", "win32"} else 0
"""Their file systems take `.SSH` for `.ssh`."""

_GLOB = re.compile(r"[*?\[]")


def literal(text: str) -> str:
    """A pattern that fits `text` alone."""
    return _GLOB.sub(lambda found: f"[{found[0]}]", text)


@functools.lru_cache(maxsize=4096)
def text_pattern(pattern: str) -> re.Pattern[str]:
    """For commands, tools and hosts: `*` is any text. A final ` *` is also nothing, so `git push *` fits `git push`."""
    if pattern.endswith(" *"):
        return re.compile(f"{_expression(pattern[:-2], any_one='.')}(?: .*)?", re.DOTALL)
    return re.compile(_expression(pattern, any_one="."), re.DOTALL)


def path_fits(pattern: str, path: str, *, workspace: str, inside: bool) -> bool:
    """Whether an absolute path (with `/`) fits. `*` stays within a folder, `**` does not; `x/**` fits `x` as well."""
    if pattern == INSIDE:
        return inside
    if pattern == OUTSIDE:
        return not inside
    return any(one.fullmatch(path) for one in _path_patterns(pattern, workspace))


@functools.lru_cache(maxsize=4096)
def _path_patterns(pattern: str, workspace: str) -> tuple[re.Pattern[str], ...]:
    wanted = slashed(os.path.expanduser(pattern))  # noqa: PTH111 (where `~name` names nobody, it stands for itself)
    if not (wanted.startswith(("/", "**")) or re.match(r"[A-Za-z]:/", wanted)):
        wanted = f"{literal(workspace)}/{wanted}"
    forms = {wanted}
    fixed = _GLOB.split(wanted, maxsplit=1)[0].rpartition("/")[0] if _GLOB.search(wanted) else wanted
    if fixed:
        # macOS: /tmp is a link; a pattern that names it means what it leads to.
        forms.add(slashed(os.path.realpath(fixed)) + wanted[len(fixed) :])
    return tuple(re.compile(_path_expression(one), re.DOTALL | _FOLDED) for form in forms for one in _by_folders(form))


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
    return path.replace("\\", "/") if os.name == "nt" else path


def _expression(pattern: str, *, any_one: str) -> str:
    """Of a pattern with `*` alone. Each `*` but the last ends at the first place where what follows it fits, for good:
    trying all others would cost a power of the text's length, and find nothing more.
    """
    first, *others = _tokens(pattern, any_one=any_one)
    if not others:
        return first
    said = [first, *(f"(?>{any_one}*?{one})" for one in others[:-1] if one), f"{any_one}*{others[-1]}"]
    return "".join(said)


def _tokens(pattern: str, *, any_one: str) -> list[str]:
    """Expressions of what stands between the stars."""
    parts = [""]
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            parts.append("")
        elif character == "?":
            parts[-1] += any_one
        elif character == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end]
            negated = "^" if inner[:1] in {"!", "^"} and len(inner) > 1 else ""
            inner = inner[1:] if negated else inner
            inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
            if re.search(r"(.)-(.)", inner) and any(a > b for a, b in re.findall(r"(.)-(.)", inner)):
                inner = inner.replace("-", r"\-")
            parts[-1] += f"[{negated}{inner}{'/' if negated and any_one != '.' else ''}]"
            at = end
        else:
            parts[-1] += re.escape(character)
        at += 1
    return parts
