"""The regular expressions that stand in the source, and what they are about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

ROOT = Path(__file__).parent.parent.parent
METHODS = {"match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}


@dataclass(frozen=True, slots=True)
class Expression:
    """One that stands in the source, and how it is used there."""

    where: str
    pattern: str | bytes
    flags: int
    method: str


def expressions() -> Iterator[Expression]:
    for file in sorted((*(ROOT / "worker_core").rglob("*.py"), *(ROOT / "desktop").rglob("*.py"))):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        used: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
                used.setdefault(node.value.id, set()).add(node.attr)
        named = {
            id(node.value): target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                continue
            where = f"{file.relative_to(ROOT)}:{node.lineno}"
            flags = sum(
                getattr(re, part.attr)
                for argument in (*node.args[1:], *(one.value for one in node.keywords))
                for part in ast.walk(argument)
                if isinstance(part, ast.Attribute)
                and isinstance(part.value, ast.Name)
                and part.value.id == "re"
                and isinstance(getattr(re, part.attr), re.RegexFlag)
            )
            if node.func.attr == "compile":
                methods = used.get(named.get(id(node), ""), {"search"})
            else:
                methods = {node.func.attr} & METHODS
            for method in sorted(methods):
                yield Expression(where, node.args[0].value, flags, method)


def samples(pattern: Any, flags: int = 0) -> list[str]:
    """Characters and words that an expression is about. It may be parsed already."""
    found: list[str] = []

    def walk(items: Any) -> None:
        word = ""
        for operator, value in items:
            if operator is constants.LITERAL:
                word += chr(value)
                continue
            found.append(word)
            word = ""
            if operator is constants.IN:
                for kind, inner in value:
                    if kind is constants.LITERAL:
                        found.append(chr(inner))
                    elif kind is constants.RANGE:
                        found.append(chr(inner[0]))
                    elif kind is constants.CATEGORY:
                        found.extend(("a", "7", " "))
            elif operator in {constants.ANY, constants.NOT_LITERAL}:
                found.append("x")
            elif operator is constants.BRANCH:
                for one in value[1]:
                    walk(one)
            elif operator is constants.SUBPATTERN:
                walk(value[3])
            elif operator in {constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT}:
                walk(value[2])
            elif operator is constants.ATOMIC_GROUP:
                walk(value)
            elif operator in {constants.ASSERT, constants.ASSERT_NOT}:
                walk(value[1])
        found.append(word)

    walk(parser.parse(pattern, flags) if isinstance(pattern, str | bytes) else pattern)
    return list(dict.fromkeys(one for one in found if one))[:14]
