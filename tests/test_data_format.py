"""Upgrade and downgrade: what this machine keeps is brought up, led back, or left alone, and all of it survives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.support.engine import home
from worker_core.agents.activities.journal import Dispatched, Finished, Journal
from worker_core.control_plane.outbox import spool
from worker_core.control_plane.outbox.spool import Row, SpoolError
from worker_core.data_format import OURS, DataOfAnotherFormat, DataStep, DataUser, read
from worker_core.errors import ConfigurationError
from worker_core.machine.identity import host_id
from worker_core.paths import Paths
from worker_core.policy.audit import AuditLog, verify
from worker_core.policy.questions import FORMAT, ApprovalBook, Asked
from worker_core.settings import load
from worker_core.snapshot import QuestionPart
from worker_core.tools.base import ToolResult

ASKED = Asked(
    id="1a2b3c4d", execution_id="e1", call_id="c1", workflow_id="w1", queue_id="q1", tool="shell", digest="d1",
    parts=(QuestionPart(name="command", text="make"),), asked_at=datetime.now(UTC),
    expires_at=datetime.now(UTC) + timedelta(days=1),
)  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home in which a version before the marks has worked."""
    made = home(tmp_path)
    host_id(made.host_id_file)
    journal = Journal(made.journal)
    journal.mark_dispatched("e1", "c1")
    journal.record("e1", "c1", ToolResult(succeeded=True, output="done"))
    journal.mark_dispatched("e1", "c2")
    undelivered = spool.create(made.spool)
    undelivered.append([Row("e1", 7, b"{}")])
    undelivered.close()
    ApprovalBook(made.approvals).ask(ASKED)
    ApprovalBook(made.approvals).grant("e1", frozenset({"command make"}))
    AuditLog(made.audit_file).record("decision", tool="shell")
    made.config.mkdir()
    made.settings_file.write_text('# mine\nqueue_ids = ["q1"]\n')
    return made


def all_is_there(paths: Paths, host: str) -> None:
    """By the faces of those who keep it."""
    assert host_id(paths.host_id_file) == host
    journal = Journal(paths.journal)
    finished = journal.outcome("e1", "c1")
    assert isinstance(finished, Finished)
    assert finished.result.output == "done"
    assert isinstance(journal.outcome("e1", "c2"), Dispatched), "it would run a second time"
    book = ApprovalBook(paths.approvals)
    assert [view.id for view in book.views()] == [ASKED.id]
    assert book.granted("e1") == {"command make"}
    assert verify(paths.audit_file).problems == ()
    assert load(environ={}, file=paths.settings_file).queue_ids == ("q1",)
    found = spool.adopt(paths.spool)
    assert found is not None
    assert found.read("e1", after=0, limit=9) == [Row("e1", 7, b"{}")]
    found.close()


def moving(place: Callable[[Paths], Path], name: str) -> DataStep:
    """A step that puts something elsewhere, and can be taken anew from wherever it broke off."""

    def up(paths: Paths) -> None:
        if place(paths).exists():
            place(paths).rename(paths.state / name)

    def down(paths: Paths) -> None:
        if (paths.state / name).exists():
            (paths.state / name).rename(place(paths))

    return DataStep(up=up, down=down)


STEPS = (moving(lambda paths: paths.journal, "calls"), moving(lambda paths: paths.approvals, "answers"))
LATER = DataUser(version="9.0.0", steps=STEPS, readable_from=3)
"""A version to come, which keeps two things elsewhere."""


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file() and not one.name.startswith("data-format")
    }


def test_data_of_a_version_before_the_marks_are_marked_and_left_as_they_are(paths: Paths) -> None:
    host, before = host_id(paths.host_id_file), files(paths.state)
    OURS.make_ready(paths)
    assert files(paths.state) == before
    assert (read(paths).format, read(paths).version) == (1, OURS.version)
    all_is_there(paths, host)


