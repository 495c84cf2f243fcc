"""What people have written down stays: names of settings in files, variables and flags, and what they default to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from desktop.windows.setting_fields import shown_fields
from worker_core.cli import doctor, start
from worker_core.settings import SETTINGS, Settings, as_text

RECORDED = Path(__file__).with_name("faces.json")
"""Written by `python -m tests.settings.test_faces`."""


def faces() -> dict[str, Any]:
    defaults = Settings()
    return {
        "settings": {
            name: {
                "variable": SETTINGS[name].variable,
                "default": as_text(getattr(defaults, name)),
                "kind": shown.kind,
                "options": list(shown.options),
            }
            for name, shown in shown_fields().items()
        },
        "flags": {"start": _flags(start.command), "doctor": _flags(doctor.command)},
    }


def _flags(command: click.Command) -> dict[str, Any]:
    return {
        one.opts[0]: {
            "field": one.name,
            "metavar": one.metavar,
            "choices": list(one.type.choices) if isinstance(one.type, click.Choice) else [],
            "switch": one.is_flag,
            "multiple": one.multiple,
        }
        for one in command.params
        if isinstance(one, click.Option)
    }


def test_names_are_the_recorded_ones() -> None:
    recorded, found = json.loads(RECORDED.read_text(encoding="utf-8")), faces()
    assert {name: found["settings"][name] for name in recorded["settings"]} == recorded["settings"]
    for command, flags in recorded["flags"].items():
        assert {flag: found["flags"][command][flag] for flag in flags} == flags


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(faces(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
