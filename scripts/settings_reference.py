"""What is written about settings in files, from their declarations: the README's table, `docs/config.toml`, and which
variables the Helm chart's values may name.

Usage: python scripts/settings_reference.py
"""

from __future__ import annotations

import ast
import json
from datetime import timedelta
from itertools import groupby, pairwise
from pathlib import Path
from textwrap import wrap

from worker_core.basics.toml_text import basic_string
from worker_core.settings import FORMAT, FORMAT_KEY, SETTINGS, Kind, Setting, as_text, fields, tool_fields

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TEMPLATE = ROOT / "docs" / "config.toml"
CHART = ROOT / "installers" / "kubernetes" / "chart" / "values.schema.json"
SET_BY_THE_CHART = {
    "api_key_file", "control_plane_url", "drain_timeout", "llm_api_key_file", "llm_base_url", "queue_ids",
    "require_sandbox", "sandbox", "status_host", "status_port",
}  # fmt: skip
"""From other values, which say more than one thing each."""
NOT_IN_PODS = {"container", "restricted-token", "sandbox-exec"}
BEGIN = "<!-- settings: written by scripts/settings_reference.py -->"
END = "<!-- end of settings -->"


def described() -> dict[str, str]:
    """The text below each field; where there is none, what the page says."""
    found = {name: f"{one.title}. {one.meaning}" for name, one in SETTINGS.items()}
    for file in (fields.__file__, tool_fields.__file__):
        for settings in ast.parse(Path(file).read_text(encoding="utf-8")).body:
            if isinstance(settings, ast.ClassDef):
                found |= texts_below(settings)
    return found


def texts_below(settings: ast.ClassDef) -> dict[str, str]:
    """By field."""
    return {
        field.target.id: " ".join(str(below.value.value).split())
        for field, below in pairwise(settings.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


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
        "",
        "# Of this file: a version that has another one says so instead of misreading it. Without it, it is 1.",
        f"# {FORMAT_KEY} = {FORMAT}",
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


def chart() -> str:
    """The schema of the chart's values as it ought to be."""
    schema = json.loads(CHART.read_text(encoding="utf-8"))
    values = schema["properties"]
    values["settings"]["properties"] = {
        one.variable: _schema(one)
        for one in sorted(SETTINGS.values(), key=lambda one: one.variable)
        if one.name not in SET_BY_THE_CHART and one.kind is not Kind.SECRET
    }
    sandbox = values["sandbox"]["properties"]
    sandbox["mechanism"]["enum"] = [one for one in SETTINGS["sandbox"].choices if one not in NOT_IN_PODS]
    sandbox["require"]["enum"] = list(SETTINGS["require_sandbox"].choices)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(one: Setting) -> dict[str, object]:
    """Of a value that becomes a variable. YAML reads an `on` without quotation marks as a truth value."""
    match one.kind:
        case Kind.CHOICE:
            return {"enum": list(one.choices)}
        case Kind.SWITCH:
            return {"enum": [True, False, "true", "false"]}
        case Kind.NUMBER:
            return {"type": ["integer", "string"], "pattern": "^[0-9]+$"}
        case Kind.TIME:
            return {"type": ["number", "string"]}
        case _:
            return {"type": ["string", "number"]}


def main() -> None:
    CHART.write_text(chart(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    TEMPLATE.write_text(template(), encoding="utf-8")


if __name__ == "__main__":
    main()