def test_up_and_down_again_and_everything_is_where_it_was(paths: Paths) -> None:
    host, before = host_id(paths.host_id_file), files(paths.state)
    LATER.make_ready(paths)
    assert (read(paths).format, read(paths).readable_from) == (3, 3)
    assert sorted(one.name for one in paths.state.iterdir() if one.name in {"calls", "answers", "journal"}) == [
        "answers", "calls",
    ]  # fmt: skip
    with pytest.raises(DataOfAnotherFormat, match=r"written by Kubiya Worker 9\.0\.0 \(format 3\).*lead-back 1"):
        OURS.make_ready(paths)
    assert LATER.lead_back(paths, 2).format == 2
    with pytest.raises(DataOfAnotherFormat, match="lead-back 1"):
        OURS.make_ready(paths)
    assert LATER.lead_back(paths, 1).format == 1
    assert files(paths.state) == before
    OURS.make_ready(paths)
    all_is_there(paths, host)
    LATER.make_ready(paths)
    assert (paths.state / "calls").is_dir()


@pytest.mark.parametrize("breaks_in", ["up", "down"])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_breaks_off_is_taken_anew_and_no_older_program_begins_in_between(
    paths: Paths, breaks_in: str, number: int, *, late: bool
) -> None:
    host, before = host_id(paths.host_id_file), files(paths.state)

    def breaking(step: DataStep) -> DataStep:
        def way(paths: Paths) -> None:
            if late:
                getattr(step, breaks_in)(paths)
            raise RuntimeError("the power is gone")

        return DataStep(up=way, down=step.down) if breaks_in == "up" else DataStep(up=step.up, down=way)

    steps = [breaking(step) if at == number else step for at, step in enumerate(STEPS)]
    broken = DataUser(version="9.0.0", steps=steps, readable_from=3)
    if breaks_in == "down":
        broken.make_ready(paths)
    with pytest.raises(RuntimeError):
        broken.make_ready(paths) if breaks_in == "up" else broken.lead_back(paths, 1)
    with pytest.raises(DataOfAnotherFormat):
        OURS.make_ready(paths)
    with pytest.raises(DataOfAnotherFormat):
        DataUser(version="8.0.0", steps=STEPS[:number]).make_ready(paths)
    LATER.make_ready(paths)
    LATER.lead_back(paths, 1)
    assert files(paths.state) == before
    all_is_there(paths, host)


def test_no_step_is_taken_while_workers_use_the_data(paths: Paths) -> None:
    before = files(paths.state)
    with pytest.raises(DataOfAnotherFormat, match=r"process 11, 12.*kubiya-worker stop"):
        LATER.make_ready(paths, in_use_by=lambda: [11, 12])
    assert files(paths.state) == before
    LATER.make_ready(paths)
    with pytest.raises(DataOfAnotherFormat, match="process 11"):
        LATER.lead_back(paths, 1, in_use_by=lambda: [11])
    assert OURS.make_ready(home(paths.state.parent / "other"), in_use_by=lambda: [11]), (
        "nothing to change: nobody minds"
    )


def test_an_older_program_goes_on_where_the_later_one_said_that_it_can(paths: Paths) -> None:
    additive = DataStep(up=lambda _: None, down=lambda _: None)
    later = DataUser(version="2.0.0", steps=(additive,), readable_from=1)
    later.make_ready(paths)
    OURS.make_ready(paths)
    assert (read(paths).format, read(paths).version) == (2, "2.0.0"), "the mark is the later one's"
    with pytest.raises(DataOfAnotherFormat, match=r"version 2\.0\.0 alone can lead them back"):
        OURS.lead_back(paths, 1)
    with pytest.raises(DataOfAnotherFormat, match="cannot be led back to 3"):
        later.lead_back(paths, 3)


def test_a_new_home_has_the_newest_format_at_once(tmp_path: Path) -> None:
    def never(paths: Paths) -> None:
        raise AssertionError("there is nothing to bring up")

    later = DataUser(version="9.0.0", steps=(DataStep(up=never, down=never),), readable_from=2)
    later.make_ready(home(tmp_path))
    assert read(home(tmp_path)).format == 2


