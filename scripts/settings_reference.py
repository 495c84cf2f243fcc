"""What is written about settings in files, from their declarations: the README's table and `docs/config.toml`.

Usage: python scripts/settings_reference.py
"""

from __future__ import annotations

import ast
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from worker_core.basics.toml_text import basic_string
from worker_core.settings import SETTINGS, Kind, Setting, as_text, fields

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TEMPLATE = ROOT / "docs" / "config.toml"
BEGIN = "<!-- settings: written by scripts/settings_reference.py -->"
END = "<!-- end of settings -->"


def described() -> dict[str, str]:
    """The text below each field; where there is none, what the page says."""
    tree = ast.parse(Path(fields.__file__).read_text(encoding="utf-8"))
    [settings] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    found = {name: f"{one.title}. {one.meaning}" for name, one in SETTINGS.items()}
    for field, below in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def table() -> str:
    """All settings, as Markdown."""
    said = described()
    lines = ["| Setting | Environment | Flag | Meaning (default) |", "|---|---|---|---|"]
    for group, settings in groupby(SETTINGS.values(), key=lambda one: one.group):
        lines.append(f"| **{group}** | | | |")
        for one in settings:
            name = "–" if one.kind is Kind.SECRET else f"`{one.name}`"
            flag = f"`{one.flag}`" if one.flag else "–"
            lines.append(f"| {name} | `{one.variable}` | {flag} | {_meaning(one, said[one.name])} |")
    return "\n".join(lines).replace("<", "&lt;")


def _meaning(one: Setting, said: str) -> str:
    unnamed = [choice for choice in one.choices if f"`{choice}`" not in said]
    choices = f" One of {', '.join(f'`{choice}`' for choice in one.choices)}." if unnamed else ""
    default = as_text(one.default) if one.kind is not Kind.SECRET else ""
    if one.kind is Kind.SWITCH:
        default = default.lower()
    return f"{said}{choices}" + (f" (`{default}`)" if default else "")


def template() -> str:
    """A settings file in which every line is a comment."""
    said = described()
    lines = [
        "# Settings of Kubiya Worker: every one, with its default. Take the # away from what you change.",
        "# `kubiya-worker config path` says where this file is. Flags win over the environment, that over it.",
        "# Written by scripts/settings_reference.py.",
    ]
    for group, settings in groupby(SETTINGS.values(), key=lambda one: one.group):
        lines += ["", f"# --- {group} ---"]
        for one in settings:
            if one.kind is Kind.SECRET:
                continue
            ways = f"{one.variable}, {one.flag}" if one.flag else one.variable
            choices = f" One of: {', '.join(one.choices)}." if one.choices else ""
            lines += [
                "",
                *(f"# {line}" for line in wrap(f"{said[one.name]}{choices} ({ways})", 118, break_on_hyphens=False)),
            ]
            lines.append(f"# {one.name} = {_toml(one.default)}".rstrip())
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case tuple():
            return "[]" if not value else f"[{', '.join(basic_string(str(one)) for one in value)}]"
        case timedelta() | str():
            return basic_string(as_text(value))
        case _:
            raise TypeError(f"{value!r} has no form in TOML")


def readme() -> str:
    """The README with its table as it ought to be."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    README.write_text(readme(), encoding="utf-8")
    TEMPLATE.write_text(template(), encoding="utf-8")


if __name__ == "__main__":
    main()
