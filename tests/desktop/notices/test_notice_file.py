"""Notices over restarts."""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.notices.notice_file import NoticeFile
from desktop.notices.notifications import HISTORY


def notice(number: int = 0, **fields: object) -> Notice:
    given_fields = {"title": f"notice {number}", "body": "something", "level": Level.NEWS, **fields}
    return Notice(**given_fields)  # type: ignore[arg-type]


def test_what_was_said_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "notices.jsonl"
    file, history = NoticeFile(path), deque[Notice]()
    at = datetime.now(UTC) - timedelta(hours=1)
    asked = notice(2, level=Level.QUESTION, action=Action.OPEN_APPROVAL, target="a1", stands=True)
    for one in (notice(1, at=at), asked, notice(3, about="connection")):
        history.append(one)
        file.add(one, history)
    assert NoticeFile(path).read() == list(history)
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_question_that_an_earlier_version_kept_is_over_once_it_does_not_stand(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    earlier = {"title": "t", "body": "b", "wish": "open approval", "target": "a1", "at": "2026-01-01T00:00:00+00:00"}
    path.write_text("".join(json.dumps({**earlier, "level": level}) + "\n" for level in ("QUESTION", "PROBLEM")))
    assert [one.stands for one in NoticeFile(path).read()] == [True, False]


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    file, history = NoticeFile(path), deque[Notice](maxlen=HISTORY)
    for number in range(5 * HISTORY):
        history.append(notice(number))
        file.add(history[-1], history)
        if number % 100 == 0:
            assert len(path.read_text().splitlines()) <= 2 * HISTORY
    assert [one.title for one in NoticeFile(path).read()] == [f"notice {n}" for n in range(4 * HISTORY, 5 * HISTORY)]


def test_forgotten_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    file = NoticeFile(path)
    file.add(notice(), deque([notice()]))
    file.write(deque())
    assert NoticeFile(path).read() == []


def test_a_folder_that_takes_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "notices.jsonl").mkdir()
    file = NoticeFile(tmp_path / "notices.jsonl")
    assert file.read() == []
    for _ in range(3):
        file.add(notice(), deque([notice()]))
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "Notifications cannot be kept over a restart"
    ]


@given(st.binary(max_size=300))
def test_whatever_stands_in_the_file_it_is_read(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "notices.jsonl")
        good = json.dumps({"title": "t", "body": "b", "level": "NEWS", "wish": "open", "target": "",
                           "at": "2026-01-01T00:00:00+00:00"})  # fmt: skip
        path.write_bytes(content + b"\n" + good.encode() + b"\n")
        assert NoticeFile(path).read()[-1].title == "t"


def test_a_notice_of_a_later_version_is_shown_without_what_this_one_cannot_do(tmp_path: Path) -> None:
    later = {"title": "t", "body": "b", "level": "RUMOUR", "wish": "teleport", "target": "", "sound": "ping",
             "at": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    path = tmp_path / "notices.jsonl"
    path.write_text(json.dumps(later) + "\n")
    (found,) = NoticeFile(path).read()
    assert (found.title, found.level, found.action) == ("t", Level.NEWS, Action.NOTHING)
