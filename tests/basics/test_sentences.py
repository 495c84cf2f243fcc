"""A sentence is its English text to everybody, and what it is made of to whoever speaks another language."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from worker_core.basics import typed_json
from worker_core.basics.sentences import (
    Phrase,
    Worded,
    again,
    english,
    in_english,
    joined,
    without,
    worded,
)
from worker_core.control_plane.errors import CredentialsRefused, from_status
from worker_core.engine.departure import drain_reason
from worker_core.errors import KubiyaError
from worker_core.events import EngineStateChanged, PollingStalled
from worker_core.snapshot import EngineSnapshot, EngineState, OutboxView, QueueView, SandboxView, Trouble
from worker_core.summary import Standing, summary

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


def test_it_reads_as_english() -> None:
    said = worded("{n} of {name} in {hours} h", n=1234, name="a {place}", hours=2.50)
    assert said == "1,234 of a {place} in 2.5 h"
    assert said.said == (Phrase("{n} of {name} in {hours} h", {"n": 1234, "name": "a {place}", "hours": 2.5}),)
    assert worded("Nothing {here} is a place.") == "Nothing {here} is a place."
    assert worded("{known} {unknown}", known=1) == "1 {unknown}"


def test_a_sentence_in_it_is_translated_and_text_is_not() -> None:
    said = worded("{server} answered {action}.", server="example.com", action=worded("the {what}", what="list"))
    assert said == "example.com answered the list."
    assert said.said[0].values["action"] == (Phrase("the {what}", {"what": "list"}),)
    assert said.said[0].values["server"] == "example.com"


def test_whatever_is_made_of_it_is_plain_text() -> None:
    said = worded("Polling.")
    assert type(said) is Worded
    for made in (str(said), f"{said}", said + "", said.strip(), " ".join([said]), str(KubiyaError(said))):
        assert type(made) is str


def test_halves_of_characters_come_in_with_no_value() -> None:
    assert worded("It said {why}.", why="\ud83d!") == "It said \ufffd!."
    assert joined("\ud83d!") == "\ufffd!"


def test_sentences_stand_one_behind_the_other() -> None:
    both = joined(worded("One."), "", "Plain {text}.", worded("{n} more.", n=2))
    assert both == "One. Plain {text}. 2 more."
    assert both.said == (Phrase("One."), Phrase("Plain {text}."), Phrase("{n} more.", {"n": 2}))


def test_the_end_is_taken_off() -> None:
    both = joined(worded("One."), worded("Two."), "Three.")
    left = without(both, "Two. Three.")
    assert left == "One."
    assert isinstance(left, Worded)
    assert without(both, "") is both
    assert without(both, "Four.") is both
    assert without("One. Two.", "Two.") == "One."
    assert without(both, "wo. Three.") == "One. T"  # no sentence of it: the text alone is cut


def test_it_can_be_copied_to_another_process() -> None:
    said = joined(worded("{n} s", n=3), "plain")
    copied = pickle.loads(pickle.dumps(said))
    assert copied == said
    assert copied.said == said.said
    assert hash(copied.said) == hash(said.said)


VIEWS = [
    (EngineSnapshot(reason=worded("Polling.")), "reason"),
    (QueueView(queue_id="q", reason=worded("Polling.")), "reason"),
    (Trouble(what="temporal", sentence=worded("Polling."), since=NOW), "sentence"),
    (SandboxView(reason=worded("Polling.")), "reason"),
    (OutboxView(interrupted_reason=worded("Polling.")), "interrupted_reason"),
    (
        EngineStateChanged(before=EngineState.STARTING, after=EngineState.RUNNING, reason=worded("Polling."), at=NOW),
        "reason",
    ),
    (PollingStalled(queue_id="q", sentence=worded("Polling."), at=NOW), "sentence"),
]


@pytest.mark.parametrize(("view", "name"), VIEWS, ids=[type(view).__name__ for view, _ in VIEWS])
def test_a_view_has_plain_english_and_what_it_is_made_of(view: EngineSnapshot, name: str) -> None:
    assert type(getattr(view, name)) is str
    assert view.said == (Phrase("Polling."),)
    assert typed_json.decode(msgspec.json.encode(view), type(view)) == view
    assert replace(view).said == view.said
    changed = replace(view, **{name: "Something else."})  # type: ignore[arg-type]
    assert changed.said == ()
    assert replace(view, **{name: worded("Waiting for work.")}).said == (Phrase("Waiting for work."),)  # type: ignore[arg-type]


def test_what_is_not_set_is_said_in_other_languages_too() -> None:
    assert EngineSnapshot().said == (Phrase("The worker has not been started."),)
    assert SandboxView().said == (Phrase("It was not looked for yet."),)


def test_another_version_is_understood() -> None:
    """An older one sends text alone, a newer one more than is known here; parts of another text are not believed."""
    old = typed_json.decode(b'{"queue_id": "q", "reason": "Polling."}', QueueView)
    assert (old.reason, old.said) == ("Polling.", ())
    new = typed_json.decode(
        b'{"queue_id": "q", "reason": "Quite new.", "said": [{"text": "Quite new.", "values": {}, "tone": "calm"}]}',
        QueueView,
    )
    assert new.said == (Phrase("Quite new."),)
    wrong = typed_json.decode(b'{"queue_id": "q", "reason": "Polling.", "said": [{"text": "Other."}]}', QueueView)
    assert wrong.said == ()


def test_an_error_keeps_it_with_and_without_its_repair() -> None:
    error = KubiyaError(worded("There is no API key.")).with_repair("Run `kubiya-worker login`.")
    assert error.sentence == str(error) == "There is no API key. Run `kubiya-worker login`."
    assert type(error.sentence) is str
    assert isinstance(error.said, Worded)
    assert error.fact == "There is no API key."
    assert isinstance(error.fact, Worded)
    plain = KubiyaError("It failed.").with_repair("Do it again.")
    assert (plain.sentence, plain.fact) == ("It failed. Do it again.", "It failed.")
    assert KubiyaError("It failed.").said == "It failed."


def test_a_refusal_says_what_the_server_said_as_it_said_it() -> None:
    error = from_status(401, action=worded("the heartbeat"), server="cp.example.com", said="No {such} key.")
    assert isinstance(error, CredentialsRefused)
    assert error.fact == "The control plane cp.example.com refused the API key (401): No {such} key."
    assert isinstance(error.fact, Worded)
    moved = from_status(302, action="it", server="cp", said="", location="https://login.example.com")
    assert moved.sentence.startswith("cp answered it with 302 to https://login.example.com instead of a result. ")
    assert from_status(302, action="it", server="cp", said="").sentence.startswith("cp answered it with 302 instead ")


def test_the_summary_has_it() -> None:
    trouble = Trouble(
        what="temporal", sentence=worded("Temporal does not answer."), since=NOW, next_try_at=NOW + timedelta(seconds=9)
    )
    said = summary(EngineSnapshot(state=EngineState.RUNNING, queues=(QueueView(queue_id="q", trouble=trouble),)))
    assert (said.standing, said.said) == (Standing.NO_TEMPORAL, (Phrase("Temporal does not answer."),))
    said = summary(EngineSnapshot(state=EngineState.DRAINING, reason=drain_reason(3)))
    assert again(said.sentence, said.said) == "Stopping: waiting for 3 running turns."
    assert said.said == (Phrase("Stopping: waiting for {n} running turns.", {"n": 3}),)
    assert summary(EngineSnapshot(state=EngineState.RUNNING, reason="Plain.")).said == ()
    assert english(summary(EngineSnapshot(state=EngineState.DRAINING, reason=drain_reason(1))).said) == drain_reason(1)


def test_whoever_reads_json_in_english_gets_it_as_ever() -> None:
    plain = in_english(
        msgspec.to_builtins(EngineSnapshot(queues=(QueueView(queue_id="q", reason=worded("Polling.")),)))
    )
    assert plain["reason"] == "The worker has not been started."
    assert plain["queues"][0]["reason"] == "Polling."
    assert "said" not in plain
    assert all("said" not in one for one in (*plain["queues"], plain["sandbox"], plain["outbox"]))