@pytest.mark.parametrize(
    "mark",
    [
        b"", b"[]", b"{", b'{"format": "2"}', b'{"format": 1, "readable_from": 2}', b'{"format": true}',
        b'{"unfinished": 1}', b'{"format": 0, "readable_from": 0}', b"\xff",
    ],
)  # fmt: skip
def test_a_mark_that_cannot_be_understood_is_a_sentence_and_nothing_begins(paths: Paths, mark: bytes) -> None:
    paths.data_format_file.write_bytes(mark)
    with pytest.raises(ConfigurationError, match="cannot be understood"):
        OURS.make_ready(paths)
    assert paths.data_format_file.read_bytes() == mark


def test_a_mark_with_more_in_it_than_is_known_counts(paths: Paths) -> None:
    paths.data_format_file.write_text('{"format": 2, "readable_from": 1, "version": "2.0.0", "colour": "red"}')
    assert OURS.make_ready(paths).format == 2


# --- what a later version leaves, store by store ------------------------------------------------------------------


def test_a_spool_of_a_later_version_is_left_for_it(paths: Paths) -> None:
    """Its table is not found, so it looks empty; and what is empty is deleted."""
    (file,) = paths.spool.glob("*.spool")
    with sqlite3.connect(file) as database:
        database.execute("ALTER TABLE events RENAME TO batches")
        database.execute(f"PRAGMA user_version={spool.FORMAT + 1}")
    database.close()
    before = file.read_bytes()
    assert spool.adopt(paths.spool) is None
    with pytest.raises(SpoolError, match="format 2, and this version knows 1"):
        spool.Spool(file)
    assert file.read_bytes() == before


def test_a_spool_of_an_earlier_version_is_read_and_marked(paths: Paths) -> None:
    (file,) = paths.spool.glob("*.spool")
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version=0")
    database.close()
    found = spool.adopt(paths.spool)
    assert found is not None
    assert found.counts() == {"e1": (1, 7)}
    found.close()
    with sqlite3.connect(file) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (spool.FORMAT,)
    database.close()


def test_an_answer_of_a_later_version_is_asked_anew(paths: Paths) -> None:
    """It may mean less than its words say here."""
    book = ApprovalBook(paths.approvals)
    book.answer(ASKED.id, allow=True, scope="once", by="somebody")
    (file,) = paths.approvals.glob("*/1a2b3c4d.json")
    said = json.loads(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**said, "format": FORMAT + 1, "only_before": "noon"}))
    assert ApprovalBook(paths.approvals).get("e1", "c1", digest="d1") is None
    file.write_bytes(msgspec.json.encode({name: value for name, value in said.items() if name != "format"}))
    kept = ApprovalBook(paths.approvals).get("e1", "c1", digest="d1")
    assert kept is not None
    assert kept.answer == "allow"


def test_a_record_of_the_journal_with_more_in_it_is_read_and_one_with_less_never_runs_again(paths: Paths) -> None:
    journal = Journal(paths.journal)
    finished, dispatched = sorted(paths.journal.glob("*/*.json"), key=lambda file: file.stat().st_size, reverse=True)
    finished.write_bytes(msgspec.json.encode({**json.loads(finished.read_bytes()), "took_seconds": 3}))
    dispatched.write_bytes(b'{"result": "of another shape"}')
    assert isinstance(journal.outcome("e1", "c1"), Finished)
    assert isinstance(journal.outcome("e1", "c2"), Dispatched)
    with pytest.raises(Exception, match="Another attempt"):
        journal.mark_dispatched("e1", "c2")


def test_a_settings_file_of_a_later_version_is_named_with_its_line(paths: Paths) -> None:
    paths.settings_file.write_text('queue_ids = ["q1"]\nformat = 2\nnew_thing = 1\n')
    with pytest.raises(ConfigurationError, match=r"config\.toml, line 2: it has format 2, of a later version"):
        load(environ={}, file=paths.settings_file)
    paths.settings_file.write_text('format = 1\nqueue_ids = ["q1"]\n')
    assert load(environ={}, file=paths.settings_file).queue_ids == ("q1",)
    paths.settings_file.write_text('format = "one"\n')
    with pytest.raises(ConfigurationError, match="must be a number from 1 to 1"):
        load(environ={}, file=paths.settings_file)
