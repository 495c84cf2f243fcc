from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from PySide6.QtTest import QSignalSpy

from desktop import preferences
from desktop.preferences import Preferences
from desktop.settings_store import SettingsStore
from tests.support.engine import home
from worker_core.errors import ConfigurationError


@pytest.fixture
def store(tmp_path: Path) -> SettingsStore:
    return SettingsStore(home(tmp_path), environ={"LOG_LEVEL": "DEBUG"})


def test_a_change_is_checked_written_and_read_by_the_worker(store: SettingsStore) -> None:
    store.change(queue_ids="one, two")
    store.change(drain_timeout="90", fail_fast=True)
    store.change(default_model='we"ird \\ 🦊', workspace_kept=timedelta(hours=1.5))
    settings = store.settings()
    assert settings.queue_ids == ("one", "two")
    assert settings.drain_timeout == timedelta(seconds=90)
    assert settings.workspace_kept == timedelta(hours=1.5)
    assert settings.fail_fast
    assert settings.default_model == 'we"ird \\ 🦊'
    tomllib.loads(store.paths.settings_file.read_text(encoding="utf-8"))
    assert [path.name for path in store.paths.config.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("max_executions", "0", "max_executions is 0; it must be 1 or more."),
        ("max_executions", "many", "max_executions is 'many'; it must be a number."),
        ("control_plane_url", "ftp://x", "it must begin with https://"),
        ("ca_file", "/does/not/exist.pem", "does not exist"),
        ("no_such_thing", "1", "There is no setting named no_such_thing."),
    ],
)
def test_what_is_wrong_is_said_with_the_workers_sentence_and_not_written(store, name, text, sentence) -> None:
    store.change(log_level="INFO")
    before = store.paths.settings_file.read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        store.change(**{"fail_fast": True, name: text})
    assert sentence in caught.value.sentence
    assert store.paths.settings_file.read_text(encoding="utf-8") == before


def test_an_empty_text_is_a_reset(store: SettingsStore) -> None:
    store.change(max_executions="4")
    assert store.is_changed("max_executions")
    store.change(max_executions="")
    assert store.settings().max_executions is None
    assert not store.is_changed("max_executions")
    store.change(queue_ids=("a",))
    store.change(queue_ids=None)
    assert store.settings().queue_ids == ()


def test_the_environment_is_named_where_it_decides(store: SettingsStore) -> None:
    assert store.decided_elsewhere("log_level") == "LOG_LEVEL"
    assert store.decided_elsewhere("queue_ids") == ""


def test_preferences_are_kept_and_bad_ones_do_not_count(tmp_path: Path, qapp: object) -> None:
    store = SettingsStore(home(tmp_path))
    assert store.preferences == Preferences()
    spy = QSignalSpy(store.changed)
    store.prefer(keep_awake=False, language="de", appearance="dark")
    assert spy.count() == 1
    assert SettingsStore(home(tmp_path)).preferences == Preferences(keep_awake=False, language="de", appearance="dark")
    file = tmp_path / "config" / "desktop.json"
    wrong = '{"keep_awake": "no", "notifications": "loud", "appearance": "pink", "later": 1, "language": "de"}'
    for said in (wrong, "[]", "{", "\xff"):
        file.write_text(said, encoding="utf-8")
        assert preferences.read(file) == Preferences(language="de" if "loud" in said else "")
    with pytest.raises(TypeError):
        store.prefer(no_such_thing=1)
