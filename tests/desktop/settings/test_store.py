from __future__ import annotations

import json
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PySide6.QtTest import QSignalSpy

from desktop.settings import preferences
from desktop.settings.preferences import Preferences
from desktop.settings.store import SettingsStore
from tests.support.engine import home
from worker_core.basics.whole_text import whole
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
        ("max_executions", "0", "max_executions is '0'; it must be 1 or more."),
        ("max_executions", "many", "max_executions is 'many'; it must be a whole number."),
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
    assert store.reading().origin("max_executions").source == "file"
    store.change(max_executions="")
    assert store.settings().max_executions is None
    assert store.reading().origin("max_executions").source == "default"
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
    wrong = (
        '{"keep_awake": "no", "notifications": "loud", "appearance": "pink", "queue_order": "age", "later": 1, '
        '"language": "de"}'
    )
    for said in (wrong, "[]", "{", "\xff"):
        file.write_text(said, encoding="utf-8")
        assert preferences.read(file) == Preferences(language="de" if "loud" in said else "")
    with pytest.raises(TypeError):
        store.prefer(no_such_thing=1)


COMMENTED = """\
# The laptop in the lab.
queue_ids = ["one"]   # shared with Ana

drain_timeout = "5 min"
log_level = 'INFO'  # quiet
default_model = \"\"\"m\"\"\"
"""


def test_a_change_leaves_comments_order_and_everything_else_as_it_was(store: SettingsStore) -> None:
    file = store.paths.settings_file
    file.parent.mkdir(parents=True)
    file.write_text(COMMENTED)
    store.change(log_level="DEBUG", fail_fast=True)
    expected = COMMENTED.replace("'INFO'  # quiet", '"DEBUG"  # quiet') + "fail_fast = true\n"
    assert file.read_text() == expected
    store.change(fail_fast=None, log_level="INFO")
    assert file.read_text() == COMMENTED.replace("'INFO'", '"INFO"')
    store.change(queue_ids=("one", "two"))
    assert 'queue_ids = ["one", "two"]   # shared with Ana\n' in file.read_text()


@given(
    model=st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(lambda text: text.strip()),
    queues=st.lists(st.text(st.characters(exclude_characters=","), min_size=1), max_size=4),
    number=st.integers(1, 10**6),
    before=st.sampled_from(["", COMMENTED, COMMENTED.replace("\n", "\r\n"), "log_level = 'INFO'"]),
)
@example(model="m", queues=["\ud800"], number=1, before="")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_can_be_read(tmp_path: Path, model: str, queues: list[str], number: int, before: str) -> None:
    store = SettingsStore(home(tmp_path), environ={})
    store.paths.settings_file.parent.mkdir(exist_ok=True)
    store.paths.settings_file.write_bytes(before.encode())
    store.change(default_model=model, max_executions=number, queue_ids=queues or None)
    found = store.settings()
    assert (found.default_model, found.max_executions) == (model.strip(), number)
    named = tuple(dict.fromkeys(whole(one).strip() for one in queues))
    assert found.queue_ids == tuple(one for one in named if one)


def test_delete_and_other_controls_are_written_so_that_they_can_be_read(store: SettingsStore) -> None:
    """U+007F is none of TOML's characters, and json.dumps leaves it as it is."""
    store.change(default_model="a\x7fb\x01c\u0085d")
    assert store.settings().default_model == "a\x7fb\x01c\u0085d"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"queue_ids = [", "not valid TOML"),
        ('queue_ids = "a"\n'.encode("utf-16"), "UTF-16"),
        (b'queue_ids = "\xff"\n', "line 1: this is not UTF-8"),
        (b"#" * 1_100_000, "is larger than"),
        (b"surprise = 1\n", "There is no setting named .?surprise"),
    ],
)
def test_a_file_that_cannot_be_read_is_never_overwritten(store: SettingsStore, content: bytes, why: str) -> None:
    file = store.paths.settings_file
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        store.change(log_level="DEBUG")
    with pytest.raises(ConfigurationError, match=why):
        store.settings()
    assert file.read_bytes() == content
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_byte_order_mark_stays_and_a_link_stays_a_link(store: SettingsStore, tmp_path: Path) -> None:
    file, dotfile = store.paths.settings_file, tmp_path / "dotfiles" / "kubiya.toml"
    for folder in (file.parent, dotfile.parent):
        folder.mkdir(parents=True)
    dotfile.write_bytes(b"\xef\xbb\xbf# mine\nlog_level = 'INFO'\n")
    file.symlink_to(dotfile)
    store.change(log_level="DEBUG")
    assert file.is_symlink()
    assert dotfile.read_bytes() == b'\xef\xbb\xbf# mine\nlog_level = "DEBUG"\n'
    assert SettingsStore(store.paths, environ={}).settings().log_level == "DEBUG"


def test_what_a_later_version_put_among_the_preferences_stays_for_it(tmp_path: Path, qapp: object) -> None:
    paths = home(tmp_path)
    paths.config.mkdir(parents=True)
    later = {"language": "de", "notifications": "important", "corner": {"x": 3}}
    paths.preferences_file.write_text(json.dumps(later))
    store = SettingsStore(paths)
    store.prefer(appearance="dark")
    assert (store.preferences.notifications, store.preferences.language) == ("all", "de")
    said = json.loads(paths.preferences_file.read_text())
    assert {name: said[name] for name in later} == later
    store.prefer(notifications="none")
    assert json.loads(paths.preferences_file.read_text())["notifications"] == "none", "chosen here"


def test_a_file_that_the_window_makes_says_its_format(store: SettingsStore) -> None:
    store.change(log_level="DEBUG")
    assert store.paths.settings_file.read_text() == 'format = 1\nlog_level = "DEBUG"\n'
    store.paths.settings_file.write_text("format = 2\n")
    with pytest.raises(ConfigurationError, match="of a later version"):
        store.change(log_level="INFO")
    assert store.paths.settings_file.read_text() == "format = 2\n"
