"""The README's table, `docs/config.toml` and the Helm chart's schema say what the declarations say."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import script
from worker_core.settings import SETTINGS, Settings, load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return script("settings_reference")


def test_the_files_are_as_the_declarations_have_them(reference: ModuleType) -> None:
    write = "python scripts/settings_reference.py"
    assert reference.README.read_text(encoding="utf-8") == reference.readme(), write
    assert reference.TEMPLATE.read_text(encoding="utf-8") == reference.template(), write
    assert reference.CHART.read_text(encoding="utf-8") == reference.chart(), write


def test_every_setting_stands_in_the_table_once(reference: ModuleType) -> None:
    table = reference.table()
    for one in SETTINGS.values():
        assert table.count(f"| `{one.variable}` |") == 1


def test_the_file_to_start_from_says_the_defaults(reference: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(reference.template(), encoding="utf-8")
    assert load(environ={}, file=file) == Settings()
    taken = re.findall(r"^# (\w+ = \S.*)$", reference.template(), re.MULTILINE)
    assert len(taken) > 40
    file.write_text("\n".join(taken), encoding="utf-8")
    assert load(environ={}, file=file) == Settings()
