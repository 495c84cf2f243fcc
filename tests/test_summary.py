"""One function decides what is said of a worker; each face says it in its own words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from desktop.look.standing import explanation, headline
from desktop.tray.picture import IconState, picture, tooltip
from tests.support.snapshots import NOON, asking, execution, facts, queue, snapshot
from worker_core.cli.standing import sentence
from worker_core.snapshot import EngineSnapshot, EngineState, OutboxView, QueueView, SandboxView, Trouble
from worker_core.summary import Standing, summary

S = EngineState
NOTHING_LISTENS = "Cannot reach control-plane.kubiya.ai: nothing listens there."


def away(what: str, *, tries: int = 2, state: EngineState = S.RUNNING) -> EngineSnapshot:
    trouble = Trouble(
        what=what,  # type: ignore[arg-type]
        sentence="Temporal does not answer." if what == "temporal_silent" else NOTHING_LISTENS,
        since=NOON,
        tries=tries,
        next_try_at=None if what == "temporal_silent" else NOON + timedelta(seconds=8),
    )
    served = QueueView(queue_id="q", polling=what == "temporal_silent", reason="Registering.", trouble=trouble)
    return snapshot(state, queues=(queue(), served), reason="Registering with the control plane.")


def full(running: int = 16, waiting: int = 126) -> EngineSnapshot:
    return snapshot(running=running, queues=(queue(backlog=waiting),), executions_limit=16)


CLOCK = f"{NOON.astimezone():%H:%M}"
NEXT = f"{(NOON + timedelta(seconds=8)).astimezone():%H:%M:%S}"


@pytest.mark.parametrize(
    ("known", "standing", "in_the_window", "in_the_terminal"),
    [
        (snapshot(), Standing.IDLE, ("Running", "Waiting for work."), "Waiting for work."),
        (full(), Standing.BUSY, ("16 tasks run, 126 wait", "All 16 places are taken."), "16 tasks run, 126 wait."),
        (full(running=3), Standing.BUSY, ("3 tasks run", ""), "3 tasks run."),
        (
            asking("Run it?"),
            Standing.QUESTIONS,
            ("1 question waits for you", ""),
            "1 question waits for you: `kubiya-worker approvals`.",
        ),
        (
            away("temporal_silent"),
            Standing.NO_TEMPORAL,
            ("No Temporal", f"Temporal does not answer since {CLOCK}; trying again."),
            f"Temporal does not answer since {CLOCK}; trying again.",
        ),
        (
            away("control_plane", state=S.STARTING),
            Standing.NO_CONTROL_PLANE,
            ("No control plane", f"{NOTHING_LISTENS} Next try in 8 s."),
            f"{NOTHING_LISTENS} Next try in 8 s.",
        ),
        (
            away("control_plane", tries=1, state=S.STARTING),
            Standing.STARTING,
            ("Starting", "Registering with the control plane."),
            "Registering with the control plane.",
        ),
        (
            snapshot(sandbox=SandboxView(name="refused", reason="Tools are not started: why.")),
            Standing.NO_TOOLS,
            ("Tools are not started", "Tools are not started: why."),
            "Tools are not started: why.",
        ),
        (
            snapshot(outbox=OutboxView(interrupted_reason="Events are kept.")),
            Standing.EVENTS_HELD,
            ("Needs attention", "Events are kept."),
            "Events are kept.",
        ),
    ],
)
def test_window_and_terminal_say_the_same_of_one_summary(
    known: EngineSnapshot, standing: Standing, in_the_window: tuple[str, str], in_the_terminal: str
) -> None:
    said = summary(known)
    assert said.standing is standing
    assert (headline(said, paused_until=None, now=NOON), explanation(said, NOON)) == in_the_window
    assert sentence(said, NOON) == in_the_terminal


def test_what_stands_on_the_screen_says_when_and_not_how_soon() -> None:
    assert explanation(summary(away("control_plane")), NOON, lasting=True) == f"{NOTHING_LISTENS} Next try at {NEXT}."
    assert explanation(summary(away("control_plane")), NOON + timedelta(minutes=1)) == f"{NOTHING_LISTENS} Trying now."
    known = facts(queues=away("control_plane").queues)
    assert picture(known).state is IconState.CUT_OFF
    assert f"Next try at {NEXT}." in tooltip(known)


def test_a_question_comes_before_what_tries_again_by_itself() -> None:
    known = facts(queues=away("temporal_silent").queues, approvals=asking("Run it?").approvals)
    assert picture(known).state is IconState.ATTENTION
    assert tooltip(known) == "Kubiya Worker: 1 question waits for you. Run it?"


def test_the_oldest_trouble_is_told() -> None:
    young, old = away("temporal"), away("control_plane")
    assert young.queues[1].trouble is not None
    late = Trouble(what="temporal", sentence="Later.", since=NOON + timedelta(hours=1))
    both = snapshot(queues=(QueueView(queue_id="p", trouble=late), old.queues[1]))
    assert summary(both).standing is Standing.NO_CONTROL_PLANE


def test_waiting_tasks_are_counted_while_no_place_is_free() -> None:
    """What is known of a queue is up to 20 s old: a task that runs by now is not said to wait."""
    one = execution(1)
    known = EngineSnapshot(state=S.RUNNING, executions=(one,), executions_limit=2, queues=(queue(backlog=1),))
    assert summary(known).waiting == 0


def test_tools_without_a_sandbox_are_said_beside_all_else() -> None:
    bare = SandboxView(name="none", reason="Tools run without a sandbox.")
    for known in (snapshot(sandbox=bare), snapshot(S.PAUSED, sandbox=bare), full()):
        assert summary(known).unprotected is (known.sandbox is bare)
