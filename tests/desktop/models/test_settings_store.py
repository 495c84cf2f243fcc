from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from desktop.models.settings_store import Preferences, SettingsFile, adapted
from worker_core.errors import ConfigurationError


@pytest.fixture
def store(tmp_path: Path) -> SettingsFile:
    return SettingsFile(file=tmp_path / "config" / "settings.toml", environ={"LOG_LEVEL": "DEBUG"})


def test_a_change_is_checked_written_and_read_by_the_worker(store: SettingsFile, tmp_path: Path) -> None:
    store.change("queue_ids", "one, two")
    store.change("drain_timeout", "90")
    store.change("fail_fast", True)
    store.change("default_model", 'we"ird \\ 🦊')
    settings = store.settings()
    assert settings.queue_ids == ("one", "two")
    assert settings.drain_timeout == timedelta(seconds=90)
    assert settings.fail_fast
    assert settings.default_model == 'we"ird \\ 🦊'
    tomllib.loads((tmp_path / "config" / "settings.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("max_executions", "0", "max_executions is 0; it must be 1 or more."),
        ("max_executions", "many", "max_executions is 'many'; it must be a number."),
        ("control_plane_url", "ftp://x", "it must begin with https://"),
        ("ca_file", "/does/not/exist.pem", "does not exist"),
    ],
)
def test_what_is_wrong_is_said_with_the_workers_sentence_and_not_written(store, name, text, sentence) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store.change(name, text)
    assert sentence in caught.value.sentence
    assert not store.is_changed(name)


def test_an_empty_text_is_a_reset(store: SettingsFile) -> None:
    store.change("max_executions", "4")
    assert store.is_changed("max_executions")
    store.change("max_executions", "")
    assert store.settings().max_executions is None
    assert not store.is_changed("max_executions")


def test_the_environment_is_named_where_it_decides(store: SettingsFile) -> None:
    assert store.decided_elsewhere("log_level") == "LOG_LEVEL"
    assert store.decided_elsewhere("queue_ids") == ""


def test_preferences_are_kept_and_nonsense_is_left_out(store: SettingsFile, tmp_path: Path) -> None:
    store.prefer(appearance="dark", keep_awake=False)
    assert (store.preferences().appearance, store.preferences().keep_awake) == ("dark", False)
    (tmp_path / "config" / "desktop.toml").write_text('appearance = 3\nother = "x"\n', encoding="utf-8")
    assert store.preferences().appearance == "system"


def test_the_trays_own_store_is_taken_as_it_is(tmp_path: Path) -> None:
    class Paths:
        settings_file = tmp_path / "settings.toml"

    class Tray:
        preferences = Preferences()
        paths = Paths()

        def save_preferences(self, **changes: object) -> None:
            self.preferences = replace(self.preferences, **changes)

    tray = Tray()
    store = adapted(tray)
    store.prefer(notifications="none")
    store.change("max_executions", "3")
    assert (store.preferences().notifications, tray.preferences.notifications) == ("none", "none")
    assert store.settings().max_executions == 3
    assert adapted(store) is store
