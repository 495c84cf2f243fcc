"""Programs that fetch a server before they run it: its first start takes minutes, and those who wait are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

_RUNNERS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "npx": ((),),
    "pnpx": ((),),
    "bunx": ((),),
    "uvx": ((),),
    "npm": (("exec",), ("x",)),
    "pnpm": (("dlx",),),
    "yarn": (("dlx",),),
    "bun": (("x",),),
    "pipx": (("run",),),
    "uv": (("tool", "run"), ("run",)),
    "docker": (("run",), ("container", "run")),
    "podman": (("run",),),
    "deno": (("run",),),
}
"""Program -> the words behind which it runs what it has fetched."""

_NAMES_IT: Final = frozenset({"--from", "--package", "-p", "--spec"})
_HAS_A_VALUE: Final = frozenset({"--with", "--python", "--index-url", "--registry", "--cache", "-c", "--call"})
_ENGINES: Final = frozenset({"docker", "podman"})


def fetches(command: Sequence[str]) -> str:
    """What is fetched, for a sentence: `npx fetches @playwright/mcp`. Empty for a program that fetches nothing."""
    program = PurePath(command[0]).name.lower().removesuffix(".exe").removesuffix(".cmd") if command else ""
    for words in _RUNNERS.get(program, ()):
        if tuple(command[1 : 1 + len(words)]) == words:
            package = "" if program in _ENGINES else _package(command[1 + len(words) :])
            return f"{program} fetches {package[:100] or 'what it runs'}"
    return ""


def _package(words: Sequence[str]) -> str:
    at = 0
    while at < len(words):
        word, at = words[at], at + 1
        name, equals, value = word.partition("=")
        if name in _NAMES_IT:
            return value if equals else next(iter(words[at : at + 1]), "")
        if name in _HAS_A_VALUE and not equals:
            at += 1
        elif not word.startswith("-"):
            return word
    return ""
