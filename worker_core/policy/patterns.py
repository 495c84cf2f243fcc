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
        return re.compile(f"{_translated(pattern[:-2], any_text='.*')}(?: .*)?", re.DOTALL)
    return re.compile(_translated(pattern, any_text=".*"), re.DOTALL)


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
    return tuple(re.compile(_path_expression(form), re.DOTALL | _FOLDED) for form in forms)


def _path_expression(wanted: str) -> str:
    end = ""
    if wanted.endswith("/**"):
        wanted, end = wanted[:-3], "(?:/.*)?"
    expression = _translated(wanted, any_text="[^/]*", any_path=".*", one="[^/]")
    if wanted.startswith("**/"):
        expression = "(?:.*/)?" + expression[len(".*/") :]
    return expression + end


def slashed(path: str) -> str:
    return path.replace("\\", "/") if os.name == "nt" else path


def _translated(pattern: str, *, any_text: str, any_path: str = "", one: str = ".") -> str:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if any_path and pattern.startswith("**", at):
            parts.append(any_path)
            at += 2
        elif character == "*":
            parts.append(any_text)
            at += 1
        elif character == "?":
            parts.append(one)
            at += 1
        elif character == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end]
            negated = "^" if inner[:1] in {"!", "^"} and len(inner) > 1 else ""
            inner = inner[1:] if negated else inner
            inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
            if re.search(r"(.)-(.)", inner) and any(a > b for a, b in re.findall(r"(.)-(.)", inner)):
                inner = inner.replace("-", r"\-")
            parts.append(f"[{negated}{inner}]")
            at = end + 1
        else:
            parts.append(re.escape(character))
            at += 1
    return "".join(parts)
